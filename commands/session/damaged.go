package session

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

// damaged is an image that was to be opened and cannot be before it is repaired. It takes the place
// of the current image until then: a command that needs one fails as the open would have, and only
// a check can be made.
type damaged struct {
	opening Opening
	failure error
	told    bool
}

// postpones says whether the failure to open an image is left to the command that needs it, so that
// a check may come first. At the prompt it is told at once as well.
func (s *Session) postpones(o Opening, cause, failure error) bool {
	var d *blockdev.DamagedError
	if !s.Policy.Repairs || s.current != nil || !errors.As(cause, &d) || d.Backing {
		return false
	}
	s.damaged = &damaged{opening: o, failure: failure, told: s.Interactive}
	if s.Interactive {
		s.tell(failure)
	}
	return true
}

// noImage is the failure of a command that needs an image where none is open.
func (s *Session) noImage() error {
	if s.damaged == nil {
		return event.Fail(event.NoFile{})
	}
	s.damaged.told = true
	return s.damaged.failure
}

// failUntold counts an image that could not be opened and that no command asked for.
func (s *Session) failUntold() {
	if s.damaged != nil && !s.damaged.told {
		s.Fail(s.damaged.failure)
	}
}

// OpenDamaged opens the image that was to be opened and is damaged for a check, see OpenToCheck.
// Without one it fails as every command that needs an image.
func (s *Session) OpenDamaged(ctx context.Context, repair bool) (*blockdev.Device, error) {
	if s.damaged == nil {
		return nil, s.noImage()
	}
	s.damaged.told = true
	return s.OpenToCheck(ctx, s.damaged.opening, repair)
}

// OpenRepaired opens the image that was damaged, as it was to be opened at first.
func (s *Session) OpenRepaired(ctx context.Context) error { return s.Open(ctx, s.damaged.opening) }

// OpenToCheck opens an image that no command goes to for a check alone, with permission to write if
// it is to be repaired. Who types the line is asked before a device is changed. The caller closes
// it. The error is an event.Failure.
func (s *Session) OpenToCheck(ctx context.Context, o Opening,
	repair bool,
) (*blockdev.Device, error) {
	if repair && (o.ReadOnly || o.Snapshot) {
		return nil, event.FailReport(blockdev.ErrReadOnly)
	}
	o.ReadOnly, o.Snapshot, o.CopyOnRead = !repair, false, false
	cfg, err := s.config(o)
	if err != nil {
		return nil, event.FailReport(err)
	}
	cfg.Mode.Check = true
	a := &admission{s: s, write: o.Write, inUse: o.InUse}
	dev, err := s.open(ctx, o, cfg, a)
	if err != nil {
		return nil, event.Fail(openFailed(o, err))
	}
	switch {
	case repair && dev.ReadOnly(): // a device that nobody asked to write to
		err = event.FailReport(blockdev.ErrReadOnly)
	case repair && s.typed:
		err = s.confirm(ctx, a)
	}
	if err != nil {
		_ = dev.Close() // nothing was changed
		return nil, err
	}
	return dev, nil
}
