package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev"
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
			if err := s.Drain(ctx, im); err != nil {
				return event.FailOp("aio_flush", err)
			}
			return nil
		}
	},
}

var flush = session.Command{
	Name: "flush", Alias: "f", Needs: session.File,
	Group: session.GroupData,
	Elsewhere: []session.Elsewhere{
		{Name: "fsync", Call: "flush"},
		{Name: "sync", Call: "flush"},
	},
	Short: "flush all in-core file state to disk",
	Long: ` Example:
 flush                 returns when what was written is on stable storage
`,
	New: func(*session.Flags) session.Run {
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			err := onDevice(ctx, s, im, "flush",
				func(ctx context.Context, d *blockdev.Device) error { return d.Flush(ctx) })
			if err == nil {
				s.Emit(event.Flushed{Image: im.Describe()})
			}
			return err
		}
	},
}

// onDevice makes a request that has nothing to report but its failure.
func onDevice(
	ctx context.Context, s *session.Session, im *session.Image, op string,
	do func(ctx context.Context, d *blockdev.Device) error,
) error {
	if err := s.Do(ctx, func(ctx context.Context) error { return do(ctx, im.Dev) }); err != nil {
		return event.FailOp(op, err)
	}
	return nil
}
