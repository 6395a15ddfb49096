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
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
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
	part := d.Size() / killWriters
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
	rounds := blockdevtest.Rounds(4, 100)
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
	part := d.Size() / killWriters
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

// generationSize is the length of the disk that TestKilledSnapshots fills with one number after the
// other.
const generationSize = 256 << 10

// TestKilledSnapshots is the process that TestKillSnapshots kills. Of each generation it fills the
// disk with the number, makes a snapshot of that name, and sometimes applies or deletes an older
// one.
func TestKilledSnapshots(t *testing.T) {
	path := os.Getenv(killImage)
	if path == "" {
		t.Skip("runs below TestKillSnapshots only")
	}
	ctx := context.Background()
	d := openImage(t, path, options())
	for n := uint64(1); ; n++ {
		buf := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, n), generationSize/8)
		err := d.Write(ctx, driver.Vec{buf}, 0, 0)
		if err == nil {
			_, err = d.CreateSnapshot(ctx, fmt.Sprint("g", n), time.Unix(1, 0))
		}
		if err == nil && n > 3 && n%3 == 0 {
			_, err = d.ApplySnapshot(ctx, fmt.Sprint("g", n-1))
		}
		if err == nil && n > 3 {
			_, err = d.DeleteSnapshot(ctx, fmt.Sprint("g", n-3))
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("made %d\n", n)
	}
}

// TestKillSnapshots kills a process amid snapshots: the image is sound once it was opened, and each
// snapshot holds what the disk did.
func TestKillSnapshots(t *testing.T) {
	needPeers(t)
	rounds := blockdevtest.Rounds(3, 60)
	dir := t.TempDir()
	for i := range rounds {
		path := filepath.Join(dir, fmt.Sprintf("%d.qcow2", i))
		qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path,
			fmt.Sprint(generationSize))
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledSnapshots$")
		cmd.Env = append(os.Environ(), killImage+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 4+3*i && lines.Scan(); n++ { // some way into the next generation
		}
		_ = cmd.Process.Kill()
		for lines.Scan() {
		}
		_ = cmd.Wait() // it was killed
		judgeSnapshots(t, path)
	}
}

// judgeSnapshots opens an image that its last user left, and looks at all of its snapshots.
func judgeSnapshots(t *testing.T, path string) {
	t.Helper()
	ctx := context.Background()
	d := openImage(t, path, options()) // repairs it if it is dirty
	list, err := d.Snapshots(ctx)
	if closed := d.Close(); err != nil || closed != nil {
		t.Fatalf("%v, %v", err, closed)
	}
	qemuImg(t, "check", "-q", "-r", "leaks", path)
	qemuImg(t, "check", "-q", path)
	if len(list) == 0 {
		t.Errorf("%s: no snapshot is left", path)
	}
	got := make([]byte, generationSize)
	for _, s := range list {
		var n uint64
		if _, err := fmt.Sscanf(s.Name, "g%d", &n); err != nil {
			t.Fatalf("%q: %v", s.Name, err)
		}
		d, err := loadedImage(path, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		err = d.Read(ctx, driver.Vec{got}, 0, 0)
		want := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, n), generationSize/8)
		if !bytes.Equal(got, want) || err != nil {
			t.Errorf("%s: snapshot %s does not hold what the disk did (%v)", path, s.Name, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
