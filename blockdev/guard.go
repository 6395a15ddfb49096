package blockdev

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// guard stands in front of each node, put there by the opener. It turns what may be asked of a node
// into what its Limits allow: it splits, pads to the alignment by read-modify-write, emulates
// flags, writes zeroes where they cannot be had otherwise, reads zeroes behind the end, fires the
// events of the generic layer, traces, and makes overlapping requests wait for each other where one
// of them does read-modify-write.
type guard struct {
	driver.Leaf // its methods are all replaced
	node        driver.Node
	sink        driver.EventSink // node, if it wants events
	name        string           // of the driver

	// State that Reopen changes.
	readOnly, noFlush, unmap atomic.Bool
	detectZeroes             atomic.Int32

	filter       bool // node keeps nothing that a flush would have to bring down
	alwaysFlush  bool // node is flushed also if nothing was written
	trace        func(TraceEvent)
	exactDiscard bool // see OpenConfig.ExactDiscard

	tracker tracker

	flushing wait.Mutex
	// generations, as in QEMU: a leaf with nothing new is not synced
	written, flushedAt atomic.Int64
	asked              atomic.Bool // for a flush, by who knows better
}

var (
	_ driver.Node      = (*guard)(nil)
	_ driver.EventSink = (*guard)(nil)
)

// What detect-zeroes does with a write of zeroes.
const (
	detectOff = iota
	detectOn
	detectUnmap
)

// bounceSize is the largest buffer that stands in for memory that a node cannot take, in bytes.
const bounceSize = 1 << 20

// TraceEvent is one request that passed a guard.
type TraceEvent struct {
	Node, Driver string
	Op           string // read, write, zero, discard, flush, truncate
	Off, Len     int64
	Flags        Flags
	Err          error // nil unless Done
	Done         bool  // the request has ended
}

func newGuard(n driver.Node, name string) *guard {
	g := &guard{node: n, name: name}
	g.sink, _ = n.(driver.EventSink)
	return g
}

// Info is the node's.
func (g *guard) Info() Info { return g.node.Info() }

// Primary is the guarded node.
func (g *guard) Primary() driver.Node { return g.node }

// SameBytes holds.
func (g *guard) SameBytes() bool { return true }

// Close closes the guarded node.
func (g *guard) Close() error { return g.node.Close() }

// OnEvent tells the guarded node.
func (g *guard) OnEvent(ctx context.Context, e driver.Event) error {
	if g.sink == nil {
		return nil
	}
	return g.sink.OnEvent(ctx, e)
}

// begin traces the start of a request; the result is called with its outcome.
func (g *guard) begin(op string, off, n int64, f Flags) func(error) {
	if g.trace == nil {
		return func(error) {}
	}
	ev := TraceEvent{Node: g.name, Driver: g.node.Info().Driver, Op: op, Off: off, Len: n, Flags: f}
	g.trace(ev)
	return func(err error) {
		ev.Err, ev.Done = err, true
		g.trace(ev)
	}
}

// padding is how a request sticks out of its aligned range.
type padding struct {
	align      int64
	head, tail int64 // bytes between the aligned range and the request, at either side
	off, n     int64 // the aligned range
	// oneBlock: head and tail lie in the same block, or all of the range is read at once.
	oneBlock bool
}

func padTo(align, off, n int64) padding {
	p := padding{align: align, off: roundDown(off, align)}
	end := roundUp(off+n, align)
	p.head, p.tail, p.n = off-p.off, end-(off+n), end-p.off
	p.oneBlock = p.n == align || (p.n == 2*align && p.head > 0 && p.tail > 0)
	return p
}

func (p padding) needed() bool { return p.head|p.tail != 0 }

func requestAlign(l driver.Limits) int64 { return max(1, l.RequestAlign) }

// maxTransfer is the longest aligned request, in bytes.
func maxTransfer(l driver.Limits) int64 {
	return max(roundDown(longest(l), requestAlign(l)), requestAlign(l))
}

// longest is the longest request, aligned or not.
func longest(l driver.Limits) int64 {
	if l.MaxTransfer > 0 {
		return min(math.MaxInt32, l.MaxTransfer)
	}
	return math.MaxInt32
}

// memoryFits says whether the node can take v as it is.
func memoryFits(l driver.Limits, v Vec) bool {
	if l.MemAlign <= 1 {
		return true
	}
	mask := uintptr(l.MemAlign - 1)
	for _, p := range v {
		if len(p) > 0 && (uintptr(unsafe.Pointer(&p[0]))|uintptr(len(p)))&mask != 0 {
			return false
		}
	}
	return true
}

// checkLost refuses what touches a part that is gone.
func checkLost(l driver.Limits, off, n int64) error {
	if off >= l.LostEnd || off+n <= l.LostOff {
		return nil
	}
	return fmt.Errorf("bytes %d to %d are gone: the file has become shorter while it was open: %w",
		l.LostOff, l.LostEnd-1, syscall.EIO)
}

