package session

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev"
)

// OverreachError refuses what an image asks for in the names that it holds: that is for the user to give.
type OverreachError struct {
	Image  string   // whose maker asks
	Rights []string // the options that ask, none if Device does
	Device string   // the device that it names
}

func (e *OverreachError) Error() string {
	if len(e.Rights) == 0 {
		return fmt.Sprintf("'%s' stands on the device '%s'", e.Image, e.Device)
	}
	return fmt.Sprintf("'%s' asks for %s in the name of what it stands on", e.Image, strings.Join(e.Rights, " and "))
}

// Hint says how the user gives what the image may not take.
func (e *OverreachError) Hint() string {
	if len(e.Rights) == 0 {
		return "an image may name files only; --allow-backing-device lets it name devices, which are read\n"
	}
	return "what an image names is only read, under the usual locks; options that you give, as backing.driver=..., are obeyed\n"
}

// gate is blockdev.OpenConfig.Gate: an image gets no right that the user did not give. devices says that it may name devices.
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
		}
		return nil
	}
}
