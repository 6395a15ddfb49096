package nbdserver

import (
	"context"
	"syscall"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// maxExtents is how many extents one chunk holds, and how many runs of the disk are looked at for
// it, each of which may take the disk a while. Whoever wants to know more asks again.
const maxExtents = 8 << 10

// extentSize is how much memory an extent takes while it is collected and sent, in bytes.
const extentSize = 16 + 16

// statusMemory is how much memory the answer to a request about n bytes may take, in bytes, one
// context at a time.
func statusMemory(n uint64) int { return extentSize * int(min(n, maxExtents)) }

// status answers with one chunk for each context.
func (w *worker) status(ctx context.Context) error {
	c := w.client
	contexts, off, n, err := w.statusRange()
	if err != nil {
		return err
	}
	for i, id := range contexts {
		if err := w.extentsOf(ctx, id, off, n); err != nil {
			return err
		}
		t := nbdwire.ChunkBlockStatus
		if c.form == nbdwire.Extended {
			t = nbdwire.ChunkBlockStatusExt
		}
		payload := nbdwire.AppendExtents(w.data[:0], c.form, id, w.extents)
		w.send(w.chunk(t, len(payload), i == len(contexts)-1), payload)
	}
	return nil
}

// statusRange is what is asked about: the contexts that were agreed on and the range of the
// request, or those in its data.
func (w *worker) statusRange() (contexts []uint32, off, n int64, err error) {
	r := w.request
	for _, x := range w.client.contexts {
		contexts = append(contexts, x.ID)
	}
	if r.Flags&nbdwire.PayloadLength == 0 {
		return contexts, int64(r.Offset), int64(r.Length), nil
	}
	p, err := nbdwire.ParseStatusPayload(w.data[:r.Length])
	if err != nil {
		return nil, 0, 0, refusal{syscall.EINVAL, err.Error()}
	}
	var chosen []uint32
	for _, id := range contexts {
		for _, want := range p.Contexts {
			if id == want {
				chosen = append(chosen, id)
				break
			}
		}
	}
	if len(chosen) == 0 || len(chosen) != len(p.Contexts) || p.Length == 0 {
		return nil, 0, 0, refusal{syscall.EINVAL, "contexts that were not agreed on, or no length"}
	}
	r.Length = p.Length
	return chosen, int64(r.Offset), int64(r.Length), w.client.inside(r)
}

// extentsOf collects the extents of a context in w.extents. Neighbours that are alike become one.
// When the server ends, those that there are have to do.
func (w *worker) extentsOf(ctx context.Context, id uint32, off, n int64) error {
	w.extents = w.extents[:0]
	longest := uint64(1<<32 - 1)
	if w.client.form == nbdwire.Extended {
		longest = 1<<63 - 1
	}
	for runs, end := 0, off+n; off < end && runs < maxExtents; runs++ {
		e, err := w.client.export.run(ctx, id, off, end-off)
		if err != nil {
			return err
		}
		if e.Length == 0 || len(w.extents) > 0 && w.client.leaving.Load() {
			break
		}
		length, flags := e.Length, e.Flags
		var last *nbdwire.Extent
		if k := len(w.extents); k > 0 {
			last = &w.extents[k-1]
		}
		switch {
		case last != nil && last.Flags == flags && last.Length+length <= longest:
			last.Length += length
		case last != nil && w.request.Flags&nbdwire.ReqOne != 0:
			return nil
		default:
			w.extents = append(w.extents, nbdwire.Extent{Length: length, Flags: flags})
		}
		off += int64(e.Length)
	}
	if len(w.extents) == 0 {
		return refusal{syscall.EIO, "the disk tells nothing about the range"}
	}
	return nil
}

// run is what a context says of the bytes from off on, n at most.
func (e *Export) run(ctx context.Context, id uint32, off, n int64) (nbdwire.Extent, error) {
	if id >= firstBitmapID {
		return e.dirtyRun(ctx, e.Bitmaps[id-firstBitmapID], off, n)
	}
	x, err := e.Disk.Status(ctx, off, n)
	run := nbdwire.Extent{Length: uint64(max(0, x.Len))}
	switch {
	case id == allocationID:
		if !x.Data {
			run.Flags |= nbdwire.StateHole
		}
		if x.Zero {
			run.Flags |= nbdwire.StateZero
		}
	case x.Allocated || x.Backed:
		run.Flags = uint64(x.Depth) + 1
	}
	return run, err
}

func (e *Export) dirtyRun(
	ctx context.Context, bitmap string, off, n int64,
) (nbdwire.Extent, error) {
	end, dirty, err := e.Disk.DirtyRun(ctx, bitmap, off, n)
	run := nbdwire.Extent{Length: uint64(max(0, end-off))}
	if dirty {
		run.Flags = nbdwire.StateDirty
	}
	return run, err
}
