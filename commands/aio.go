package commands

import (
	"context"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var aioFlush = session.Command{
	Name: "aio_flush", Needs: session.File,
	Group: session.GroupBackground,
	Short: "completes all outstanding aio requests",
	Long: ` Example:
 aio_write 0 1M
 aio_flush             shows the report of the write when it is done
`,
	New: func(*session.Flags) session.Run {
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			return event.FailOp("aio_flush", s.Drain(ctx, im))
		}
	},
}

var flush = session.Command{
	Name: "flush", Alias: "f", Needs: session.File,
	Group:     session.GroupData,
	Elsewhere: []string{"fsync", "sync"},
	Short:     "flush all in-core file state to disk",
	Long: ` Example:
 flush                 returns when what was written is on stable storage
`,
	New: func(*session.Flags) session.Run {
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			err := s.Request(ctx, "flush", im.Dev.Flush)
			if err == nil {
				s.Emit(event.Flushed{Image: im.Describe()})
			}
			return err
		}
	},
}
