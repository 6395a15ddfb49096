package commands

import (
	"bytes"
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/copier"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

var rebase = session.Command{
	Name:  "rebase",
	Group: session.GroupImages,
	Args:  "[-u] [-f format] -b backing [-F format] file",
	Short: "gives an overlay another backing file",
	Long: ` Examples:
 rebase -b new.img -F raw overlay.qcow2
 rebase -b '' overlay.qcow2   it stands on nothing, and holds all itself
 rebase -u -b moved.img -F raw overlay.qcow2

 The guest sees the same before and after: what the two backing files do not
 have in common is copied into the overlay, and only when that is on stable
 storage the overlay names the new one. With -u nothing but the name is
 changed, as is right when a file was moved. The name is written as it stands,
 and counts from the folder of the overlay. The overlay must not be open here.
 One with snapshots inside keeps them only if the backing files are alike.
`,
	New: func(f *session.Flags) session.Run {
		r := rebaseJob{overlay: newOverlay()}
		var given, unsafe bool
		f.Bool(&unsafe, 'u', "unsafe", "change the name only")
		r.takeFormat(f)
		f.Flag('b', "backing", args.File, "the new backing file; empty for none",
			func(word string) error {
				r.link.Name, given = word, true
				return nil
			})
		f.Text(&r.link.Format, 'F', "backing-format", args.Format, "its format")
		r.takeDevices(f, "the overlay may name a device as what it stands on")
		r.takeName(f)
		f.Conflict("b", "-b says what the image is to stand on; -b '' for nothing", func() bool {
			return !given
		})
		f.Conflict("b-F", backingNeedsFormat, func() bool {
			return (r.link.Name == "") != (r.link.Format == "")
		})
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			how := standing
			if unsafe {
				how = alone
			}
			return r.with(ctx, s, how, func() error { return r.run(ctx, s, unsafe) })
		}
	},
}

// rebaseJob gives an overlay another backing file.
type rebaseJob struct {
	overlay
	link   blockdev.Link    // the new one
	old    *blockdev.Device // what it stands on
	next   *blockdev.Device // what it is to stand on, nil for nothing
	result copier.Result
}

// run does it with the overlay open. unsafe: what it shows may change.
func (r *rebaseJob) run(ctx context.Context, s *session.Session, unsafe bool) error {
	if _, ok := r.dev.BackingFile(); !ok {
		return event.Conflictf("images of the format %s have no backing file", r.dev.Info().Driver)
	}
	if !unsafe {
		if err := r.keep(ctx, s); err != nil {
			return err
		}
	}
	return r.rename(ctx, s)
}

// rename has the overlay name its new backing file.
func (r *rebaseJob) rename(ctx context.Context, s *session.Session) error {
	err := s.Request(ctx, "rebase", func(ctx context.Context) error {
		return errors.Join(r.dev.SetBackingFile(ctx, r.link),
			r.dev.Flush(context.WithoutCancel(ctx)))
	})
	if err == nil {
		s.Emit(event.Rebased{
			Name: r.Name, Backing: r.link.Name, Format: r.link.Format, Written: r.result.Written,
		})
	}
	return err
}

// keep copies into the overlay what the two backing files do not have in common.
func (r *rebaseJob) keep(ctx context.Context, s *session.Session) (err error) {
	if l, _ := r.dev.BackingFile(); l.Name != "" {
		var o session.Opening
		if o, err = r.recorded(); err != nil {
			return err
		}
		o.ReadOnly = true
		if r.old, err = s.OpenBeside(ctx, o); err != nil {
			return err
		}
		defer func() { err = closeToo(s, r.old, err) }()
	}
	if r.link.Name != "" {
		r.next, err = s.OpenBeside(ctx, session.Opening{
			Name: driver.Beside(r.Name, r.link.Name), Format: r.link.Format,
			ReadOnly: true, BackingDevice: r.BackingDevice,
		})
		if err != nil {
			return err
		}
		defer func() { err = closeToo(s, r.next, err) }()
	}
	if err := r.keepSnapshots(ctx, s); err != nil {
		return err
	}
	all := r.dev.Size()
	add, end := s.Track("rebase", all)
	defer end()
	n := int64(0)
	err = s.Do(ctx, func(ctx context.Context) (err error) {
		if r.old != nil {
			n = min(all, r.old.Size())
			c := copier.Copy{From: r.old, To: r.dev, Len: n, Only: r.differs, Progress: add}
			r.result, err = c.Run(ctx)
		}
		if err == nil {
			err = r.zero(ctx, n, all-n)
		}
		return err
	})
	return stopped(ctx, "rebase", event.Range{Len: all}, r.result.Done, err)
}

