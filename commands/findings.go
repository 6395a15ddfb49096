package commands

import (
	"fmt"
	"os"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

const (
	// fewDumps and manyDumps are how many bad blocks are dumped, without and with --all.
	fewDumps  = 64
	manyDumps = 4096
	// keptBlocks is how many bad blocks are remembered with all that is known about them.
	keptBlocks = 1024
)

// findings is what a verification has to say about bad blocks.
type findings struct {
	all   bool
	dump  string // a directory, "" for none
	first map[int64]*verify.Bad
}

// flags declares how bad blocks are told of.
func (t *findings) flags(f *session.Flags) {
	f.Bool(&t.all, 0, "all", "list all ranges of bad blocks")
	f.Text(&t.dump, nil, 0, "dump", "DIR", "put bad blocks there, what they should be, the difference")
}

// keep remembers a damaged block without its bytes, which are gone when the call returns. A verification calls it for one block at a time.
func (t *findings) keep(b *verify.Bad) {
	if b.Cause.Class == verify.Unfaithful {
		return
	}
	if t.first == nil {
		t.first = map[int64]*verify.Bad{}
	}
	if len(t.first) < keptBlocks {
		t.first[b.Off] = &verify.Bad{
			Off: b.Off, Len: b.Len, Cause: b.Cause, Type: b.Type, Header: b.Header, Seed: b.Seed, Number: b.Number, Parts: b.Parts,
		}
	}
}

// emit tells of the bad ranges, and returns of how many.
func (t *findings) emit(s *session.Session, r *verify.Result) int {
	shown := r.Ranges
	if !t.all {
		shown = shown[:min(len(shown), fewPlaces)]
	}
	for _, bad := range shown {
		s.Emit(event.BadRange{Range: bad, First: t.first[bad.Off]})
	}
	return len(shown)
}

// dumper makes what puts bad blocks into the directory. Their files begin with the name of the image.
func (t *findings) dumper(image string) (func(kind string, off int64, data []byte) error, error) {
	if err := os.MkdirAll(t.dump, 0o777); err != nil {
		return nil, fmt.Errorf("make the directory: %w", err)
	}
	dir, err := os.OpenRoot(t.dump)
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	limit := fewDumps
	if t.all {
		limit = manyDumps
	}
	return verify.DumpDir(dir, image, limit), nil
}
