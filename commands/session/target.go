package session

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/inuse"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/event"
)

// Target is a file that a command writes besides images: bytes that were read, a journal, a state.
//
// A command opens it when all else about it is settled, by ReplaceFile or ChangeFile, and ends it
// with Commit or Close.
type Target struct {
	Name string
	// Device: whoever calls asked for devices to be written to as well. Asking says how that is
	// asked for, "" if it cannot be.
	Device bool
	Asking string
	// Over says why an existing file of size bytes that begins with head must not be replaced; nil:
	// any file may be.
	Over func(head []byte, size int64) error
	// Existing: ChangeFile makes no file where there is none. NoLinks: the name is not followed if
	// it is a symbolic link.
	Existing, NoLinks bool
	// Durable: what is new is on stable storage after Commit.
	Durable bool
}

// rule is the rule about files for t.
func (t *Target) rule(admit func(blockdev.HostFile) (func(), error)) target.Rule {
	return target.Rule{
		Perm: 0o666, Admit: admit, Over: t.Over, Existing: t.Existing,
		NoLinks: t.NoLinks, Durable: t.Durable,
	}
}

// ReplaceFile makes a file that gets its name with Commit: until then, and after an error, what is
// there stays.
func (s *Session) ReplaceFile(ctx context.Context, t Target) (*target.File, error) {
	return s.openTarget(ctx, t, target.Replace)
}

// ChangeFile opens a file for reading and writing as it is, and makes it if it is not there; Close
// removes it then.
func (s *Session) ChangeFile(ctx context.Context, t Target) (*target.File, error) {
	return s.openTarget(ctx, t, target.Open)
}

// openTarget opens what t names by the rule. The error is an event.Failure.
func (s *Session) openTarget(ctx context.Context, t Target,
	open func(string, target.Rule) (*target.File, error),
) (*target.File, error) {
	s.Ready()
	rule := t.rule(func(f blockdev.HostFile) (func(), error) {
		release, err := s.overwrite(ctx, f, t.Device)
		if err == errDevice && t.Asking != "" {
			err = &RefusedError{errDevice.Why, "with " + t.Asking +
				" it is written to, unless it is in use"}
		}
		return release, err
	})
	rule.Until = ctx
	f, err := open(t.Name, rule)
	if err == nil || event.IsFailure(err) {
		return f, err
	}
	return nil, event.FailFile(t.Name, withoutPath(err))
}

// MakeImage makes an image by the same rule: cfg.Force stands for a device that is to be written
// to, and for a file that is to be replaced. What failed leaves what was there. The result is the
// length of the image, in bytes.
func (s *Session) MakeImage(ctx context.Context, name string,
	cfg blockdev.CreateConfig,
) (int64, error) {
	s.Ready()
	cfg.Drivers, cfg.Gate, cfg.Object, cfg.Ask = s.Drivers, s.gate(false), s.object, s.Ask
	cfg.Admit = func(f blockdev.HostFile, _ bool) (release func(), err error) {
		return s.overwrite(ctx, f, cfg.Force)
	}
	c, err := blockdev.PrepareCreate(ctx, name, cfg)
	if err != nil {
		return 0, withoutPath(err)
	}
	return c.Size(), withoutPath(s.Do(ctx, c.Make))
}

// MayRename says why no image of a command may get a name. With force it may take the place of a
// file.
func (s *Session) MayRename(ctx context.Context, name string, force bool) error {
	return withoutPath(target.CheckRename(name, s.renameRule(ctx, force)))
}

// RenameImage gives an image that a command has finished the name that it is to have.
func (s *Session) RenameImage(ctx context.Context, from, to string, force bool) error {
	return withoutPath(target.Rename(from, to, s.renameRule(ctx, force)))
}

func (s *Session) renameRule(ctx context.Context, force bool) target.Rule {
	return target.Rule{
		Admit: func(f blockdev.HostFile) (func(), error) { return s.overwrite(ctx, f, false) },
		Over: func([]byte, int64) error {
			if force {
				return nil
			}
			return driver.RefuseAs(unix.EEXIST, "is there already")
		},
	}
}

// OpenToWrite opens an image, perhaps on a device, that a command writes and no other command goes
// to. Nothing is written to that is open here, be it as a part of another image, as what that
// stands on or by another name. The caller closes it. The error is an event.Failure.
func (s *Session) OpenToWrite(ctx context.Context, o Opening,
	resize bool,
) (*blockdev.Device, error) {
	return s.openApart(ctx, o, &admission{s: s, write: true, inUse: o.InUse, apart: true}, true,
		func(dev *blockdev.Device) error { return dev.NeedWrite(ctx, resize) })
}

