//go:build rbd

package rbd

// #cgo noescape batch_start
// #cgo nocallback batch_start
// #cgo noescape batch_collect
// #cgo nocallback batch_collect
// #include "batch.h"
import "C"

import (
	"context"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/blksh/blksh/blockdev/driver"
)

var _ interface {
	driver.Node
	driver.Queuer
	driver.Stored
	driver.Reopener
} = (*image)(nil)

// mostPieces is how much memory in pieces one request may have, as with the kernel.
const mostPieces = 1024

// Info says that librbd gives back whole objects best. Requests may lie anywhere.
func (d *image) Info() driver.Info {
	return driver.Info{Driver: driverName, KnowsSizes: true, Limits: driver.Limits{
		Size: d.size.Load(), MaxIOV: mostPieces, Cluster: d.object,
		MaxZero: driver.MaxRequest, MaxDiscard: driver.MaxRequest,
		ZeroTakes: driver.MayUnmap | driver.NoFallback,
	}}
}

// do makes one request and waits for its answer.
func (d *image) do(op driver.Op, f driver.Flags, v driver.Vec, off, n int64) error {
	if err := d.admit(op, f, off, n); err != nil {
		return err
	}
	b := C.new_batch(1)
	if b == nil {
		return syscall.ENOMEM
	}
	defer C.free_batch(b)
	var pins runtime.Pinner
	defer pins.Unpin()
	pieces := make([]C.struct_iovec, 0, len(v))
	for _, p := range v {
		if len(p) > 0 {
			pins.Pin(&p[0])
			pieces = append(pieces, piece(p))
		}
	}
	r := C.batch_request(b, 0)
	if len(pieces) > 0 {
		pins.Pin(&pieces[0])
		r.pieces, r.count = &pieces[0], C.int(len(pieces))
	}
	fill(r, op, f, off, n)
	var number C.int
	C.batch_start(b, d.handle, &number, 1)
	C.batch_collect(b, 1, &number, 1)
	return outcome(r)
}

// piece is memory for C, which is pinned.
func piece(p []byte) C.struct_iovec {
	return C.struct_iovec{iov_base: unsafe.Pointer(&p[0]), iov_len: C.size_t(len(p))}
}

// fill says what to do. Without leave to give space back, zeroes take some.
func fill(r *C.struct_request, op driver.Op, f driver.Flags, off, n int64) {
	r.op, r.offset, r.length, r.flags = uint32(op), C.uint64_t(off), C.uint64_t(n), 0
	if op == driver.OpZero && f&driver.MayUnmap == 0 {
		r.flags = C.RBD_WRITE_ZEROES_FLAG_THICK_PROVISION
	}
}

// outcome is what became of a request. One that read less than it was to lies outside the image,
// which somebody has made shorter.
func outcome(r *C.struct_request) error {
	switch {
	case r.result < 0:
		return syscall.Errno(-r.result)
	case r.op == C.OP_READ && uint64(r.result) != uint64(r.length):
		return syscall.EIO
	}
	return nil
}

func (d *image) ReadVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	return d.do(driver.OpRead, 0, v, off, v.Len())
}

func (d *image) WriteVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	return d.do(driver.OpWrite, 0, v, off, v.Len())
}

func (d *image) Zero(_ context.Context, off, n int64, f driver.Flags) error {
	return d.do(driver.OpZero, f, nil, off, n)
}

func (d *image) Discard(_ context.Context, off, n int64, _ driver.Flags) error {
	return d.do(driver.OpDiscard, 0, nil, off, n)
}

// admit refuses what librbd must not be asked for, and makes the image longer for what goes on
// behind its end, which librbd does not. Without leave to give space back zeroes are written, which
// is not what NoFallback is for.
func (d *image) admit(op driver.Op, f driver.Flags, off, n int64) error {
	behind := off > d.size.Load()-n
	switch {
	case behind && op == driver.OpDiscard:
		return syscall.EINVAL
	case op == driver.OpZero && f&driver.NoFallback != 0 && f&driver.MayUnmap == 0:
		return driver.ErrNotSupported
	case behind && (op == driver.OpWrite || op == driver.OpZero):
		d.resizing.Lock()
		defer d.resizing.Unlock()
		if end := off + n; end > d.size.Load() {
			return d.resize(end)
		}
	}
	return nil
}

// resize is called with resizing held.
func (d *image) resize(size int64) error {
	r := int(C.rbd_resize(d.handle, C.uint64_t(size)))
	if err := failed(r, "failed to resize the image"); err != nil {
		return err
	}
	d.size.Store(size)
	return nil
}

// Flush has librbd write what it keeps back and wait until all stores that are to have it do.
func (d *image) Flush(context.Context) error { return d.do(driver.OpFlush, 0, nil, 0, 0) }

// Truncate changes the length. Space is taken when it is written to.
func (d *image) Truncate(
	_ context.Context, size int64, p driver.Prealloc, _ driver.Flags,
) error {
	if p != driver.PreallocOff {
		return driver.RefuseAs(syscall.ENOTSUP, "Unsupported preallocation mode '%s'", p)
	}
	d.resizing.Lock()
	defer d.resizing.Unlock()
	return d.resize(size)
}

// Prepare takes no other options, and writes only if it was opened for that.
func (d *image) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	err = o.Unchanged(d.config)
	if err == nil && d.readOnly && !o.Mode.ReadOnly {
		err = driver.RefuseAs(syscall.EACCES,
			"an rbd image that was opened to be read has to be opened anew to be written")
	}
	return nil, nil, err
}

// Close writes back what librbd keeps, and takes leave of the cluster.
func (d *image) Close() error {
	err := d.release()
	d.pool.close()
	return err
}

// DescribeStorage tells which image it is.
func (d *image) DescribeStorage() []driver.Detail {
	return []driver.Detail{
		{Key: "pool", Value: d.config.Pool},
		{Key: "namespace", Value: d.config.Namespace},
		{Key: "image", Value: d.config.Image},
		{Key: "snapshot", Value: d.config.Snapshot},
		{Key: "object size", Value: d.object},
	}
}
