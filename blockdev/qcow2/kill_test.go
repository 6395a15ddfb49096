package qcow2_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// killImage names the image for the process that is going to be killed, which is this test program
// again.
const killImage = "QCOW2_TEST_KILL_IMAGE"

const killWriters = 4

// TestKilledWriter is that process: several goroutines write without end, and each prints a line
// behind every flush.
func TestKilledWriter(t *testing.T) {
	path := os.Getenv(killImage)
	if path == "" {
		t.Skip("runs below TestKill only")
	}
	ctx := context.Background()
	d := openImage(t, path, options())
	var out sync.Mutex
	var wg sync.WaitGroup
	part := d.Length() / killWriters
	for w := range int64(killWriters) {
		wg.Go(func() {
			buf := make([]byte, 5000)
			for n := uint64(1); ; n++ {
				binary.LittleEndian.PutUint64(buf, n)
				at := w*part + int64(n*7919%uint64(part/int64(len(buf))))*int64(len(buf))
				if err := d.Write(ctx, driver.Vec{buf}, at, 0); err != nil {
					t.Error(err)
					return
				}
				if n%10 == 0 {
					if err := d.Flush(ctx); err != nil {
						t.Error(err)
						return
					}
					out.Lock()
					fmt.Printf("flushed %d %d\n", w, n)
					out.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

// TestKill kills a process amid parallel writes: the image is sound, and what was flushed is there.
func TestKill(t *testing.T) {
	needPeers(t)
	rounds := 4
	if os.Getenv("BLKSH_TIER") >= "2" {
		rounds = 100
	}
	dir := t.TempDir()
	for i := range rounds {
		path := filepath.Join(dir, fmt.Sprintf("%d.qcow2", i))
		qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path, "32M")
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledWriter$")
		cmd.Env = append(os.Environ(), killImage+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var flushed [killWriters]uint64
		lines := bufio.NewScanner(out)
		for n := 0; n < 5+13*i && lines.Scan(); n++ {
			var w, count uint64
			if _, err := fmt.Sscanf(lines.Text(), "flushed %d %d", &w, &count); err == nil {
				flushed[w] = count
			}
		}
		_ = cmd.Process.Kill()
		for lines.Scan() { // lines that were written before it died
			var w, count uint64
			if n, _ := fmt.Sscanf(lines.Text(), "flushed %d %d", &w, &count); n == 2 {
				flushed[w] = count
			}
		}
		_ = cmd.Wait() // it was killed
		qemuImg(t, "check", "-q", "-r", "leaks", path)
		judgeKilled(t, path, flushed)
	}
}

// judgeKilled looks for every write that a flush covered. A place may have been written again
// since.
func judgeKilled(t *testing.T, path string, flushed [killWriters]uint64) {
	t.Helper()
	d := openImage(t, path, options())
	defer d.Close()
	part := d.Length() / killWriters
	buf := make([]byte, 5000)
	for w, last := range flushed {
		for n := uint64(1); n <= last; n++ {
			at := int64(w)*part + int64(n*7919%uint64(part/int64(len(buf))))*int64(len(buf))
			if err := d.Read(context.Background(), driver.Vec{buf}, at, 0); err != nil {
				t.Fatal(err)
			}
			got := binary.LittleEndian.Uint64(buf)
			if got < n || !bytes.Equal(buf[8:], make([]byte, len(buf)-8)) {
				t.Fatalf("%s: writer %d: write %d of %d is gone: %d is there", path, w, n, last,
					got)
			}
		}
	}
}
