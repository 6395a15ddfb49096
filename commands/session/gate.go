package session

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/blksh/blksh/blockdev"
)

// OverreachError refuses what an image asks for in the names that it holds: that is for the user to
// give.
type OverreachError struct {
	Image  string   // whose maker asks
	Rights []string // the options that ask, none if Device does
	Device string   // the device that it names
	Part   string   // the file elsewhere that it names as a part of it, which would be written
}

func (e *OverreachError) Error() string {
	switch {
	case e.Part != "":
		return fmt.Sprintf("'%s' calls '%s' its data file, which does not lie beside it", e.Image,
			e.Part)
	case len(e.Rights) == 0:
		return fmt.Sprintf("'%s' stands on the device '%s'", e.Image, e.Device)
	}
	return fmt.Sprintf("'%s' asks for %s in the name of what it stands on", e.Image,
		strings.Join(e.Rights, " and "))
}

// Hint says how the user gives what the image may not take.
func (e *OverreachError) Hint() string {
	switch {
	case e.Part != "":
		return "a part of an image is written with it; -o data-file.filename=" + e.Part +
			" says that this file is meant\n"
	case len(e.Rights) == 0:
		return "an image may name files only; --allow-backing-device lets it name devices, which are read\n"
	}
	return "what an image names is only read, under the usual locks; options that you give, as backing.driver=..., are obeyed\n"
}

// gate is blockdev.OpenConfig.Gate: an image gets no right that the user did not give. devices says
// that it may name devices.
func (s *Session) gate(devices bool) func(blockdev.Link) error {
	if !s.Policy.Careful {
		return nil
	}
	return func(l blockdev.Link) error {
		switch {
		case len(l.Rights) > 0:
			return &OverreachError{Image: l.From, Rights: l.Rights}
		case l.Device && !devices && !s.BackingDevices:
			return &OverreachError{Image: l.From, Device: l.Name}
		case l.Part && !within(filepath.Dir(l.From), l.Name):
			return &OverreachError{Image: l.From, Part: l.Name}
		}
		return nil
	}
}

// within says whether a file lies in a directory or below it, wherever links lead. A file that is
// not there does no harm: opening it fails.
func within(dir, file string) bool {
	dir, errDir := resolved(dir)
	file, errFile := resolved(file)
	if errDir != nil || errFile != nil {
		return errors.Is(errFile, fs.ErrNotExist)
	}
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel)
}

// resolved is a path without links, from the root.
func resolved(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}
