package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var check = session.Command{
	Name: "check", Max: -1, Needs: session.File,
	Args:  "[-r leaks|all]",
	Short: "checks the metadata of the image",
	Long: ` Example:
 check                 counts what is wrong; nothing is changed
 check -r leaks        gives clusters back that nothing refers to
`,
	New: func(f *session.Flags) session.Run {
		var fix blockdev.Fix
		f.Flag('r', "repair", "WHAT", "repair leaks, or all that can be repaired", func(word string) error {
			switch word {
			case "leaks":
				fix = blockdev.FixLeaks
			case "all":
				fix = blockdev.FixLeaks | blockdev.FixErrors
			default:
				return event.Fail(event.BadValue{Message: "-r takes leaks or all, not " + word})
			}
			f.Need(session.Write)
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			checker, ok := blockdev.Find[blockdev.Checker](im.Dev.Top())
			if !ok {
				return event.Fail(event.Failed{Op: "check", Err: &blockdev.Refusal{
					Text: "images of the format " + im.Dev.Info().Driver + " have no metadata that could be checked",
					Err:  blockdev.ErrNotSupported,
				}})
			}
			if err := s.Drain(ctx, im); err != nil {
				return event.Fail(event.Failed{Op: "check", Err: err})
			}
			found := event.Checked{Fix: fix}
			err := s.Do(ctx, func(ctx context.Context) (err error) {
				found.CheckResult, err = checker.Check(ctx, fix)
				return err
			})
			if err != nil {
				return event.Fail(event.Failed{Op: "check", Err: err})
			}
			s.Emit(found)
			if found.Corruptions+found.Leaks+found.CheckErrors > 0 {
				return session.Shown(event.Fail(found))
			}
			return nil
		}
	},
}
