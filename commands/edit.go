package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/blockdev/undo"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/hexedit"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

var edit = session.Command{
	Name: "edit", Needs: session.File,
	Group:     session.GroupData,
	Elsewhere: []string{"hexedit", "poke: write --hex"},
	Args:      "[--undo file] [offset]",
	Short:     "shows bytes on the whole screen, to be changed there",
	Long: ` Example:
 edit                  the beginning of the image
 edit 1M               what is at 1 MiB
 edit --undo a.undo    the log of what is changed goes to a.undo

 Hex digits change bytes; Tab goes to the column of text, where characters do.
 F1 lists the keys. Nothing is written before Ctrl-S has shown which ranges
 change, with their old and new bytes, and has been answered. The old bytes are
 on stable storage by then, in a log that undo takes: the file of --undo, the
 log of an image that was opened with one, or else a new one in
 ~/.local/state/blksh/undo. A read-only image is shown, and not changed.

 Only what is seen is read. What cannot be read is shown as ??.
`,
	New: func(f *session.Flags) session.Run {
		var log string
		var off int64
		f.Text(&log, 0, "undo", args.File, "keep there what undo puts back")
		cursorAt(f, &off)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			d := &editedDisk{s: s, im: im, name: log}
			cfg := editing(im, off)
			cfg.ReadOnly = unwritable(ctx, im)
			if cfg.Word = s.Unconfirmed(im); cfg.Word != "" {
				d.confirms = true
			}
			return d.run(ctx, "edit", cfg)
		}
	},
}

var viewCommand = session.Command{
	Name: "view", Needs: session.File,
	Group: session.GroupLook,
	Args:  "[offset]",
	Short: "shows bytes on the whole screen, and changes nothing",
	Long: ` Example:
 view                  the beginning of the image
 view end-512          its last sector

 F1 lists the keys. See edit, which can change what is shown.
`,
	New: func(f *session.Flags) session.Run {
		var off int64
		cursorAt(f, &off)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			cfg := editing(im, off)
			cfg.ReadOnly = "view changes nothing; edit does"
			return (&editedDisk{s: s, im: im}).run(ctx, "view", cfg)
		}
	},
}

// cursorAt declares where the cursor is at first.
func cursorAt(f *session.Flags, off *int64) {
	f.OptOperand(off, "offset")
	f.Check("place", func() error {
		if *off < 0 || *off >= f.End() {
			return event.BadValuef("%d lies behind the end of the image, which has %s",
				*off, units.Bytes(f.End()))
		}
		return nil
	})
}

// editing is what the editor is told of an image.
func editing(im *session.Image, off int64) hexedit.Config {
	size := im.Dev.Size()
	env := args.Env{End: size, Block: im.Dev.Block()}
	return hexedit.Config{
		Name: im.Name, Size: size, Offset: off,
		Sector: max(driver.SectorSize, im.Dev.Block()),
		Parse: func(word string) (int64, error) {
			n, err := args.Native(word, env)
			return n.Value, err
		},
	}
}

// unwritable says why an image cannot be changed, "" if it can.
func unwritable(ctx context.Context, im *session.Image) string {
	if err := im.Dev.NeedWrite(ctx, false); err != nil {
		return "the image is open for reading only; reopen -w lets it be changed"
	}
	return ""
}

// editedDisk is an image to the editor.
type editedDisk struct {
	s        *session.Session
	im       *session.Image
	name     string // of the log, "" if nobody said
	confirms bool   // what is typed before a write names the device

	file   *target.File // of the log, nil if there is none
	writer *undo.Writer
}

var _ hexedit.Disk = (*editedDisk)(nil)

// run shows the editor.
func (d *editedDisk) run(ctx context.Context, op string, cfg hexedit.Config) error {
	var result hexedit.Result
	err := d.s.OnScreen(op, func(screen session.Screen) (err error) {
		result, err = hexedit.New(cfg, d, screen).Run(ctx)
		return err
	})
	err = errors.Join(err, d.end())
	if result.Bytes > 0 || result.Dropped > 0 {
		d.s.Emit(event.Edited{
			Bytes: result.Bytes, Ranges: result.Ranges, Log: result.Kept, Dropped: result.Dropped,
		})
	}
	if event.IsFailure(err) {
		return err
	}
	return event.FailOp(op, err)
}

