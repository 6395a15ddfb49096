package commands

import (
	"context"
	"os"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/job"
)

const (
	// fewPlaces and manyPlaces are how many places are listed, without and with --all.
	fewPlaces  = 16
	manyPlaces = 1 << 16
	// fewDumps and manyDumps are how many bad blocks are dumped, without and with --all.
	fewDumps  = 64
	manyDumps = 4096
)

// limitOf is how many places are listed, with --all and without.
func limitOf(all bool) int {
	if all {
		return manyPlaces
	}
	return fewPlaces
}

// findings is what a verification has to say about bad blocks.
type findings struct {
	all  bool
	dump string // a directory, "" for none
	// dumped is what puts blocks there, into files whose names begin with prefix.
	dumped *job.Dump
	prefix string
}

// flags declares how bad blocks are told of.
func (t *findings) flags(f *session.Flags) {
	f.Bool(&t.all, 0, "all", "list all ranges of bad blocks")
	f.Text(&t.dump, 0, "dump", args.Dir,
		"put bad blocks there, what they should be, the difference")
}

// emit tells of the bad ranges, and returns of how many.
func (t *findings) emit(s *session.Session, v event.Verdict) int {
	shown := v.Ranges
	if !t.all {
		shown = shown[:min(len(shown), fewPlaces)]
	}
	for _, bad := range shown {
		s.Emit(event.BadRange{BadRange: bad, File: v.File})
	}
	return len(shown)
}

// openDump makes what puts bad blocks into the directory. Their files begin with the name of the
// image.
func (t *findings) openDump(ctx context.Context, s *session.Session, image string) error {
	if err := os.MkdirAll(t.dump, 0o777); err != nil {
		return event.FailFile(t.dump, bare(err))
	}
	limit := fewDumps
	if t.all {
		limit = manyDumps
	}
	t.dumped, t.prefix = job.NewDump(dumpInto(ctx, s, t.dump), image, limit), image
	return nil
}

// emitDump tells what was dumped.
func (t *findings) emitDump(s *session.Session) {
	if d := t.dumped; d != nil && d.Blocks > 0 {
		s.Emit(event.Dumped{Dir: t.dump, Prefix: t.prefix, Blocks: d.Blocks, Left: d.Left})
	}
}