// reachable refuses what lies outside of every file. Broken metadata has such numbers, and
// everything below adds to them.
func reachable(off, n int64) error {
	if off < 0 || n < 0 || off > maxLength-n {
		return syscall.EIO
	}
	return nil
}

// ReadVec reads any range into any memory.
func (g *guard) ReadVec(ctx context.Context, v Vec, off int64, f Flags) (err error) {
	n := v.Len()
	if n == 0 {
		return nil
	}
	done := g.begin("read", off, n, f)
	defer func() { done(err) }()
	if err := reachable(off, n); err != nil {
		return err
	}
	r, err := g.tracker.enter(ctx, off, n)
	if err != nil {
		return err
	}
	defer g.tracker.end(r)
	lim := g.node.Info().Limits
	if err := checkLost(lim, off, n); err != nil {
		return err
	}
	p := padTo(requestAlign(lim), off, n)
	if p.needed() {
		padded := make(Vec, 0, len(v)+2)
		padded = append(padded, driver.Aligned(p.head, lim.MemAlign))
		padded = append(padded, v...)
		v = append(padded, driver.Aligned(p.tail, lim.MemAlign))
	}
	return g.readAligned(ctx, lim, v, p.off, f)
}

// readAligned reads an aligned range: in pieces, and zeroes behind the end.
func (g *guard) readAligned(ctx context.Context, lim driver.Limits, v Vec, off int64,
	f Flags,
) error {
	inside := max(0, min(v.Len(), roundUp(lim.Size-off, requestAlign(lim))))
	if rest := v.Len() - inside; rest > 0 {
		v.Slice(inside, rest).Clear()
		v = v.Slice(0, inside)
	}
	if inside == 0 {
		return nil
	}
	if !memoryFits(lim, v) {
		return g.readBounced(ctx, lim, v, off, f)
	}
	if inside <= maxTransfer(lim) {
		return g.node.ReadVec(ctx, v, off, f)
	}
	return inPieces(ctx, v, maxTransfer(lim), func(at int64, part Vec) error {
		return g.node.ReadVec(ctx, part, off+at, f)
	})
}

// inPieces makes a request in pieces of at most limit bytes, as long as ctx lasts.
func inPieces(ctx context.Context, v Vec, limit int64, do func(at int64, part Vec) error) error {
	for at, part := range v.Pieces(limit) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(at, part); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) readBounced(ctx context.Context, lim driver.Limits, v Vec, off int64,
	f Flags,
) error {
	step := min(maxTransfer(lim), max(bounceSize, requestAlign(lim)))
	buf := driver.Aligned(min(step, v.Len()), lim.MemAlign)
	return inPieces(ctx, v, step, func(at int64, part Vec) error {
		b := buf[:part.Len()]
		if err := g.node.ReadVec(ctx, Vec{b}, off+at, f); err != nil {
			return err
		}
		part.CopyFrom(b)
		return nil
	})
}

// WriteVec writes any range from any memory.
func (g *guard) WriteVec(ctx context.Context, v Vec, off int64, f Flags) (err error) {
	n := v.Len()
	if n == 0 {
		return nil
	}
	if mode := g.detectZeroes.Load(); mode != detectOff && f&Compressed == 0 && isZero(v) {
		zf := f
		if mode == detectUnmap && g.unmap.Load() {
			zf |= MayUnmap
		}
		return g.Zero(ctx, off, n, zf)
	}
	done := g.begin("write", off, n, f)
	defer func() { done(err) }()
	c, err := g.change(ctx, off, n)
	if err != nil {
		return err
	}
	defer g.tracker.end(c.tracked)
	if !c.needed() {
		return g.writeAligned(ctx, c.lim, v, off, f)
	}
	padded := make(Vec, 0, len(v)+2)
	padded = append(padded, c.headBlock[:c.head])
	padded = append(padded, v...)
	padded = append(padded, c.tailBlock[int64(len(c.tailBlock))-c.tail:])
	return g.writeAligned(ctx, c.lim, padded, c.off, f)
}

// checkWritable refuses a change whose turn came after a reopen without permission to write.
func (g *guard) checkWritable() error {
	if g.readOnly.Load() {
		return errWriteProtected
	}
	return nil
}

// change is a request to change any range whose turn has come.
type change struct {
	lim driver.Limits
	padding
	tracked *tracked
	// headBlock and tailBlock are what readEdges read.
	headBlock, tailBlock []byte
}

// change waits for the requests that a change of the range must come behind, and reads the blocks
// that it covers in part. Who made the change ends it in the tracker.
func (g *guard) change(ctx context.Context, off, n int64) (c change, err error) {
	if err := reachable(off, n); err != nil {
		return c, err
	}
	c.lim = g.node.Info().Limits
	c.padding = padTo(requestAlign(c.lim), off, n)
	c.tracked = g.tracker.begin(off, n)
	if !c.needed() {
		err = g.tracker.wait(ctx, c.tracked)
	} else {
		err = g.tracker.serialise(ctx, c.tracked, c.align)
	}
	if err == nil {
		err = g.checkWritable()
	}
	if err == nil {
		c.lim = g.node.Info().Limits // a change of the length may have come before
		err = checkLost(c.lim, off, n)
	}
	if err == nil && c.needed() {
		c.headBlock, c.tailBlock, err = g.readEdges(ctx, c.lim, c.padding)
	}
	if err != nil {
		g.tracker.end(c.tracked)
	}
	return c, err
}

