package blockdev

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Device is an open disk: the top of one stack of nodes. It is the one place that checks bounds and
// permission, so that no layer below needs to. Its methods may be called from many goroutines at
// once.
type Device struct {
	tree *tree
	top  driver.Node

	state        atomic.Pointer[deviceState]
	writethrough atomic.Bool
	over         atomic.Bool // Close has returned

	mu    sync.Mutex
	claim driver.Claim
}

var (
	_ io.ReaderAt = (*Device)(nil)
	_ io.WriterAt = (*Device)(nil)
)

// Top is the topmost node, for Find and for what concerns one driver. Data requests belong to the
// Device.
func (d *Device) Top() driver.Node { return d.top }

// Size is the length in bytes. With OpenConfig.LikeQEMU it is rounded up to whole sectors: a file
// of 1000 bytes is 1024 long then, and reads as zeroes behind its end.
func (d *Device) Size() int64 { return d.length(d.top.Info()) }

// length is the size that requests must lie within.
func (d *Device) length(info Info) int64 {
	if d.tree.cfg.LikeQEMU {
		return roundUp(info.Size, SectorSize)
	}
	return info.Size
}

// Usable is nil for a device that is open and has its medium, which one loses whose image was found
// corrupt.
func (d *Device) Usable() error { return d.enter(opSize, 0, 0) }

// Info is what the topmost node says about itself, under the name of the driver that was asked for.
func (d *Device) Info() Info {
	info := d.top.Info()
	info.Driver = d.tree.root.driver.Name
	return info
}

// Driver is the one that was asked for, or guessed.
func (d *Device) Driver() *Driver { return d.tree.root.driver }

// Describe gives the lines that the driver has to tell of this image, nil if it has none.
func (d *Device) Describe() []Detail {
	if about, ok := d.tree.root.guard.node.(driver.Describer); ok {
		return about.Describe()
	}
	return nil
}

// ReadOnly says whether the device was opened without permission to write.
func (d *Device) ReadOnly() bool { return d.state.Load().readOnly }

// WriteThrough says whether each write is on stable storage before it returns.
func (d *Device) WriteThrough() bool { return d.writethrough.Load() }

// SetWriteThrough switches between writethrough and writeback.
func (d *Device) SetWriteThrough(on bool) { d.writethrough.Store(on) }

// Strict says whether writes must be made of whole blocks, see OpenConfig.Strict.
func (d *Device) Strict() bool { return d.state.Load().strict }

// SetStrict changes that.
func (d *Device) SetStrict(on bool) { d.change(func(s *deviceState) { s.strict = on }) }

// Block is the unit that the storage works in, in bytes: the logical block of a device, what
// O_DIRECT asks of a file, else a sector.
func (d *Device) Block() int64 {
	block := int64(SectorSize)
	for n := d.top; n != nil; n = n.Primary() {
		l := n.Info().Limits
		block = max(block, l.RequestAlign, l.Block)
	}
	return block
}

// NeedWrite makes sure that the device may be written to, or also resized, and extends its claim on
// the file to what is needed. The error is ErrReadOnly or that of an image lock.
func (d *Device) NeedWrite(ctx context.Context, resize bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch state := d.state.Load(); {
	case state.closed:
		return os.ErrClosed
	case state.readOnly && d.tree.cfg.LoadSnapshot != "":
		return errSnapshotOpen
	case state.readOnly:
		return ErrReadOnly
	}
	want := d.claim
	want.Use |= driver.PermWrite
	if resize {
		want.Use |= driver.PermResize
	}
	if want == d.claim {
		return nil
	}
	if err := driver.ClaimOn(ctx, d.top, want); err != nil {
		return err
	}
	d.claim = want
	return nil
}

// Read fills v from off. Any length is fine; it goes down in pieces of MaxRequest.
func (d *Device) Read(ctx context.Context, v Vec, off int64, f Flags) error {
	n := v.Len()
	if err := d.enter(OpRead, off, n); err != nil || n == 0 {
		return err
	}
	for at, part := range v.Pieces(MaxRequest) {
		if err := d.top.ReadVec(ctx, part, off+at, f); err != nil {
			return d.wrap(OpRead, off+at, part.Len(), err)
		}
	}
	return nil
}

// Write writes v at off.
func (d *Device) Write(ctx context.Context, v Vec, off int64, f Flags) error {
	n := v.Len()
	if err := d.enter(OpWrite, off, n); err != nil || n == 0 {
		return err
	}
	for at, part := range v.Pieces(MaxRequest) {
		if err := d.top.WriteVec(ctx, part, off+at, d.durable(f)); err != nil {
			return d.wrap(OpWrite, off+at, part.Len(), err)
		}
	}
	return nil
}

