package tests

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/verify/job"
)

// peer finds a program of a Debian package, or ends the test.
func peer(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		without(t, debianPackage)
	}
	return path
}

// interop are jobs in the words of verify_write and in those of fio. The short tier takes the first
// two.
var interop = []struct{ ours, fio string }{
	{"-t crc32c", "--rw=write --bs=4k --verify=crc32c"},
	{"-t md5 --order random", "--rw=randwrite --bs=4k --verify=md5"},
	{"-t sha512 -b 8k --interval 1k", "--rw=write --bs=8k --verify=sha512 --verify_interval=1k"},
	{"-t xxhash --header-offset 512", "--rw=write --bs=4k --verify=xxhash --verify_offset=512"},
	{`-t pattern_hdr -P %o"abc"0x00ff`, `--rw=write --bs=4k --verify_pattern=%o"abc"0x00ff`},
	{"-t crc64 --order random -b 1k-8k", "--rw=randwrite --bsrange=1k-8k --verify=crc64"},
	{"-t sha3-256 --seed 4711", "--rw=write --bs=4k --verify=sha3-256 --randseed=4711"},
	{"-t crc16 -o norandommap --order random", "--rw=randwrite --bs=4k --verify=crc16 --norandommap"},
}

func interopCases() []struct{ ours, fio string } {
	if blockdevtest.Thorough() {
		return interop
	}
	return interop[:2]
}

const interopSize = 256 << 10

// unmeasuredClock saves fio the comparison of clocks that it begins with, a tenth of a second.
const unmeasuredClock = "--clocksource=clock_gettime"

// runFio runs fio on a file, and says whether it found it right.
func runFio(t *testing.T, fio, disk, job string, more ...string) (ok bool, said string) {
	t.Helper()
	args := append(strings.Fields(job), "--name=job", "--filename="+disk,
		fmt.Sprintf("--size=%d", interopSize), "--thread",
		"--ioengine=psync", "--verify_state_save=0", unmeasuredClock)
	cmd := exec.CommandContext(t.Context(), fio, append(args, more...)...)
	cmd.Dir = filepath.Dir(disk)
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

// emptyDisk makes a raw image of zeroes.
func emptyDisk(t *testing.T, size int64) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, size); err != nil {
		t.Fatal(err)
	}
	return disk
}

// blksh runs one command on an image and wants a status.
func blksh(t *testing.T, status string, args ...string) answer {
	t.Helper()
	a, err := asBlksh.run(run{dir: t.TempDir(), args: args})
	if err != nil {
		t.Fatal(err)
	}
	if a.status != status {
		t.Fatalf("blksh %q: %s, want %s\n%s%s", args, a.status, status, a.stdout, a.stderr)
	}
	return a
}

// What the shell writes, fio verifies, and the other way round; both find damage.
func TestFio(t *testing.T) {
	t.Parallel()
	fio := peer(t, "fio", "fio")
	for _, c := range interopCases() {
		t.Run(strings.Fields(c.ours)[1], func(t *testing.T) {
			t.Parallel()
			disk := emptyDisk(t, interopSize)
			blksh(t, "exit 0", "-f", "raw", "-c", "verify_write --fio 3.33 "+c.ours, disk)
			if ok, said := runFio(t, fio, disk, c.fio, "--verify_only"); !ok {
				t.Errorf("fio: %s", said)
			}
			blksh(t, "exit 0", "-f", "raw", "-c", "write -q -P random:1 8200 100", disk)
			if ok, said := runFio(t, fio, disk, c.fio, "--verify_only"); ok {
				t.Errorf("fio sees no damage: %s", said)
			}

			disk = emptyDisk(t, interopSize)
			if ok, said := runFio(t, fio, disk, c.fio, "--do_verify=0"); !ok {
				t.Fatalf("fio: %s", said)
			}
			exact := "verify_read --fio 3.33 --exact " + c.ours
			blksh(t, "exit 0", "-r", "-f", "raw", "-c", exact, disk)
			headers := "verify_read --holes"
			if at := strings.Index(c.ours, " -P"); at >= 0 {
				headers += c.ours[at:]
			}
			blksh(t, "exit 0", "-r", "-f", "raw", "-c", headers, disk)
			blksh(t, "exit 0", "-f", "raw", "-c", "write -q -P random:1 8200 100", disk)
			blksh(t, "exit 1", "-r", "-f", "raw", "-c", exact, disk)
			blksh(t, "exit 1", "-r", "-f", "raw", "-c", headers, disk)
		})
	}
}

// kills is how many writers die for TestKill.
func kills() int { return blockdevtest.Rounds(4, 20, 200) }

const (
	killSize   = 512 << 10
	killBlocks = killSize / 4096
)

// A writing job is killed at random points. What its journal says was flushed is there, on a raw
// image also all that was acknowledged, and what was under way is no reason for an alarm; but where
// flushed blocks are taken away, that is found.
func TestKill(t *testing.T) {
	t.Parallel()
	removed := 0
	for i := range kills() {
		format := []string{"raw", "qcow2"}[i%2]
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		disk := filepath.Join(t.TempDir(), "disk")
		blksh(t, "exit 0", "-c", fmt.Sprintf("create -f %s %s %d", format, disk, killSize))
		noted := killedWriter(t, asBlksh, format, disk, 2000+rng.IntN(40000), (*os.Process).Kill)
		journal := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(journal, noted, 0o666); err != nil {
			t.Fatal(err)
		}
		reading := "verify_read --journal " + journal
		open := []string{"-r", "-U", "-f", format, disk}
		blksh(t, "exit 0", append(open, "-c", reading)...)
		if format == "raw" {
			blksh(t, "exit 0", append(open, "-c", reading+" --acknowledged")...)
		}
		told, err := job.ReadJournal(t.Context(), bytes.NewReader(noted))
		if err != nil {
			t.Fatal(err)
		}
		if told.Flushed < killBlocks {
			continue
		}
		removed++
		// Of so many blocks more were flushed than can have been under way.
		changed(t, "-f", format, disk, "-c",
			fmt.Sprintf("write -q -z %d 256k", rng.IntN(killBlocks/2)*4096))
		blksh(t, "exit 1", append(open, "-c", reading)...)
	}
	if removed == 0 {
		t.Error("no writer lived until all of its blocks were flushed")
	}
}

// changed runs the shell on an image whose writer has just been killed: the kernel lets go of its
// locks a little later.
func changed(t *testing.T, args ...string) {
	t.Helper()
	for {
		a, err := asBlksh.run(run{dir: t.TempDir(), args: args})
		switch {
		case err != nil:
			t.Fatal(err)
		case a.status == "exit 0":
			return
		case a.status != "exit 4" || !time.Now().Before(hangsAt()):
			t.Fatalf("blksh %q: %s\n%s%s", args, a.status, a.stdout, a.stderr)
		}
	}
}

// killedWriter has p start a job whose journal is a pipe, kills it when so many bytes have come
// out, and returns the journal.
func killedWriter(
	t *testing.T, p program, format, disk string, bytes int, kill func(*os.Process) error,
) []byte {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const job = "verify_write --order random -d 8 -o fsync=16 -o loops=1000000 --journal /dev/fd/3"
	cmd := exec.CommandContext(t.Context(), p.path, "-f", format, "-t", "writeback", "-c", job,
		disk)
	cmd.Env, cmd.ExtraFiles = p.environ(), []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	noted := make([]byte, bytes)
	n, err := io.ReadFull(r, noted)
	if err != nil {
		t.Errorf("the writer ended by itself after %d bytes of journal", n)
	}
	if err := kill(cmd.Process); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	return append(noted[:n], rest...)
}
