package nbd

import (
	"context"
	"math"
	"strings"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// Extent is a run of bytes with the same flags in a meta context.
type Extent = nbdwire.Extent

const (
	// leastAsked and mostAsked bound how much is asked about at a time, in bytes: a server tells
	// many extents with one answer, and must not be made to look through all of a large disk for
	// the first of them.
	leastAsked = 64 << 20
	mostAsked  = 1 << 30
	// mostKept is how many extents are kept for the next questions.
	mostKept = 1 << 16
)

// known are extents of one meta context that a server told and nobody has asked about yet. They
// serve only whoever goes on where the last question ended: a walk. Whoever begins anew hears what
// the server says now, since it has other clients.
type known struct {
	mu   sync.Mutex
	next int64 // where the walk stands
	list []Extent
	// writes counts what may have made an answer untrue that is still on its way.
	writes int
}

// count is how many writes there have been.
func (k *known) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.writes
}

// first is the extent at off, if the walk stands there.
func (k *known) first(off int64) (Extent, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next != off || len(k.list) == 0 {
		return Extent{}, false
	}
	return k.list[0], true
}

// advance takes the walk on by n bytes of its first extent, if it stands at off.
func (k *known) advance(off, n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next != off || len(k.list) == 0 {
		return
	}
	e := &k.list[0]
	n = min(n, int64(e.Length))
	k.next += n
	if e.Length -= uint64(n); e.Length == 0 {
		k.list = k.list[1:]
	}
}

// keep replaces what is known by an answer about what is at off, unless something was written since
// writes were counted.
func (k *known) keep(off int64, list []Extent, writes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.writes != writes {
		list = nil
	}
	k.next, k.list = off, list[:min(len(list), mostKept)]
}

// forget drops what is known from off on, because the n bytes there change.
func (k *known) forget(off, n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writes++
	at := k.next
	for i := range k.list {
		length := int64(k.list[i].Length)
		if at+length > off && at < off+n {
			k.list = k.list[:i]
			return
		}
		at += length
	}
}

// forget drops what is known of n bytes at off. How many bytes around them a bit of a bitmap stands
// for is not known: of bitmaps it drops all.
func (d *device) forget(off, n int64) {
	d.known.forget(off, n)
	for _, k := range d.dirty {
		k.forget(0, math.MaxInt64)
	}
}

// look is the extent at off in a context. It asks for more than is wanted, and keeps the rest for
// the next question.
func (d *device) look(
	ctx context.Context, name string, k *known, off, n int64,
) (Extent, error) {
	if e, ok := k.first(off); ok {
		return e, nil
	}
	writes := k.count()
	list, err := d.StatusIn(ctx, name, off, d.asked(off, n))
	if err != nil {
		return Extent{}, err
	}
	var doubtful uint64 // data
	if strings.HasPrefix(name, nbdwire.ContextDirtyBitmap) {
		doubtful = nbdwire.StateDirty
	}
	list = d.fit(off, list, doubtful)
	first := list[0]
	k.keep(off, list, writes)
	return first, nil
}

// Status tells of the context that was asked for, and of data where the server has none.
func (d *device) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	if _, ok := d.agreed.context(); !ok {
		return d.Leaf.Status(ctx, off, n)
	}
	e, err := d.look(ctx, d.cfg.context(), &d.known, off, n)
	if err != nil {
		return driver.Extent{}, err
	}
	e.Length = min(e.Length, uint64(n))
	d.known.advance(off, int64(e.Length))
	return d.extent(off, e), nil
}

// Bitmaps lists the dirty bitmaps of which the server tells.
func (d *device) Bitmaps(context.Context) ([]driver.Bitmap, error) {
	var list []driver.Bitmap
	for _, name := range d.Client.Bitmaps() {
		list = append(list, driver.Bitmap{Name: name, Remote: true})
	}
	return list, nil
}

// DirtyRun puts together what the server tells in pieces.
func (d *device) DirtyRun(
	ctx context.Context, name string, off, n int64,
) (end int64, dirty bool, err error) {
	k := d.dirty[name]
	if k == nil {
		return 0, false, driver.RefuseAs(syscall.ENOENT,
			"the server does not tell of a dirty bitmap '%s'", name)
	}
	limit := min(off+n, d.size())
	for end = off; end < limit; {
		e, err := d.look(ctx, nbdwire.ContextDirtyBitmap+name, k, end, limit-end)
		if err != nil {
			return 0, false, err
		}
		now := e.Flags&nbdwire.StateDirty != 0
		if end > off && now != dirty {
			return end, dirty, nil
		}
		dirty = now
		run := min(int64(e.Length), limit-end)
		k.advance(end, run)
		end += run
	}
	return off + n, dirty, nil
}

// asked is how many bytes from off on the server is asked about: whole blocks, and what there is of
// the last one alone.
func (d *device) asked(off, n int64) int64 {
	left := d.size() - off
	if whole := roundDown(left, d.agreed.align()); whole > 0 {
		left = whole
	}
	return min(max(n, leastAsked), mostAsked, left)
}

// fit cuts a server's extents at the end of the export, and before the first that is no whole
// number of blocks. qemu-nbd 3.1 tells of such at the end of a file: of one that is less than a
// block nothing is known for sure, and it is called what doubtful says.
func (d *device) fit(off int64, list []Extent, doubtful uint64) []Extent {
	align, left := uint64(d.agreed.align()), uint64(d.size()-off)
	for i := range list {
		e := &list[i]
		if odd := e.Length % align; odd != 0 && e.Length > align {
			e.Length -= odd
			list = list[:i+1]
		} else if odd != 0 {
			*e = Extent{Length: align, Flags: doubtful}
			list = list[:i+1]
		}
		if e.Length >= left {
			e.Length = left
			return list[:i+1]
		}
		if i+1 == len(list) {
			break
		}
		left -= e.Length
	}
	return list
}

// extent says what the flags of an extent mean to the layers above. Any context but base:allocation
// is read as that one is, as QEMU does: what is dirty looks like a hole.
func (d *device) extent(off int64, e Extent) driver.Extent {
	if d.cfg.Context == nbdwire.ContextAllocationDepth {
		e.Flags = min(e.Flags, 2)
	}
	data, zero := e.Flags&nbdwire.StateHole == 0, e.Flags&nbdwire.StateZero != 0
	return driver.Extent{
		Off: off, Len: int64(e.Length), Allocated: data || zero, Data: data, Zero: zero,
		Node: "nbd", HostOff: off,
	}
}