// promised are the flags that a request goes down with.
func (d *Device) promised(op Op, f Flags) Flags {
	if op == OpWrite || op == OpZero {
		return d.durable(f)
	}
	return f
}

// durable adds FUA when the device writes through, unless the caller sees to that.
func (d *Device) durable(f Flags) Flags {
	if f&Deferred != 0 {
		return f &^ (Deferred | FUA)
	}
	if d.writethrough.Load() {
		f |= FUA
	}
	return f
}

// Zero makes n bytes from off read as zeroes.
func (d *Device) Zero(ctx context.Context, off, n int64, f Flags) error {
	if err := d.enter(OpZero, off, n); err != nil || n == 0 {
		return err
	}
	return d.wrap(OpZero, off, n, d.top.Zero(ctx, off, n, d.durable(f)))
}

// Discard says that n bytes from off are of no more use.
func (d *Device) Discard(ctx context.Context, off, n int64) error {
	if err := d.enter(OpDiscard, off, n); err != nil || n == 0 {
		return err
	}
	return d.wrap(OpDiscard, off, n, d.top.Discard(ctx, off, n, 0))
}

// Truncate changes the length. What is added reads as zeroes.
func (d *Device) Truncate(ctx context.Context, size int64, p Prealloc) error {
	if err := d.enter(opTruncate, size, 0); err != nil {
		return err
	}
	return d.wrap(opTruncate, size, 0, d.top.Truncate(ctx, size, p, 0))
}

// Flush puts everything written on stable storage. Storage that others reach too is always asked:
// it may have writes of theirs, or of an earlier connection.
func (d *Device) Flush(ctx context.Context) error {
	if err := d.enter(OpFlush, 0, 0); err != nil {
		return err
	}
	for g := range d.guards() {
		if _, elsewhere := g.node.(driver.Located); elsewhere && !g.readOnly.Load() {
			g.asked.Store(true)
		}
	}
	return d.wrap(OpFlush, 0, 0, d.top.Flush(ctx))
}

// Sync is Flush for who has no context.
func (d *Device) Sync() error { return d.Flush(context.Background()) }

// ReadAt reads len(p) bytes from off. At the end of the device it reads what is there and returns
// io.EOF.
func (d *Device) ReadAt(p []byte, off int64) (int, error) {
	n, end := int64(len(p)), d.Size()
	if off < 0 {
		return 0, d.wrap(OpRead, off, n, syscall.EINVAL)
	}
	if off >= end {
		return 0, io.EOF
	}
	part := min(n, end-off)
	if err := d.Read(context.Background(), Vec{p[:part]}, off, 0); err != nil {
		return 0, err
	}
	if part < n {
		return int(part), io.EOF
	}
	return int(n), nil
}

// WriteAt writes p at off.
func (d *Device) WriteAt(p []byte, off int64) (int, error) {
	if err := d.Write(context.Background(), Vec{p}, off, 0); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Unflushed says whether something was written, or was to be changed, since the last flush: it may
// not be in the image if the program ends now. Once Close has returned that has said it. Any
// goroutine may ask, and waits for nothing.
func (d *Device) Unflushed() bool {
	return !d.over.Load() && d.tree.top.guard.unflushed()
}

// Over says whether Close has returned.
func (d *Device) Over() bool { return d.over.Load() }

// Close waits for what is under way, flushes the device and closes every node. The device is gone
// even if that fails, and everything asked of it afterwards fails with os.ErrClosed. Requests in a
// batch queue are not waited for; the queue is closed before, or fails what it is given afterwards.
func (d *Device) Close() error {
	defer d.over.Store(true)
	if !d.change(func(s *deviceState) { s.closed = true }) {
		return os.ErrClosed
	}
	d.mu.Lock() // let a reopen end
	defer d.mu.Unlock()
	ctx, top := context.Background(), d.tree.top.guard
	r, err := top.tracker.hold(ctx, true)
	if err != nil {
		return err
	}
	defer top.tracker.end(r)
	top.tracker.close()
	if !top.idle() {
		err = d.wrap(OpFlush, 0, 0, top.flush(ctx))
	}
	return errors.Join(err, d.tree.close())
}

func roundUp(n, align int64) int64 { return (n + align - 1) / align * align }

func roundDown(n, align int64) int64 { return n / align * align }
