package file_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// Preallocation ends with its context, and takes back what it has added.
func TestPreallocationCancelled(t *testing.T) {
	for _, p := range []driver.Prealloc{driver.PreallocFalloc, driver.PreallocFull} {
		name := temp(t, 4096)
		d := openDevice(t, driver.Mode{}, options("filename", name))
		over, cancel := context.WithCancel(t.Context())
		cancel()
		// The gate lets it through: nothing else is under way that it would have to wait for.
		if err := d.Truncate(over, 1<<30, p); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", p, err)
		}
		st, err := os.Stat(name)
		if err != nil || st.Size() != 4096 || d.Size() != 4096 {
			t.Errorf("%v: %d bytes, %v, and the device says %d", p, st.Size(), err, d.Size())
		}
	}
}

// More than the file system holds is refused before it is full.
func TestPreallocationTooLong(t *testing.T) {
	name := temp(t, 4096)
	d := openDevice(t, driver.Mode{}, options("filename", name))
	err := d.Truncate(t.Context(), 1<<62, driver.PreallocFalloc)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v", err)
	}
	if st, err := os.Stat(name); err != nil || st.Size() != 4096 {
		t.Errorf("%d bytes, %v", st.Size(), err)
	}
}
