package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// overlay is an image that a command changes together with what it stands on.
type overlay struct {
	session.Opening
	dev *blockdev.Device // while with runs
}

func newOverlay() overlay {
	return overlay{Opening: session.Opening{Options: &blockdev.Options{}}}
}

// takeFormat declares the flag for the format of the overlay.
func (o *overlay) takeFormat(f *session.Flags) {
	f.Text(&o.Format, 'f', "format", args.Format,
		"format of the overlay, which is guessed otherwise")
}

// takeDevices declares the flag that lets the overlay name a device.
func (o *overlay) takeDevices(f *session.Flags, help string) {
	f.Bool(&o.BackingDevice, 0, "allow-backing-device", help)
}

// takeName declares the operand that names the overlay.
func (o *overlay) takeName(f *session.Flags) { f.Word("file", args.File, word(&o.Name)) }

// stance says whether an overlay is opened with what it stands on.
type stance bool

const (
	standing stance = true
	alone    stance = false
)

// with opens the overlay while work runs.
func (o *overlay) with(ctx context.Context, s *session.Session, how stance,
	work func() error,
) (err error) {
	if how == alone {
		o.Options.Set("backing", nil)
	}
	if o.dev, err = s.OpenToWrite(ctx, o.Opening, false); err != nil {
		return err
	}
	defer func() { err = closeToo(s, o.dev, err) }()
	return work()
}

// closeToo closes a device that a command has opened, which ended with err; see session.Also.
func closeToo(s *session.Session, dev *blockdev.Device, err error) error {
	return s.Also(err, s.CloseBeside(dev))
}

// recorded is how to open what the overlay stands on by its own word.
func (o *overlay) recorded() (session.Opening, error) {
	link, ok := o.dev.BackingFile()
	if !ok || link.Name == "" {
		return session.Opening{}, event.Conflictf("%s has no backing file", o.Name)
	}
	return session.Opening{
		Name: driver.Beside(o.Name, link.Name), From: o.Name, BackingDevice: o.BackingDevice,
		Format: link.Format,
	}, nil
}

// snapshots lists those in the overlay.
func (o *overlay) snapshots(ctx context.Context) ([]blockdev.Snapshot, error) {
	list, err := o.dev.Snapshots(ctx)
	if err != nil && !errors.Is(err, blockdev.ErrNotSupported) {
		return nil, event.FailOp("list snapshots", err)
	}
	return list, nil
}

// snapshotsSuffer refuses what would change the contents of snapshots.
func (o *overlay) snapshotsSuffer() error {
	return event.Conflictf("%s has snapshots, which stand on its backing file too "+
		"and would not show the same afterwards", o.Name)
}
