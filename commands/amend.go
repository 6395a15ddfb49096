package commands

import (
	"context"
	"errors"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var amend = session.Command{
	Name: "amend", Needs: session.File | session.Write | session.Resize,
	Group: session.GroupImages,
	Args:  "-o options",
	Short: "changes what the image was created with",
	Long: ` Examples:
 amend -o compat=0.10
 amend -o compat=1.1,lazy_refcounts=on,refcount_bits=64

 Of qcow2 images that are: compat, lazy_refcounts, refcount_bits, data_file, and
 data_file_raw=off. 'resize' changes the length, 'rebase' the backing file.

 Of luks images, and behind encrypt. of qcow2 images that are encrypted so:
 state=active,new-secret=ID adds a passphrase (in the slot keyslot=N, opening
 takes iter-time=MS), state=inactive erases keyslot=N or those that
 old-secret=ID opens, but never the last one in use. 'luks' can do it too, and
 asks for passphrases.
`,
	New: func(f *session.Flags) session.Run {
		options := &blockdev.Options{}
		f.KeyValues(options, 'o', "options", "key=value,... of the format")
		f.Conflict("o", "-o says what is to be another", func() bool { return options.Len() == 0 })
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			err := s.Drain(ctx, im)
			if err == nil {
				err = s.Do(ctx,
					func(ctx context.Context) error { return im.Dev.Amend(ctx, options) })
			}
			if err != nil {
				return amendFailed(err)
			}
			s.Emit(event.Amended{Options: options.Keys()})
			return nil
		}
	},
}

// amendFailed tells what was asked for and cannot be apart from what failed.
func amendFailed(err error) error {
	var option *blockdev.CreateOptionError
	if errors.As(err, &option) {
		return badOption("amend", option)
	}
	if text, ok := refusedRequest(err); ok {
		return event.BadValuef("amend: %s", text)
	}
	return event.FailOp("amend", err)
}