// Measure says how large the file of a new image would be, see blockdev.Measure.
func (s *Session) Measure(
	ctx context.Context, cfg blockdev.CreateConfig, source *blockdev.Device,
) (blockdev.Measured, error) {
	cfg.Drivers = s.Drivers
	return blockdev.Measure(ctx, cfg, source)
}

// withoutPath is the cause in an error that names the file, which the caller does itself. A further
// file of an image keeps its name.
func withoutPath(err error) error {
	var part *blockdev.PartError
	if errors.As(err, &part) {
		return &blockdev.PartError{Name: part.Name, Err: withoutPath(part.Err)}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// overwrite is the one rule for all that a session writes besides the images that it has open, and
// for new images: never what is open here, never what others use, and devices only if that was
// asked for.
func (s *Session) overwrite(ctx context.Context, f blockdev.HostFile,
	device bool,
) (release func(), err error) {
	st, err := statOf(f)
	if err != nil {
		return nil, err
	}
	if !isDevice(st) || !device || keepsNothing(st) {
		return nil, AdmitFile(f)
	}
	if err := notHere(f); err != nil {
		return nil, err
	}
	a := &admission{s: s, write: true}
	release, err = a.admit(f, true)
	var used *InUseError
	if errors.As(err, &used) {
		used.Advice = adviceTarget
	}
	if err != nil || !s.typed {
		return release, err
	}
	if err = s.confirm(ctx, a); err != nil && release != nil {
		release()
	}
	return release, err
}

const adviceTarget = "writing to it would damage what is there"

// AdmitFile is the part of the rule that asks nobody: what is open here or in use is not
// overwritten, nor any device that keeps what is written to it.
func AdmitFile(f blockdev.HostFile) error {
	st, err := statOf(f)
	if err != nil {
		return err
	}
	switch {
	case keepsNothing(st):
		return nil
	case isDevice(st):
		return errDevice
	}
	if err := notHere(f); err != nil {
		return err
	}
	// as for images, what may not be read keeps nobody
	if uses, err := inuse.Of(f.Name, f.FD); err == nil && len(uses) > 0 {
		return &InUseError{f.Name, uses, adviceTarget}
	}
	return nil
}

// RefusedError says that something is not written to though the system would let it.
type RefusedError struct {
	Why    string
	Advice string // a line without its end, "" if there is none
}

func (e *RefusedError) Error() string { return e.Why + "; nothing was written to it" }

// Class says that it is the caller's to ask otherwise.
func (*RefusedError) Class() event.Class { return event.ClassUsage }

// Hint says what to do.
func (e *RefusedError) Hint() string {
	if e.Advice == "" {
		return ""
	}
	return e.Advice + "\n"
}

// Only is for a Target that takes the place of nothing but files of its own kind: it refuses what
// is not its own.
func Only(own bool, why string) error {
	if own {
		return nil
	}
	return &RefusedError{why, "choose a file that is not there"}
}

// errDevice and errOpenHere are what AdmitFile refuses.
var (
	errDevice   = &RefusedError{"is a device", "this is written to files only"}
	errOpenHere = &RefusedError{Why: "is open in this shell"}
)

func notHere(f blockdev.HostFile) error {
	here, err := inuse.Here(f.FD)
	switch {
	case err != nil:
		return fmt.Errorf("look at %s: %w", f.Name, err)
	case here:
		return errOpenHere
	}
	return nil
}

// keepsNothing says whether what is written to a file is gone, or gone to somebody else: pipes,
// terminals, /dev/null and its like.
func keepsNothing(st *unix.Stat_t) bool {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO, unix.S_IFSOCK:
		return true
	case unix.S_IFCHR:
		major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
		switch {
		case major == memDevices:
			return minor == minorNull || minor == minorZero || minor == minorFull
		case major == ttyDevices, major >= firstPTS && major <= lastPTS:
			return true
		}
	}
	return false
}

// Device numbers of the kernel's admin-guide/devices.txt.
const (
	memDevices = 1
	minorNull  = 3
	minorZero  = 5
	minorFull  = 7
	ttyDevices = 5
	firstPTS   = 136
	lastPTS    = 143
)
