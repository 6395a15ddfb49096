package blockdev

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// overlay puts a temporary image over base, so that base is never written to. Its file has no name
// any more when overlay returns: whatever happens to the program, nothing is left behind.
func (t *tree) overlay(ctx context.Context, base *treeNode) (*treeNode, error) {
	format := t.driverFor(driver.TemporaryOverlay)
	if format == nil {
		return nil, driver.Refuse(
			"A temporary snapshot needs a format that is not in the list of drivers")
	}
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/var/tmp" // not /tmp, which may be memory: an overlay can grow as large as the disk
	}
	f, err := os.CreateTemp(dir, "blksh.*."+format.Name)
	if err != nil {
		// not wrapped: it is not the image that is not there
		return nil, driver.Refuse("Could not get temporary filename in '%s': %s", dir,
			driver.ErrnoText(driver.Errno(err)))
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return nil, err
	}
	size := roundUp(base.guard.Info().Size, SectorSize)
	if err := Create(ctx, f.Name(),
		CreateConfig{Drivers: t.cfg.Drivers, Format: format.Name, Size: size}); err != nil {
		return nil, driver.RefuseAs(err, "Could not create temporary overlay '%s': %v", f.Name(),
			err)
	}
	var o Options
	o.Set("driver", format.Name)
	o.Set("file.filename", f.Name())
	o.Set("backing", base.name)
	mode := Mode{ReadOnly: t.cfg.Mode.ReadOnly, NoFlush: true, Unmap: true}
	if base.options.Given("read-only") { // which was said of the whole, and not of the base alone
		said, _, err := settleMode(base.options, false)
		if err != nil {
			return nil, err
		}
		mode.ReadOnly = mode.ReadOnly || said.ReadOnly
	}
	return t.open(ctx, spec{options: &o, inherits: mode})
}

// loadSnapshot shows a snapshot inside an image. That there is none is no sign that there is no
// image.
func (n *treeNode) loadSnapshot(ctx context.Context, which string) error {
	s, ok := driver.Find[driver.Snapshotter](n.guard)
	if !ok {
		return driver.Refuse("images of the format %s have no snapshots", n.driver.Name)
	}
	_, err := s.LoadSnapshot(ctx, which)
	if !errors.Is(err, syscall.ENOENT) {
		return err
	}
	refused := &snapshotError{text: err.Error()}
	var hint driver.Hinter
	if errors.As(err, &hint) {
		refused.hint = hint.Hint()
	}
	return refused
}

// snapshotError is about a snapshot inside an image that is to be opened, or is.
type snapshotError struct {
	text, hint string
	cause      error // nil if it says nothing
}

func (e *snapshotError) Error() string { return e.text }

// Unwrap is the cause.
func (e *snapshotError) Unwrap() error { return e.cause }

// Hint is what can be done.
func (e *snapshotError) Hint() string { return e.hint }

// errSnapshotOpen is the answer to who would write to a snapshot.
var errSnapshotOpen = &snapshotError{
	writeProtectedWords, "a snapshot inside the image is open, and is only read\n",
	writeProtected{},
}
