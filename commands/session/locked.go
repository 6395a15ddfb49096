package session

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// An encrypted image whose key nobody gives, and for which nobody can be asked, is opened all the
// same, locked and for reading only: its header tells much without the key. Commands that are
// Keyless go to it, any other fails as the open would have.

// locks says whether an image that failed to open may be opened without its key.
func (s *Session) locks(o Opening, err error) bool {
	return s.Policy.Repairs && errors.As(err, new(*driver.NoKeyError)) && !o.Snapshot &&
		!o.CopyOnRead && o.LoadSnapshot == "" && o.Undo == ""
}

// openLocked opens an image without its key. failure is why it could not be opened with it.
func (s *Session) openLocked(ctx context.Context, o Opening, cfg blockdev.OpenConfig, im *Image,
	failure error,
) (*blockdev.Device, error) {
	cfg.Mode.ReadOnly, cfg.Mode.NoIO = true, true
	im.locked, im.guarded = failure, true
	return s.open(ctx, o, cfg, im.admission)
}

// unlocked fails for a locked image, once it was said why.
func (im *Image) unlocked() error {
	if im == nil || im.locked == nil {
		return nil
	}
	im.told = true
	return im.locked
}

// failUnused counts an image that could only be opened without its key, if no command went to it.
func (s *Session) failUnused(im *Image) {
	if im.locked != nil && !im.told {
		s.Fail(im.locked)
	}
}
