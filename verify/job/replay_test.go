package job

import (
	"context"
	"errors"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// Whoever replays a job stops when nobody waits any more: these jobs have more requests than a test
// can wait for.
func TestReplaysAreCancelled(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.MinBlock, o.Size, o.Loops = "crc32c", 512, 1<<50, 2
	trimmed := o
	trimmed.Loops, trimmed.TrimPercent, trimmed.TrimBacklog = 1, 10, 8
	resumed := o
	resumed.Loops = 1
	for name, do := range map[string]func(context.Context) error{
		"passes": func(ctx context.Context) error {
			_, err := testJob(t, o).Verify(ctx, openMemory(nil), VerifyOptions{})
			return err
		},
		"trims": func(ctx context.Context) error {
			_, err := testJob(t, trimmed).Verify(ctx, openMemory(nil), VerifyOptions{})
			return err
		},
		"places of a history": func(ctx context.Context) error {
			_, err := testJob(t, o).Verify(ctx, openMemory(nil),
				VerifyOptions{History: &History{Issued: 1 << 60}})
			return err
		},
		"resumed verification": func(ctx context.Context) error {
			_, err := testJob(t, resumed).Verify(ctx, openMemory(nil), VerifyOptions{From: 1 << 60})
			return err
		},
		"resumed writing": func(ctx context.Context) error {
			_, err := testJob(t, resumed).Write(ctx, openMemory(nil), WriteOptions{From: 1 << 60})
			return err
		},
		"files whose blocks are drawn": func(ctx context.Context) error {
			drawn := o
			drawn.Direction, drawn.Loops, drawn.NrFiles = fio.RandWrite, 1, 4096
			drawn.Distribution = fio.Distribution{Kind: "zipf", Value: 1.2}
			_, err := testJob(t, drawn).Verify(ctx, openMemory(nil), VerifyOptions{})
			return err
		},
		"all read, and not to be looked at": func(ctx context.Context) error {
			many := o
			many.Direction, many.Loops = fio.RandReadWrite, 1
			many.Generator, many.MixRead, many.Size = "lfsr", 100, 1<<48
			_, err := testJob(t, many).Verify(ctx, openMemory(nil), VerifyOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := do(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want %v", err, context.Canceled)
			}
		})
	}
}

func testJob(t *testing.T, o fio.Options) *Job {
	j, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}
