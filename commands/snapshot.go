package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var snapshotCommand = session.Command{
	Name: "snapshot", Needs: session.File, Keyless: true,
	Group: session.GroupInside,
	Args:  "list | (create|apply|delete) snapshot",
	Short: "lists, makes, applies or deletes snapshots inside an image",
	Long: ` Examples:
 snapshot create before  keeps what the image holds, under the name "before"
 snapshot list           shows what there is
 snapshot apply before   makes the image what it was, in its length too
 snapshot delete before  gives back what only the snapshot needs

 A snapshot is called by its id or, if none has that, by its name; of several
 with one name the first is meant. What an image holds when a snapshot is
 applied is lost, unless another snapshot has it. 'open --snapshot before disk'
 opens a snapshot, to be read.
`,
	New: func(f *session.Flags) session.Run {
		var c snapshotting
		f.EnumWord(&c.action, "action", "list", "create", "apply", "delete")
		f.OptWord("snapshot", args.Text("NAME"), func(word string) error {
			c.name, c.named = word, true
			return nil
		})
		f.Check("which", func() error { return c.check(f) })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if c.action == "list" {
				return c.list(ctx, s, im)
			}
			return c.change(ctx, s, im)
		}
	},
}

// snapshotting is what to do with which snapshot.
type snapshotting struct {
	action string
	name   string
	named  bool
}

// check refuses a name that is missing or too much.
func (c *snapshotting) check(f *session.Flags) error {
	if c.action == "list" {
		if c.named {
			return event.BadValuef("snapshot list takes no name")
		}
		return nil
	}
	if !c.named {
		return event.BadValuef("snapshot %s needs a name", c.action)
	}
	f.Need(session.Write)
	if c.action == "apply" {
		f.Need(session.Resize)
	}
	return nil
}

func (c *snapshotting) list(ctx context.Context, s *session.Session, im *session.Image) error {
	var list []blockdev.Snapshot
	err := s.Request(ctx, "snapshot list", func(ctx context.Context) (err error) {
		list, err = im.Dev.Snapshots(ctx)
		return err
	})
	if err == nil {
		s.Emit(event.Snapshots{List: snapshotsOf(list)})
	}
	return err
}

// snapshotsOf is a list of snapshots as events have them.
func snapshotsOf(list []blockdev.Snapshot) []event.Snapshot {
	all := make([]event.Snapshot, len(list))
	for i, l := range list {
		all[i] = event.SnapshotOf(l)
	}
	return all
}

// change makes, applies or deletes a snapshot, when all requests in the background are done.
func (c *snapshotting) change(ctx context.Context, s *session.Session, im *session.Image) error {
	op := "snapshot " + c.action
	if err := s.Drain(ctx, im); err != nil {
		return event.FailOp(op, err)
	}
	now := s.Now()
	var done blockdev.Snapshot
	err := s.Request(ctx, op, func(ctx context.Context) (err error) {
		switch c.action {
		case "create":
			done, err = im.Dev.CreateSnapshot(ctx, c.name, now)
		case "apply":
			done, err = im.Dev.ApplySnapshot(ctx, c.name)
		default:
			done, err = im.Dev.DeleteSnapshot(ctx, c.name)
		}
		return err
	})
	if err == nil {
		s.Emit(event.SnapshotChanged{Action: c.action, Snapshot: event.SnapshotOf(done)})
	}
	return err
}
