package job

import (
	"bytes"
	"context"

	"github.com/blksh/blksh/verify/fio"
)

// A shape is what headers tell about the blocks of a range.
type shape struct {
	length        int // of blocks
	longest       int
	headerOffset  int
	uneven        bool
	long          bool         // 48-byte headers
	headers       []fio.Header // a sample
	headerOffsets []int        // where in its block each header lies
	window        []byte       // what was read at offset at, where the sample is from
	at            int64
}

const (
	// probeSize is how much is looked at in one go, and probeCount how often that is done if there
	// are no headers at the beginning.
	probeSize  = 1 << 20
	probeCount = 64
	// maxProbed bounds the sample of headers.
	maxProbed = 1024
)

// release is the family of releases that wrote the sample. Those with short
// headers differ in the seeds of their jobs.
func (s *shape) release(ctx context.Context, l *fio.Layout) fio.Release {
	if s.long || len(s.headers) == 0 {
		return fio.Fio342
	}
	best, most := fio.Fio333, s.predicted(ctx, l, fio.Fio333)
	for _, r := range []fio.Release{fio.Fio340, fio.Fio22} {
		if n := s.predicted(ctx, l, r); n > most {
			best, most = r, n
		}
	}
	return best
}

// predicted counts the headers whose seed and offset are those that the job would
// have given to their write number.
func (s *shape) predicted(ctx context.Context, l *fio.Layout, r fio.Release) (n int) {
	other := *l
	other.SetRelease(r)
	o, err := fio.NewOrder(ctx, &other)
	if err != nil {
		return 0
	}
	headers := map[uint64][]*fio.Header{}
	for i := range s.headers {
		h := &s.headers[i]
		headers[h.Number] = append(headers[h.Number], h)
	}
	var w fio.Request
	for range 1 << 16 {
		if !o.Next(&w) {
			break
		}
		for _, h := range headers[w.Number] {
			if h.Seed == w.Seed && h.Offset >= uint64(w.Off) &&
				h.Offset < uint64(w.Off)+uint64(w.N) {
				n++
			}
		}
	}
	return n
}

// recognise finds out the release if the options leave it open.
func (t *task) recognise(ctx context.Context, open Opener) error {
	if t.l.Fio != fio.FioAny {
		return nil
	}
	s, err := t.probe(ctx, open)
	if err == nil {
		t.l.SetRelease(s.release(ctx, t.l))
	}
	return err
}

// probe looks for headers at the beginning of the range and then all over it.
func (t *task) probe(ctx context.Context, open Opener) (shape, error) {
	s := shape{length: t.l.BlockLen, headerOffset: t.l.HeaderOffset, uneven: t.l.BSUnaligned}
	if t.l.Headerless || t.l.Extent == 0 {
		if s.uneven = false; s.length == 0 {
			s.length = t.l.MinBlock
		}
		return s, nil
	}
	q, err := open(ctx, 1, probeSize)
	if err != nil {
		return s, err
	}
	defer q.Close()
	stride := max(t.l.Extent/probeCount, probeSize) &^ (pageSize - 1)
	for at := int64(0); at < t.l.Extent && len(s.headers) == 0; at += stride {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		n := int(min(probeSize, t.l.Extent-at))
		if err := once(q, OpRead, t.l.Offset+at, int64(n)); err != nil {
			continue // it will be reported when it is its turn
		}
		s.sample(q.Buffer(0)[:n], t.l.Offset+at, uint32(min(t.l.Extent, fio.MaxBlockSize)))
		if len(s.headers) > 0 {
			s.window, s.at = bytes.Clone(q.Buffer(0)[:n]), t.l.Offset+at
		}
	}
	s.conclude(t.l, t.known)
	return s, nil
}

// sample collects the headers of p, of blocks that are at most longest bytes long.
func (s *shape) sample(p []byte, off int64, longest uint32) {
	for at := 0; len(s.headers) < maxProbed; {
		h, i, ok := fio.FindHeader(p[at:])
		if !ok {
			return
		}
		at += i
		if home := int64(h.Offset) - off; home <= int64(at) && h.Len >= fio.ShortHeader &&
			h.Len <= longest && int64(at)-home < int64(h.Len) {
			s.headers, s.headerOffsets = append(s.headers, h), append(s.headerOffsets, at-int(home))
		}
		at += fio.ShortHeader
	}
}

// conclude finds the length of blocks, and where in them headers lie: those of most headers. If
// too many are different, all lengths have to be read from the headers.
func (s *shape) conclude(l *fio.Layout, known *knowledge) {
	count, places := map[uint32]int{}, map[int]int{}
	for i, h := range s.headers {
		if places[s.headerOffsets[i]]++; places[s.headerOffsets[i]] > places[s.headerOffset] {
			s.headerOffset = s.headerOffsets[i]
		}
		known.multiBlock = known.multiBlock || i > 0 && h.Seed != 0 && h.Seed == s.headers[i-1].Seed
		count[h.Len]++
		s.longest = max(s.longest, int(h.Len))
		s.long = s.long || h.Long
		if count[h.Len] > count[uint32(s.length)] {
			s.length = int(h.Len)
		}
	}
	if s.length == 0 {
		s.length = l.MinBlock
	}
	if rare := len(s.headers) - count[uint32(s.length)]; rare*10 > len(s.headers) {
		s.uneven = true
	}
}
