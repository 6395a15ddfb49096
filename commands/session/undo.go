package session

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/blockdev/undo"
	"github.com/blksh/blksh/commands/event"
)

// logMode keeps what an image held from others: the log has it in the clear, whatever the image
// does.
const logMode = 0o600

// keepLog makes the log of changes that o asks for, and has the image keep it. A log that is there
// already belongs to other changes: it is never gone on with nor replaced.
func (s *Session) keepLog(ctx context.Context, im *Image, o Opening,
	cfg *blockdev.OpenConfig,
) error {
	switch {
	case o.Undo == "":
		return nil
	case o.ReadOnly:
		return event.Conflictf("--undo keeps what is changed, and -r changes nothing")
	}
	file, err := s.NewLog(ctx, o.Undo)
	if err != nil {
		return err
	}
	im.undo, im.undoName, cfg.Filter = file, o.Undo, undo.Driver(file)
	return nil
}

// NewLog makes the file of a log of changes, as target files are made: it is kept with Commit, and
// Close removes it.
func (s *Session) NewLog(ctx context.Context, name string) (*target.File, error) {
	file, err := s.ChangeFile(ctx, Target{Name: name, Over: func(head []byte, _ int64) error {
		if undo.IsLog(head) {
			return &RefusedError{Why: "is the log of other changes", Advice: "'undo " + name +
				"' puts them back; or choose a file that is not there"}
		}
		return Only(false, "is there already")
	}})
	if err != nil {
		return nil, err
	}
	if !file.Regular {
		why := Only(false, "keeps nothing that is written to it")
		return nil, errors.Join(event.FailFile(name, why), file.Close())
	}
	if err := file.Chmod(logMode); err != nil {
		return nil, errors.Join(event.FailFile(name, withoutPath(err)),
			file.Close())
	}
	return file, nil
}

// Log is the name of the log of changes that the image keeps, "" if it keeps none.
func (im *Image) Log() string { return im.undoName }

// dropLog gives up a log of which nothing is needed. One that was made is removed.
func (im *Image) dropLog() {
	if im.undo != nil {
		_ = im.undo.Close()
	}
}

// endLog ends the log of an image that is closed. One that knows no change is removed.
func (im *Image) endLog() error {
	if im.undo == nil {
		return nil
	}
	if st, err := im.undo.Stat(); err == nil && undo.Empty(st.Size()) {
		return im.undo.Close()
	}
	return im.undo.Commit()
}
