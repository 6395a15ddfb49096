package mem

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// inUse is how many bytes the pages of all disks of the process take.
var inUse atomic.Int64

// measured is halfOfMemory once it was asked for.
var measured struct {
	once sync.Once
	half int64
}

// allowed is how many they may take. The process would be killed before it had all.
func allowed() int64 {
	measured.once.Do(func() { measured.half = halfOfMemory() })
	return measured.half
}

// halfOfMemory is half of the bytes that the machine has or, if that is less, its control group may
// have.
func halfOfMemory() int64 {
	const fallback = 1 << 30
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return fallback
	}
	all := int64(info.Totalram) * int64(info.Unit)
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		// else it is "max"
		if group, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil {
			all = min(all, group)
		}
	}
	return all / 2
}

// take counts one more page, and fails if that would be too many.
func (d *disk) take() error {
	total, own := inUse.Add(pageSize), d.taken.Add(pageSize)
	switch {
	case d.limit > 0 && own > d.limit:
		d.giveBack(1)
		return full("the disk", d.limit)
	case d.limit == 0 && total > allowed():
		d.giveBack(1)
		return full("all disks in memory", allowed())
	}
	return nil
}

func full(what string, limit int64) error {
	return driver.RefuseAs(syscall.ENOSPC,
		"%s may take %d bytes of memory, which are in use; the option limit allows another number",
		what, limit)
}

// giveBack counts so many pages less.
func (d *disk) giveBack(pages int64) {
	inUse.Add(-pages * pageSize)
	d.taken.Add(-pages * pageSize)
}

// Close gives all memory back.
func (d *disk) Close() error {
	for i := range d.shards {
		d.giveBack(d.shards[i].drop(int64(i), 0, maxSize/pageSize+1))
	}
	return nil
}
