package hostfile

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

// Ability is an operation that a file system or a device may lack. What it refuses once as not
// supported is not tried again.
type Ability struct{ missing atomic.Bool }

// Try calls do unless the ability is known to be missing. Only "not supported", in the ways in
// which systems say it, becomes ErrNotSupported and is remembered; other errors are errors.
func (a *Ability) Try(do func() error) error {
	if a.missing.Load() {
		return driver.ErrNotSupported
	}
	err := do()
	for _, no := range []unix.Errno{unix.EOPNOTSUPP, unix.ENOSYS, unix.ENODEV, unix.ENOTTY} {
		if errors.Is(err, no) {
			a.missing.Store(true)
			return driver.ErrNotSupported
		}
	}
	return err
}

// Punch is the fallocate(2) mode that makes a hole.
const Punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE

// maxRange is the most that one call zeroes, discards or allocates, in bytes. Between calls the
// context is looked at.
const maxRange = 64 << 20

// Ranges calls do with the pieces of a range that are short enough for one call.
func (f *File) Ranges(ctx context.Context, off, n int64,
	do func(fd int, off, n int64) error,
) error {
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		piece := min(n, maxRange)
		if err := f.With(func(fd int) error { return do(fd, off, piece) }); err != nil {
			return err
		}
		off, n = off+piece, n-piece
	}
	return nil
}

// Fallocate is fallocate(2) on a range of any length.
func (f *File) Fallocate(ctx context.Context, mode uint32, off, n int64) error {
	return f.Ranges(ctx, off, n,
		func(fd int, off, n int64) error { return unix.Fallocate(fd, mode, off, n) })
}

// Space is how much storage a regular file takes, in bytes.
func (f *File) Space() (space int64, err error) {
	err = f.With(func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Blocks < 0 ||
			st.Blocks > math.MaxInt64/statBlock {
			return driver.ErrNotSupported
		}
		space = st.Blocks * statBlock
		return nil
	})
	return space, err
}

// statBlock is the unit of the field Blocks in bytes, whatever the blocks of the file system are.
const statBlock = 512
