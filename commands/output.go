package commands

import (
	"cmp"
	"context"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

// stdout is the name of the file that stands for standard output.
const stdout = "-"

// view is what is done with bytes that were read, besides checking them.
type view struct {
	show, fold bool
	layout     event.DumpLayout
	until      int64  // where what is shown ends, 0 if that is not known
	output     string // the file they go to, "" if none
	force      bool   // also if that is a device

	ordered bool // --endian is there
	file    *output
	begun   []byte // the beginning of a line of a dump
	objects bool   // a dump is made of objects, in which zeroes are a number
}

func (v *view) declare(f *session.Flags) {
	f.Bool(&v.fold, 0, "fold", "show lines that repeat the one before as a single *")
	f.Enum(0, "style", "STYLE", DumpStyles(), "how bytes are shown",
		func(i int) { v.layout.Style = event.DumpStyle(DumpStyles()[i]) })
	f.Enum(0, "words", "N", []string{"2", "4", "8"}, "show numbers of so many bytes",
		func(i int) { v.layout.Word = 2 << i })
	f.Enum(0, "endian", "ORDER", []string{"little", "big"},
		"with --words: which byte of a number comes first",
		func(i int) { v.layout.BigEndian, v.ordered = i == 1, true })
	f.Text(&v.output, 'o', "output", args.File,
		"save the bytes in a file; - is standard output, to which nothing else goes")
	f.Bool(&v.force, 0, "force", "with -o: also onto a device that is not in use")
}

// DumpStyles are the ways in which bytes are shown.
func DumpStyles() []string {
	return []string{string(event.StyleQEMU), string(event.StyleXXD), string(event.StyleC)}
}

// settle looks whether the flags go together.
func (v *view) settle(machine bool) error {
	v.show = v.show || v.fold || v.layout != event.DumpLayout{}
	switch {
	case v.ordered && v.layout.Word == 0:
		return event.Conflictf("--endian requires --words to be specified")
	case v.layout.Word > 0 && v.layout.Style != "":
		return event.Conflictf("--words and --style do not go together")
	case v.show && v.output == stdout:
		return event.Conflictf("-v and -o - both write to standard output")
	case v.force && (v.output == "" || v.output == stdout):
		return event.Conflictf("--force requires -o FILE to be specified")
	case v.output != "" && machine:
		return event.Conflictf("-o and -b cannot be specified at the same time")
	}
	return nil
}

// wanted says whether anything is done with the bytes.
func (v *view) wanted() bool { return v.show || v.output != "" }

// open makes the file, which gets its name with save.
func (v *view) open(ctx context.Context, s *session.Session) error {
	v.objects = s.NoBytes
	switch {
	case v.output == stdout && s.NoBytes:
		return event.Conflictf("-o - and --json both write to standard output; with -v the bytes are part of the objects")
	case v.output == stdout || v.output == "":
		return nil
	}
	file, err := s.ReplaceFile(ctx,
		session.Target{Name: v.output, Device: v.force, Asking: "--force"})
	if err != nil {
		return err
	}
	v.file = &output{file: file}
	return nil
}

// end saves the file if all n bytes are in it, also those that are not as they should be. Otherwise
// what was there before stays.
func (v *view) end(n int64) error {
	switch {
	case v.file == nil:
		return nil
	case v.file.at != n:
		return v.fileError(v.file.file.Close())
	}
	return v.fileError(cmp.Or(v.file.save(), v.file.file.Close()))
}

func (v *view) fileError(err error) error {
	if err == nil {
		return nil
	}
	return event.FailFile(v.output, bare(err))
}

// shownAtOnce is how many bytes are handed on before a person is asked for who may want no more.
const shownAtOnce = 256 << 10

// put hands on a piece, until ctx ends. What it says may be reused when it returns.
func (v *view) put(ctx context.Context, say func(event.Event), p stream.Piece, last bool) error {
	part := int64(shownAtOnce)
	if p.Data == nil && v.skips() {
		part = max(1, p.Len)
	}
	return inParts(ctx, p.Off, p.Len, part, func(off, n int64) error {
		some := stream.Piece{Off: off, Len: n}
		if p.Data != nil {
			some.Data = p.Data[off-p.Off:][:n]
		}
		return v.hand(say, some, last && off+n == p.Off+p.Len)
	})
}

// skips says that zeroes which are not in memory take no time, however many there are.
func (v *view) skips() bool {
	return v.output != stdout && (v.file == nil || v.file.file.Regular) &&
		(!v.show || v.fold || v.objects)
}

func (v *view) hand(say func(event.Event), p stream.Piece, last bool) error {
	if v.show {
		v.dump(say, p, last)
	}
	switch {
	case v.file != nil:
		return v.fileError(v.file.write(p))
	case v.output == stdout:
		say(event.Bytes{Data: p.Data, Zeroes: unread(p)})
	}
	return nil
}

// unread is how many zeroes of a piece are not in memory.
func unread(p stream.Piece) int64 { return p.Len - int64(len(p.Data)) }

// dumpLine is how many bytes a line of a dump shows.
const dumpLine = 16

// dump shows a piece in whole lines, and keeps what begins the next one.
func (v *view) dump(say func(event.Event), p stream.Piece, last bool) {
	if len(v.begun) > 0 {
		n := min(p.Len, int64(dumpLine-len(v.begun)))
		off := p.Off - int64(len(v.begun))
		v.begun = appendPiece(v.begun, p, 0, n)
		p = p.Behind(n)
		if ends := last && p.Len == 0; len(v.begun) == dumpLine || ends {
			say(v.lines(stream.Piece{Off: off, Len: int64(len(v.begun)), Data: v.begun}, ends))
			v.begun = v.begun[:0]
		}
	}
	whole := p.Len
	if !last {
		whole -= p.Len % dumpLine
	}
	if whole > 0 {
		line := p
		line.Len = whole
		line.Data = p.Data[:min(int64(len(p.Data)), whole)]
		say(v.lines(line, last))
	}
	if whole < p.Len {
		v.begun = appendPiece(v.begun, p, whole, p.Len)
	}
}

func (v *view) lines(p stream.Piece, last bool) event.Dump {
	return event.Dump{
		Off: p.Off, Data: p.Data, Zeroes: unread(p), Layout: v.layout, Fold: v.fold,
		Last: last, End: v.until,
	}
}

// output is a file that is made of bytes that were read. What is known to be zero becomes a hole
// where there can be one.
type output struct {
	file *target.File
	at   int64
}

func (o *output) write(p stream.Piece) error {
	var err error
	switch {
	case !o.file.Regular:
		err = o.pour(p)
	case len(p.Data) > 0:
		_, err = o.file.WriteAt(p.Data, o.at)
	}
	if err == nil {
		o.at += p.Len
	}
	return err
}

// pour writes a piece, zeroes included, to what takes bytes in their order.
func (o *output) pour(p stream.Piece) error {
	if _, err := o.file.Write(p.Data); err != nil {
		return err
	}
	for left := unread(p); left > 0; left -= int64(len(zeroes)) {
		if _, err := o.file.Write(zeroes[:min(left, int64(len(zeroes)))]); err != nil {
			return err
		}
	}
	return nil
}

// save gives the file its length and its name.
func (o *output) save() error {
	if o.file.Regular {
		if err := o.file.Truncate(o.at); err != nil {
			return err
		}
	}
	return o.file.Commit()
}
