package commands

import (
	"cmp"
	"context"
	"sync"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/picture"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

// plainClass is what most of a range is like, markedClass what stands out.
const (
	markedClass = iota
	plainClass
)

// twoClasses are the classes of a picture in which something stands out.
func twoClasses(marked, plain string) []picture.Class {
	return []picture.Class{
		markedClass: {
			Name: marked, Sign: '█', Part: '▒', Plain: 'X', PlainPart: 'x', Role: colour.Wrong,
		},
		plainClass: picture.Empty(plain),
	}
}

// drawing is the picture that a command makes of a range, if anybody asked for one: on the
// terminal, in a file, or in a report.
type drawing struct {
	show  bool
	svg   string // file for it, "" for none
	force bool   // what is there may be replaced

	forceable bool // there is a flag for that

	mu      sync.Mutex
	picture *picture.Picture // nil if nobody asked
	file    *target.File
}

// declare declares the flags; of says what is drawn.
func (d *drawing) declare(f *session.Flags, of string) {
	d.offer(f, of)
	d.forceable = true
	f.Bool(&d.force, 0, "force", "with --svg: replace the file that is there")
	f.Conflict("force-svg", "--force requires --svg to be specified",
		func() bool { return d.force && d.svg == "" })
}

// offer declares the flags without the one that lets a file be replaced.
func (d *drawing) offer(f *session.Flags, of string) {
	f.Bool(&d.show, 0, "draw", "draw "+of)
	f.Text(&d.svg, 0, "svg", args.File, "draw it into a new file, an SVG")
}

// wanted says whether anybody asked.
func (d *drawing) wanted() bool { return d.show || d.svg != "" }

// begin begins a picture of a range and makes its file, which gets its name with end.
func (d *drawing) begin(ctx context.Context, s *session.Session, r event.Range,
	classes []picture.Class,
) error {
	if !d.wanted() && !s.Reporting() {
		return nil
	}
	d.picture = picture.New(r.Off, r.Len, classes)
	return d.makeFile(ctx, s)
}

// makeFile makes the file, if there is to be one.
func (d *drawing) makeFile(ctx context.Context, s *session.Session) (err error) {
	if d.svg == "" {
		return nil
	}
	d.file, err = s.ReplaceFile(ctx, session.Target{Name: d.svg, Over: func([]byte, int64) error {
		if d.force {
			return nil
		}
		refused := &session.RefusedError{Why: "is there already"}
		if d.forceable {
			refused.Advice = "--force replaces it"
		}
		return refused
	}})
	return err
}

// add draws n bytes from off on. It can be called from any goroutine.
func (d *drawing) add(off, n int64, class int) {
	if d.picture != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.picture.Add(off, n, class)
	}
}

// note is what a Diff tells of what differs, nil if nobody wants to see it. Of a sector as many
// bytes are drawn as are wrong.
func (d *drawing) note(class int) func(verify.DiffRange) {
	if d.picture == nil {
		return nil
	}
	return func(r verify.DiffRange) { d.add(r.Off, r.Bad, class) }
}

// fill draws all that was not drawn yet.
func (d *drawing) fill(class int) {
	if d.picture != nil {
		d.picture.Fill(class)
	}
}

// end shows the picture and saves it under a title. A command that failed with err has found what
// is worth a picture if that is about the data; otherwise there is none. The error is err, or that
// of the file.
func (d *drawing) end(s *session.Session, title string, err error) error {
	if d.picture == nil || err != nil && !isDamage(err) {
		return s.Also(err, d.drop())
	}
	if d.show {
		s.Emit(event.Drawing{Picture: d.picture})
	} else {
		s.Record(event.Drawing{Picture: d.picture})
	}
	if d.file == nil {
		return err
	}
	_, failed := d.file.Write(d.picture.SVG(title))
	if failed == nil {
		failed = d.file.Commit()
	}
	if failed = cmp.Or(failed, d.file.Close()); failed != nil {
		return s.Also(err, event.FailFile(d.svg, bare(failed)))
	}
	s.Emit(event.Drawn{Path: d.svg})
	return err
}

// drop gives the file up.
func (d *drawing) drop() error {
	if d.file == nil {
		return nil
	}
	return event.FailFile(d.svg, bare(d.file.Close()))
}