// readEdges reads the blocks that a request covers in part. head is nil without a head, tail
// without a tail; in one block they are the same memory.
func (g *guard) readEdges(ctx context.Context, lim driver.Limits,
	p padding,
) (head, tail []byte, err error) {
	edge := func(off, n int64, isHead, isTail bool) ([]byte, error) {
		fireIf := func(cond bool, e driver.Event) error {
			if !cond {
				return nil
			}
			return g.OnEvent(ctx, e)
		}
		buf := driver.Aligned(n, lim.MemAlign)
		if err := errors.Join(fireIf(isHead, driver.EvPwritevRMWHead),
			fireIf(isTail, driver.EvPwritevRMWTail)); err != nil {
			return nil, err
		}
		if err := g.readAligned(ctx, lim, Vec{buf}, off, 0); err != nil {
			return nil, err
		}
		return buf, errors.Join(fireIf(isHead, driver.EvPwritevRMWAfterHead),
			fireIf(isTail, driver.EvPwritevRMWAfterTail))
	}
	if p.oneBlock {
		head, err = edge(p.off, p.n, p.head > 0, p.tail > 0)
		return head, head, err
	}
	if p.head > 0 {
		if head, err = edge(p.off, p.align, true, false); err != nil {
			return nil, nil, err
		}
	}
	if p.tail > 0 {
		tail, err = edge(p.off+p.n-p.align, p.align, false, true)
	}
	return head, tail, err
}

// writeAligned writes an aligned range within the limits, and flushes behind it where FUA cannot be
// had otherwise.
func (g *guard) writeAligned(ctx context.Context, lim driver.Limits, v Vec, off int64,
	f Flags,
) error {
	if f&Compressed != 0 {
		if lim.WriteTakes&Compressed == 0 {
			return driver.RefuseAs(ErrNotSupported, "an image of this kind holds no compressed clusters")
		}
		return g.writePieces(ctx, lim, v, off, f)
	}
	if err := g.OnEvent(ctx, driver.EvPwritev); err != nil {
		return err
	}
	err := g.writePieces(ctx, lim, v, off, f)
	if derr := g.OnEvent(ctx, driver.EvPwritevDone); err == nil {
		err = derr
	}
	return err
}

func (g *guard) writePieces(ctx context.Context, lim driver.Limits, v Vec, off int64,
	f Flags,
) error {
	err := g.writeData(ctx, lim, v, off, f&lim.WriteTakes)
	return g.wrote(ctx, err, f&FUA&^lim.WriteTakes != 0)
}

func (g *guard) writeData(ctx context.Context, lim driver.Limits, v Vec, off int64, f Flags) error {
	n := v.Len()
	switch {
	case !memoryFits(lim, v):
		step := min(maxTransfer(lim), max(bounceSize, requestAlign(lim)))
		buf := driver.Aligned(min(step, n), lim.MemAlign)
		return inPieces(ctx, v, step, func(at int64, part Vec) error {
			return g.node.WriteVec(ctx, Vec{buf[:part.CopyTo(buf)]}, off+at, f)
		})
	case n <= maxTransfer(lim):
		return g.node.WriteVec(ctx, v, off, f)
	}
	return inPieces(ctx, v, maxTransfer(lim), func(at int64, part Vec) error {
		return g.node.WriteVec(ctx, part, off+at, f)
	})
}

// Truncate is alone on the node: it waits for all that is under way, and everything that comes
// waits for it.
func (g *guard) Truncate(ctx context.Context, size int64, p Prealloc, f Flags) (err error) {
	if size < 0 {
		return driver.Refuse("Image size cannot be negative")
	}
	if size > maxLength {
		return driver.RefuseAs(syscall.EFBIG, "offset(%d) exceeds maximum(%d)", size,
			int64(maxLength))
	}
	done := g.begin("truncate", size, 0, f)
	defer func() { done(err) }()
	r, err := g.tracker.hold(ctx, false)
	if err != nil {
		return err
	}
	defer g.tracker.end(r)
	if err := g.checkWritable(); err != nil {
		return err
	}
	defer g.written.Add(1)
	err = g.node.Truncate(ctx, size, p, f)
	if err == ErrNotSupported { // bare: the node has no words of its own
		err = driver.RefuseAs(err, "Image format driver does not support resize")
	}
	return err
}

// isZero says whether all bytes are zero.
func isZero(v Vec) bool {
	for _, p := range v {
		if !driver.AllZero(p) {
			return false
		}
	}
	return true
}
