package commands

import (
	"context"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

var multiwrite = session.Command{
	Name: "multiwrite", Needs: session.File | session.Write,
	Group: session.GroupData,
	Args:  "[-Cq] [-P pattern] off len [len..] [; off len [len..]..]",
	Short: "issues multiple write requests at once",
	Long: ` Example:
 multiwrite 512 1k 1k ; 4k 1k
     writes 2 KiB at 512 and 1 KiB at 4096

 The byte that is written grows by one for each request. Nothing is written if
 one of them cannot be understood.
`,
	New: func(f *session.Flags) session.Run {
		m := &multiple{
			transfer: transfer{op: "aio_multiwrite", verb: event.Wrote},
			first:    defaultByte,
		}
		m.common(f)
		f.Flag('P', "pattern", args.Text("BYTE"), "the byte of the first request; without it 0xcd",
			session.ReadValue(&m.first, args.PatternByte))
		var words []string
		f.Words(&words, "requests", 2, append(lengthChecks(f, nil), offsetSector)...)
		f.Check("split", func() error { return m.split(f, words) })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			return m.work(s).wait(ctx, s, im)
		}
	},
}

// offsetSector is the check of an offset among several.
var offsetSector = session.Each{
	Name: "off.sector",
	Do:   func(_ string, n int64) error { return wholeSectors("offset", n) },
}

// multiple is several writes that are reported as one.
type multiple struct {
	transfer
	first    byte
	requests []*writing
}

// split reads "off len [len..] ; off len ..". A semicolon at the end is dropped.
func (m *multiple) split(f *session.Flags, words []string) error {
	var lens []int64
	for len(words) > 0 {
		end := 1
		for end < len(words) && words[end] != ";" {
			end++
		}
		w := newWriting(m.op)
		w.maxRequest = m.maxRequest
		w.pattern = verify.Byte(m.first + byte(len(m.requests)))
		off, err := f.Numbers("off", words[:1], offsetSector)
		if err != nil {
			return err
		}
		w.off = off[0]
		if w.lens, err = f.Numbers("lens", words[1:end], lengthChecks(f, nil)...); err != nil {
			return err
		}
		if w.n, err = sum(w.lens); err != nil {
			return err
		}
		m.requests = append(m.requests, w)
		lens = append(lens, w.n)
		words = words[min(end+1, len(words)):]
	}
	m.off = m.requests[0].off
	var err error
	m.n, err = sum(lens)
	return err
}

// work makes all requests, in their order. The first failure is the outcome, but does not keep the
// others from being made.
func (m *multiple) work(s *session.Session) work {
	var longest int64
	for _, w := range m.requests {
		longest = max(longest, w.n)
	}
	buf := s.Buffer(int(min(longest, pieceSize)))
	all := m.plain(func(ctx context.Context) error {
		var first error
		for _, w := range m.requests {
			w.dev, w.clock = m.dev, m.clock
			if err := w.store(ctx, buf); err != nil && first == nil {
				first = err
			}
		}
		return first
	})
	all.free = func(s *session.Session) { s.Recycle(buf) }
	return all
}
