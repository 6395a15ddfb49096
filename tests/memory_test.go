package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// mostMemory is what the program may have taken at its peak, in KiB, however long the ranges are.
const mostMemory = 64 << 10

// TestMemory goes through all of a sparse image of 100 GiB in every way there is, and asks the
// kernel afterwards how much memory that took.
func TestMemory(t *testing.T) {
	t.Parallel()
	withoutRace(t)
	dir := t.TempDir()
	data := bytes.Repeat([]byte{0xcd}, 1<<20)
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	for at := range int64(48) {
		if _, err := f.WriteAt(data, 30<<30+at<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(100 << 30); err != nil {
		t.Fatal(err)
	}
	f.Close()
	limitMemory(t, dir, "100 GiB", "raw", []string{
		"read -q -P 0xcd 30G 48M", "read -q -P 0", "read -P 7 --all", "iszero", "map --totals",
		"sum -a crc32c 29G 2G", "find --text none",
		"compare disk", "read -q -o saved", "write -q -P random:1 50G 40M",
		"read -q -P random:1 50G 40M", "write -q -s saved 60G 40M",
		"copy -f qcow2 new", "copy -c -f qcow2 --verify packed",
		"write -q -zu 0 100G", "discard -q 0..100G", "iszero",
	})
}

// TestMemoryOfTables has more L2 tables than the cache of a qcow2 image holds.
func TestMemoryOfTables(t *testing.T) {
	t.Parallel()
	withoutRace(t)
	dir := t.TempDir()
	create := exec.Command(asBlksh.path, "-c",
		"create -f qcow2 -o preallocation=metadata disk 300G")
	create.Env, create.Dir = asBlksh.environ(), dir
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("create: %v\n%s", err, out)
	}
	limitMemory(t, dir, "300 GiB", "qcow2", []string{
		"map", "map --totals", "bench -n 5000 randread", "bench -n 500 randwrite",
		"write -q -P random:1 50G 40M", "read -q -P random:1 50G 40M", "check",
	})
}

// withoutRace skips a test that asks how much memory the program takes.
func withoutRace(t *testing.T) {
	t.Helper()
	if blockdevtest.Race {
		t.Skip("the race detector takes memory of its own")
	}
}

// limitMemory runs lines on the file disk, of that format and length, and asks how much memory that
// took.
func limitMemory(t *testing.T, dir, length, format string, lines []string) {
	t.Helper()
	cmd := exec.Command(asBlksh.path, "-t", "writeback", "-f", format, "--keep-going", "disk")
	// as much memory on any machine
	cmd.Env, cmd.Dir, cmd.Stderr = append(asBlksh.environ(), "GOMAXPROCS=2"), dir, io.Discard
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := io.WriteString(in, strings.Join(lines, "\n")+"\nlength\n"); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended before it had done everything: %v", err)
		}
		if line == length+"\n" {
			break
		}
	}
	if peak := peakMemory(t, cmd.Process.Pid); peak > mostMemory {
		t.Errorf("%d KiB at the peak, want at most %d", peak, mostMemory)
	} else {
		t.Logf("%d KiB at the peak", peak)
	}
}

// peakMemory is the most memory that a process has taken, in KiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			peak, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			return peak
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
