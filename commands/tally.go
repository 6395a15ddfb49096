package commands

import (
	"context"
	"math/bits"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
)

var tally = session.Command{
	Name: "tally", Needs: session.File,
	Group: session.GroupLook,
	Args:  "[off [len]]",
	Short: "counts the bits of a range that are set",
	Long: ` Example:
 tally                 those of the whole image
`,
	New: func(f *session.Flags) session.Run {
		var c scope
		c.operands(f)
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			e := event.Tallied{Range: event.Range(c)}
			err := c.scan(ctx, s, im, "tally", false, func(_ looking, p stream.Piece) error {
				for _, b := range p.Data {
					e.Ones += int64(bits.OnesCount8(b))
				}
				return nil
			})
			if err == nil {
				s.Emit(e)
			}
			return err
		}
	},
}
