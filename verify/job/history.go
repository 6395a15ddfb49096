package job

import (
	"context"
	"slices"

	"github.com/blksh/blksh/verify/fio"
)

// A History is what is known about how far a writing job got.
type History struct {
	// Issued is the number of the first write that was never made.
	Issued uint64
	// own says that it is the run itself that tells, or its journal, so that all
	// that it drew is known.
	own bool
	// unsure are writes that were made and may not have arrived.
	unsure rangeSet
	// window says that of the last writes before Issued only those at the
	// offsets in arrived, which ascend, are sure, as old state files have it.
	window  uint64
	arrived []int64
}

// certainty is how sure a write is.
type certainty uint8

const (
	sure certainty = iota
	unsure
	never
)

// of says how sure a write is.
func (h *History) of(r *fio.Request) certainty {
	switch {
	case h == nil:
		return sure
	case r.Number >= h.Issued:
		return never
	case h.unsure.has(r.Number):
		return unsure
	case r.Number >= h.sureUntil(r.Off):
		return unsure
	}
	return sure
}

// sureUntil is the number of the first write at an offset that the window makes unsure.
func (h *History) sureUntil(off int64) uint64 {
	if h.window == 0 {
		return h.Issued
	}
	if _, arrived := slices.BinarySearch(h.arrived, off); arrived {
		return h.Issued
	}
	return h.Issued - min(h.window, h.Issued)
}

// allSure is the number of the first write that is not sure, Issued if there is none.
func (h *History) allSure() uint64 {
	n := h.Issued - min(h.window, h.Issued)
	if len(h.unsure) > 0 {
		n = min(n, h.unsure[0][0])
	}
	return n
}

// repeated says what is known about the writes that follow r at its offset, one each
// pass of so many: whether one is sure and, if none is, whether there are any.
func (h *History) repeated(r *fio.Request, pass uint64) (anySure, anyUnsure bool) {
	first := r.Number + pass
	if first >= h.Issued {
		return false, false
	}
	// the first of them from n on
	from := func(n uint64) uint64 { return first + (n-first+pass-1)/pass*pass }
	end := h.sureUntil(r.Off)
	anyUnsure = from(max(first, end)) < h.Issued
	for i, n := h.unsure.from(first), first; n < end; i++ {
		if i == len(h.unsure) || n < h.unsure[i][0] {
			return true, anyUnsure
		}
		if n < h.unsure[i][1] {
			anyUnsure = true
			n = from(h.unsure[i][1])
		}
	}
	return false, anyUnsure
}

// A tally counts for each cell of a range the writes to come that are not sure.
// Its memory is bounded: cells are longer where the range is, a count stops at
// mostTallied, and such a cell counts as one that may have been changed.
type tally struct {
	start, grain int64
	pages        [][]byte // of two counts a byte, made as they are needed
	next         uint64   // the first write that was not passed by yet
}

const (
	tallyPage   = 32 << 10
	mostTallied = 15
	// maxTallied bounds the cells, and with them the memory to 128 MiB.
	maxTallied = 1 << 28
)

// newTally counts the writes of a job, behind its first requests, that h is not sure of.
func newTally(ctx context.Context, l *fio.Layout, h *History, from int64) (*tally, error) {
	cells := (l.Extent+int64(l.MaxBlock+l.BlockLen))/int64(l.MinBlock) + 1
	t := &tally{start: l.Offset, grain: int64(l.MinBlock) * (1 + cells/maxTallied)}
	t.pages = make([][]byte, cells/(1+cells/maxTallied)/(2*tallyPage)+1)
	o, err := fio.NewOrder(ctx, l)
	if err != nil {
		return nil, err
	}
	var r fio.Request
	for i := int64(0); o.Next(&r) && r.Number < h.Issued; i++ {
		if i >= from && !r.Read && l.Owns(&r) && h.of(&r) == unsure {
			t.each(&r, func(n int) int { return min(n+1, mostTallied) })
		}
	}
	return t, o.Err
}

// pass takes note that the write r, which is not sure, is not one to come.
func (t *tally) pass(r *fio.Request) {
	if r.Number < t.next {
		return
	}
	t.next = r.Number + 1
	t.each(r, func(n int) int {
		if n == mostTallied {
			return n
		}
		return n - 1
	})
}

// covers reports whether a write to come that is not sure may change what r wrote.
func (t *tally) covers(r *fio.Request) (covered bool) {
	t.each(r, func(n int) int {
		covered = covered || n > 0
		return n
	})
	return covered
}

// each changes the counts of the cells that r writes.
func (t *tally) each(r *fio.Request, change func(n int) int) {
	for at := (r.Off - t.start) / t.grain; at*t.grain < r.Off-t.start+int64(r.N); at++ {
		page := &t.pages[at/(2*tallyPage)]
		i, shift := at/2%tallyPage, at%2*4
		n := 0
		if *page != nil {
			n = int((*page)[i] >> shift & mostTallied)
		}
		m := change(n)
		if m == n {
			continue
		}
		if *page == nil {
			*page = make([]byte, tallyPage)
		}
		(*page)[i] ^= byte(n^m) << shift
	}
}

// StateHistory says which writes a state file makes sure of: all but those in flight.
func StateHistory(s *fio.State) *History {
	h := &History{Issued: s.Writes}
	for _, n := range slices.Sorted(slices.Values(s.InFlight)) {
		if n < s.Writes {
			h.unsure.add(n, n+1)
		}
	}
	if s.Version < 5 {
		h.window = s.Depth
		h.arrived = slices.Sorted(slices.Values(s.Completed))
	}
	return h
}
