package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/blockdev/undo"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var undoCommand = session.Command{
	Name: "undo", Needs: session.File | session.Write,
	Group: session.GroupData,
	Args:  "[--check] [--force] log",
	Short: "puts back what a disk held before it was changed",
	Long: ` Example:
 undo changes.log          what was changed under --undo changes.log is undone
 undo --check changes.log  only says whether it can be

 An image that is opened with --undo FILE has its old bytes noted in FILE before
 they are changed, on stable storage. That holds wherever the program, or the
 machine, ends. undo first looks whether the disk still holds what was written:
 where somebody else wrote meanwhile, or the log is damaged, it says so, and
 puts back nothing unless it is forced to. It can be interrupted, and begun
 again.

 What is noted are the bytes of the guest: snapshots and bitmaps inside an image
 are not, nor is its VM state. Those of an encrypted image are in the clear in
 FILE.
`,
	New: func(f *session.Flags) session.Run {
		var u undoing
		f.Bool(&u.check, 0, "check", "look whether it can be undone, and change nothing")
		f.Bool(&u.force, 0, "force", "put back what was there, whatever others wrote")
		f.Word("log", args.File, word(&u.name))
		f.Conflict("check-force", "--check changes nothing, so there is nothing to force",
			func() bool {
				return u.check && u.force
			})
		return u.run
	},
}

// undoing is one call of undo.
type undoing struct {
	name         string
	check, force bool
}

func (u *undoing) run(ctx context.Context, s *session.Session, im *session.Image) error {
	log, closeLog, err := openLog(ctx, u.name)
	if err != nil {
		return event.FailFile(u.name, bare(err))
	}
	defer closeLog()
	err = s.Request(ctx, "undo", func(ctx context.Context) error {
		if !u.force {
			if err := log.Check(ctx, im.Dev); err != nil {
				return err
			}
		}
		if u.check {
			return nil
		}
		return log.Restore(ctx, im.Dev)
	})
	var foreign *undo.ForeignError
	var damaged *undo.DamagedError
	switch {
	case errors.As(err, &damaged):
		return event.FailFile(u.name, damagedLog{damaged})
	case errors.As(err, &foreign):
		return event.Fail(event.ForeignChanges{
			Log: u.name, Ranges: foreign.Ranges, Count: foreign.Count, Bytes: foreign.Bytes,
		})
	case err != nil:
		return err
	}
	e := event.Undone{
		Log: u.name, Bytes: log.Changed(), Size: log.Size, Torn: log.Torn,
		Checked: u.check,
	}
	if log.Damage != nil {
		e.Damaged = log.Damage.Bytes
	}
	s.Emit(e)
	return nil
}

// damagedLog is a log of which not all can be put back.
type damagedLog struct{ *undo.DamagedError }

// Hint says what to do.
func (damagedLog) Hint() string {
	return "nothing was put back; with --force what the rest of it kept is\n"
}

// openLog reads a log of changes. The result stays open until closeLog is called.
func openLog(ctx context.Context, name string) (log *undo.Log, closeLog func() error, err error) {
	file, err := target.OpenInput(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	st, err := file.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = undo.ErrNotLog
	}
	if err == nil {
		log, err = undo.Read(ctx, file, st.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return log, file.Close, nil
}
