package commands

import (
	"context"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var images = session.Command{
	Name:      "images",
	Group:     session.GroupImages,
	Short:     "lists the open images",
	Elsewhere: []string{"list", "ls"},
	Long: ` Example:
 open -a old old.img
 images                a star stands before the one that commands go to
`,
	New: func(*session.Flags) session.Run {
		return func(_ context.Context, s *session.Session, current *session.Image) error {
			for _, im := range s.Images() {
				s.Emit(event.Listed{
					Image: im.Describe(), Current: im == current,
					InFlight: im.InFlight(),
				})
			}
			return nil
		}
	},
}

var use = session.Command{
	Name:      "use",
	Group:     session.GroupImages,
	Args:      "name",
	Short:     "makes another image the current one",
	Elsewhere: []string{"switch", "file"},
	Long: ` Example:
 use old.img           commands go to old.img; requests in flight go on
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.Word("name", args.Image, word(&name))
		return func(_ context.Context, s *session.Session, _ *session.Image) error {
			im, err := named(s, name)
			if err == nil {
				s.Use(im)
			}
			return err
		}
	},
}

// word stores an operand as it stands.
func word(p *string) func(string) error {
	return func(w string) error {
		*p = w
		return nil
	}
}

// named finds an open image.
func named(s *session.Session, name string) (*session.Image, error) {
	if im := s.Named(name); im != nil {
		return im, nil
	}
	return nil, event.Fail(event.NoImage{Name: name})
}