// keepSnapshots refuses two backing files that are not alike where there are snapshots: what they
// hold themselves stays, the rest would be another.
func (r *rebaseJob) keepSnapshots(ctx context.Context, s *session.Session) error {
	list, err := r.snapshots(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	all := int64(0)
	for _, snapshot := range list {
		all = max(all, snapshot.Size)
	}
	suffer := false
	err = s.Do(ctx, func(ctx context.Context) (err error) {
		for off := int64(0); off < all && !suffer && err == nil; {
			off, suffer, err = r.differBelow(ctx, off, all-off)
		}
		return err
	})
	if err == nil && suffer {
		return r.snapshotsSuffer()
	}
	return stopped(ctx, "rebase", event.Range{Len: all}, 0, err)
}

// zero keeps what only the new backing file has, n bytes from off, from showing.
func (r *rebaseJob) zero(ctx context.Context, off, n int64) error {
	for end := off + n; off < end; {
		next, differs, err := r.differs(ctx, off, end-off)
		if err == nil && differs {
			err = r.hide(ctx, off, next-off)
		}
		if err != nil {
			return err
		}
		off = next
	}
	return r.dev.Flush(context.WithoutCancel(ctx))
}

// hide makes a range of the overlay zero. One that stands on nothing yet is zero already, so that
// only zeroes that are written stay when it does.
func (r *rebaseJob) hide(ctx context.Context, off, n int64) error {
	if r.old != nil {
		return r.dev.Zero(ctx, off, n, blockdev.MayUnmap)
	}
	return inParts(ctx, off, n, int64(len(zeroes)), func(off, n int64) error {
		return r.dev.Write(ctx, blockdev.Vec{zeroes[:n]}, off, 0)
	})
}

// differs picks what the overlay does not hold itself, and shows by the two backing files in
// different ways.
func (r *rebaseJob) differs(ctx context.Context, off, n int64) (end int64, wanted bool, err error) {
	e, err := r.dev.Status(ctx, off, n)
	if err != nil || e.Allocated && e.Depth == 0 {
		return e.End(), false, err
	}
	return r.differBelow(ctx, off, e.Len)
}

// differBelow says whether the two backing files differ from off on, and how far that holds.
func (r *rebaseJob) differBelow(ctx context.Context, off, n int64) (end int64, differ bool,
	err error,
) {
	was, is := r.old, r.next
	switch {
	case was == nil && is == nil:
		return off + n, false, nil
	case was == nil:
		was = is // whose data is left aside
	case is == nil:
		is = was
	}
	end = off
	_, err = stream.Compare(ctx, was, is, off, n, func(a, b stream.Piece) error {
		if r.old == nil {
			a.Data = nil
		}
		if r.next == nil {
			b.Data = nil
		}
		differs := !same(a.Data, b.Data)
		if end > off && differs != differ {
			return errEnough
		}
		differ, end = differs, a.Off+a.Len
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return end, differ, err
}

// same says whether two pieces of one length are alike, of which one without data is zero.
func same(a, b []byte) bool {
	switch {
	case a == nil && b == nil:
		return true
	case a == nil:
		return driver.AllZero(b)
	case b == nil:
		return driver.AllZero(a)
	}
	return bytes.Equal(a, b)
}
