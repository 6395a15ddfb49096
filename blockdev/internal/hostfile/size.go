package hostfile

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// The length of a file is remembered and not asked for at each request. Others may change it
// meanwhile: what they add is not seen, as in QEMU. What they cut off is: a read then meets the end
// of the file where there was more, and gets an error instead of zeroes.

// span is a range of bytes.
type span struct{ off, end int64 }

// Size is the length in bytes as last seen; SetSize and Grow keep it.
func (f *File) Size() int64 { return f.size.Load() }

// SetSize records a length that the file was given. What is cut off on purpose is not missed.
func (f *File) SetSize(n int64) {
	f.size.Store(n)
	if l := f.lost.Load(); l != nil && n < l.end {
		f.lost.Store(&span{min(l.off, n), n})
	}
}

// Grow records that the file reaches at least to n.
func (f *File) Grow(n int64) {
	for {
		old := f.size.Load()
		if old >= n || f.size.CompareAndSwap(old, n) {
			return
		}
	}
}

// Measure looks how long the file is now. EIO if it has become shorter.
func (f *File) Measure() error {
	var size int64
	err := f.With(func(fd int) (err error) {
		size, err = f.cfg.Size(fd)
		return err
	})
	if err != nil {
		return driver.Because(err, "Could not refresh total sector count")
	}
	if known := f.size.Load(); size < known {
		return f.cut(size, known)
	}
	f.Grow(size)
	return nil
}

// checkEnd is asked about a read that found nothing from end on. EIO if there was something before:
// from then on the file is as long as it is, and requests that touch what is gone fail.
func (f *File) checkEnd(fd int, end int64) error {
	known := f.size.Load()
	if end >= known {
		return nil
	}
	size, err := f.cfg.Size(fd)
	if err != nil {
		return err
	}
	return f.cut(min(size, end), known)
}

func (f *File) cut(size, known int64) error {
	l := span{size, known}
	if old := f.lost.Load(); old != nil {
		l = span{min(old.off, size), max(old.end, known)}
	}
	f.lost.Store(&l)
	f.size.Store(size)
	return fmt.Errorf("'%s' has become shorter while it was open: %d bytes of %d are left: %w",
		f.name, size, known, unix.EIO)
}
