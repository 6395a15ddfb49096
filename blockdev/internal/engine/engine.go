// Package engine moves bytes between memory and an open file descriptor.
//
// It has two halves. A Port is one way to hand a single transfer to the kernel (a plain system
// call, a ring) and may fall short like the kernel does. Read and Write stand in front of any Port
// and keep the promise of a block node: the whole request is done or an error says why.
//
//	node ─▶ Read, Write (whole requests) ─▶ Port (one transfer) ─▶ kernel
//
// So the rules about partial transfers exist once, and a faulty Port proves them for every engine.
package engine

import (
	"context"
	"errors"
	"runtime"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// A Port hands one transfer to the kernel and returns how many bytes it moved. It is given at most
// MaxPieces pieces and MaxBytes bytes, may move fewer than asked for, may fail with EINTR or EAGAIN
// at whim, and may be used from many goroutines at once.
type Port interface {
	Readv(fd int, v driver.Vec, off int64) (int, error)
	Writev(fd int, v driver.Vec, off int64) (int, error)
	// Close waits for what is under way and gives back what the port holds.
	Close() error
}

const (
	// MaxPieces is the kernel's IOV_MAX.
	MaxPieces = 1024
	// MaxBytes is the most that one transfer moves. Between transfers the context is looked at, so
	// a request stops soon after it is cancelled. It lies below Linux's own limit of 0x7ffff000.
	MaxBytes = 16 << 20
)

// Read fills v from off and returns how many bytes there were: fewer than asked for mean the end of
// the file.
//
// align is the unit in which the descriptor takes offsets and lengths (1 unless it was opened with
// O_DIRECT); the request is aligned to it.
func Read(ctx context.Context, p Port, fd int, v driver.Vec, off, align int64) (int64, error) {
	return transfer(ctx, v, off, align, func(part driver.Vec, at int64) (int, error) {
		if len(part) > MaxPieces {
			buf := driver.Aligned(part.Len(), align)
			n, err := p.Readv(fd, driver.Vec{buf}, at)
			if n > 0 {
				part.CopyFrom(buf[:n])
			}
			return n, err
		}
		return p.Readv(fd, part, at)
	})
}

// Write writes v at off, see Read. A transfer that moves nothing and tells no reason means that the
// space is used up: ENOSPC.
func Write(ctx context.Context, p Port, fd int, v driver.Vec, off, align int64) error {
	done, err := transfer(ctx, v, off, align, func(part driver.Vec, at int64) (int, error) {
		if len(part) > MaxPieces {
			buf := driver.Aligned(part.Len(), align)
			part.CopyTo(buf)
			part = driver.Vec{buf}
		}
		return p.Writev(fd, part, at)
	})
	if err == nil && done < v.Len() {
		return syscall.ENOSPC
	}
	return err
}

// patience is how often a transfer may move something and yet not get beyond where an earlier one
// ended. It can happen in aligned requests only, which start again at the block in which they
// ended; there it is also how the end of a file shows.
const patience = 4

// transfer repeats step until all is moved, and returns early without an error when no progress is
// made. A transfer that ends inside a block is resumed at the start of that block, since the kernel
// would refuse to go on in its middle.
func transfer(ctx context.Context, v driver.Vec, off, align int64,
	step func(part driver.Vec, at int64) (int, error),
) (int64, error) {
	total := v.Len()
	var done int64
	for tries := 0; done < total && tries < patience; {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		from := done - done%align
		n, err := step(v.Slice(from, min(total-from, MaxBytes)), off+from)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.EAGAIN):
			runtime.Gosched()
			continue
		case err != nil:
			return done, err
		case n == 0:
			return done, nil
		case from+int64(n) <= done:
			tries++
		default:
			done, tries = from+int64(n), 0
		}
	}
	return done, nil
}
