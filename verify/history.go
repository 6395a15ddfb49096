package verify

import "context"

// A History is what is known about how far a writing job got.
type History struct {
	// Issued is the number of the first write that was never made.
	Issued uint64
	// unsure are writes that were made and may not have arrived.
	unsure rangeSet
	// window says that of the last writes before Issued only those at the
	// offsets in arrived are sure, as old state files have it.
	window  uint64
	arrived map[int64]bool
	// places are the blocks that a write which is not sure may have changed,
	// for jobs that write blocks more than once.
	places map[int64]uint64
}

// standing is how sure a write is.
type standing uint8

const (
	sure standing = iota
	unsure
	never
)

// of says how sure a write is.
func (h *History) of(r *request) standing {
	switch {
	case h == nil:
		return sure
	case r.number >= h.Issued:
		return never
	case h.unsure.has(r.number):
		return unsure
	case h.window > 0 && r.number+h.window >= h.Issued && !h.arrived[r.off]:
		return unsure
	}
	return sure
}

// locate finds the blocks that writes which are not sure may have changed.
func (h *History) locate(ctx context.Context, l *layout) error {
	if h == nil || h.places != nil || !l.rewrites() {
		return nil
	}
	h.places = map[int64]uint64{}
	o, err := newOrder(ctx, l)
	if err != nil {
		return err
	}
	var r request
	for o.next(&r) && r.number < h.Issued {
		if r.read || h.of(&r) != unsure {
			continue
		}
		for at := int64(0); at < int64(r.n); at += int64(l.MinBlock) {
			h.places[(r.off+at)/int64(l.MinBlock)] = r.number
		}
	}
	return o.err
}

// covers reports whether a later write that is not sure may have changed what
// r wrote.
func (h *History) covers(r *request, l *layout) bool {
	if h == nil || len(h.places) == 0 {
		return false
	}
	for at := int64(0); at < int64(r.n); at += int64(l.MinBlock) {
		if n, ok := h.places[(r.off+at)/int64(l.MinBlock)]; ok && n > r.number {
			return true
		}
	}
	return false
}