func (d *editedDisk) Read(ctx context.Context, p []byte, off int64) error {
	return d.im.Dev.Read(ctx, blockdev.Vec{p}, off, 0)
}

func (d *editedDisk) Zeroes(ctx context.Context, off, n int64) (int64, error) {
	e, err := d.im.Dev.Status(ctx, off, n)
	if err != nil || !e.Zero {
		return 0, err
	}
	return e.Len, nil
}

// Prepare makes the log, unless there is one.
func (d *editedDisk) Prepare(ctx context.Context) (kept string, err error) {
	if err := d.im.Dev.NeedWrite(ctx, false); err != nil {
		return "", err
	}
	if d.confirms {
		d.s.Confirmed(d.im)
	}
	switch {
	case d.im.Log() != "" && d.name != "":
		return "", errors.New("the image keeps a log already, " + d.im.Log() + ": leave out --undo")
	case d.im.Log() != "":
		return d.im.Log(), nil
	case d.writer != nil:
		return d.name, nil
	}
	if d.name == "" {
		if d.name, err = d.newName(); err != nil {
			return "", err
		}
	}
	if d.file, err = d.s.NewLog(ctx, d.name); err != nil {
		return "", plainly(err)
	}
	if d.writer, err = undo.NewWriter(d.im.Dev, d.file); err != nil {
		err = errors.Join(err, d.file.Close())
		d.file, d.writer = nil, nil
	}
	return d.name, err
}

// plainly is the error behind a failure.
func plainly(err error) error {
	var failure *event.Failure
	if !errors.As(err, &failure) {
		return err
	}
	if file, ok := failure.Event.(event.FileError); ok {
		return fmt.Errorf("%s: %w", file.Name, file.Err)
	}
	return err
}

// newName is the name of a log that is not there yet.
func (d *editedDisk) newName() (string, error) {
	folder := d.s.LogFolder
	if folder == "" {
		return "", errors.New("nobody knows where to keep the old bytes: leave, and use edit --undo FILE")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	image := strings.Map(func(r rune) rune {
		if r == '/' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, filepath.Base(d.im.Name))
	return filepath.Join(folder, image+d.s.Now().Format("-20060102-150405.000")+".undo"), nil
}

// Write makes changes, in whole sectors.
func (d *editedDisk) Write(ctx context.Context, changes []hexedit.Change) error {
	pieces, err := d.pieces(ctx, changes)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if err := d.write(ctx, p.bytes, p.off); err != nil {
			return err
		}
	}
	if d.writer != nil {
		return d.writer.Flush(ctx)
	}
	return d.im.Dev.Flush(ctx)
}

func (d *editedDisk) write(ctx context.Context, p []byte, off int64) error {
	if d.writer != nil {
		return d.writer.Write(ctx, p, off)
	}
	return d.im.Dev.Write(ctx, blockdev.Vec{p}, off, 0)
}

// sectors are whole sectors as they are to be.
type sectors struct {
	off   int64
	bytes []byte
}

// pieces reads the sectors around changes, and makes these in them. It fails with
// *hexedit.ForeignError where the old bytes are others.
func (d *editedDisk) pieces(ctx context.Context, changes []hexedit.Change) ([]sectors, error) {
	unit := max(driver.SectorSize, d.im.Dev.Block())
	size := d.im.Dev.Size()
	var list []sectors
	for len(changes) > 0 {
		start, end := changes[0].Off/unit*unit, int64(0)
		n := 0
		for n < len(changes) && (n == 0 || changes[n].Off/unit*unit <= end) {
			last := changes[n].Off + int64(len(changes[n].New))
			end = min(size, (last+unit-1)/unit*unit)
			n++
		}
		p := sectors{start, make([]byte, end-start)}
		if err := d.Read(ctx, p.bytes, start); err != nil {
			return nil, err
		}
		for _, c := range changes[:n] {
			there := p.bytes[c.Off-start:][:len(c.New)]
			if !c.Holds(there) {
				return nil, &hexedit.ForeignError{Off: c.Off}
			}
			copy(there, c.New)
		}
		list, changes = append(list, p), changes[n:]
	}
	return list, nil
}

// end keeps the log if there is anything in it.
func (d *editedDisk) end() error {
	if d.file == nil {
		return nil
	}
	if st, err := d.file.Stat(); err == nil && undo.Empty(st.Size()) {
		return d.file.Close()
	}
	return d.file.Commit()
}
