package raw

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
)

// TestProbedQueue has a probed image loaded by the queue of its file, which keeps its first sector
// from becoming another format's.
func TestProbedQueue(t *testing.T) {
	fd, err := unix.MemfdCreate("disk.img", unix.MFD_CLOEXEC) // which has a queue everywhere
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := os.Truncate(name, 64<<10); err != nil {
		t.Fatal(err)
	}
	drivers := []driver.Driver{magic, file.Driver, Driver}
	d, err := blockdev.Open(t.Context(), name, blockdev.OpenConfig{Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const depth = 4
	q, err := d.Top().(driver.Queuer).NewQueue(t.Context(), depth, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for slot := range depth {
		copy(q.Buffer(slot), "MAGIC")
		q.Stage(slot, driver.OpWrite, int64(slot)*4096, 4096, 0)
	}
	if err := q.Submit(); err != nil {
		t.Fatal(err)
	}
	done := make([]int, depth)
	for n := 0; n < depth; {
		m, err := q.Reap(depth-n, done)
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	for slot := range depth {
		if err := q.Err(slot); errors.Is(err, syscall.EPERM) != (slot == 0) {
			t.Errorf("write of block %d: %v", slot, err)
		}
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for slot := range depth {
		if wrote := string(content[slot*4096:][:5]) == "MAGIC"; wrote != (slot > 0) {
			t.Errorf("block %d was written: %v", slot, wrote)
		}
	}
}
