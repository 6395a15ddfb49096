package blockdevtest

import (
	"context"
	"errors"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// testStrict asks a strict device for parts of blocks, by every way in.
func (s Subject) testStrict(t *testing.T) {
	ctx := context.Background()
	d := s.fresh(t)
	data := noise(7, 4096)
	must(t, d.Write(ctx, driver.Vec{data}, 0, 0))
	d.SetStrict(true)
	block := d.Block()
	ways := map[string]func(op driver.Op, off, n int64) error{
		"device": func(op driver.Op, off, n int64) error {
			if op == driver.OpZero {
				return d.Zero(ctx, off, n, 0)
			}
			return d.Write(ctx, driver.Vec{make([]byte, n)}, off, 0)
		},
	}
	for name, depth := range map[string]int{"queue": 2, "queue of one": 1} {
		q, err := d.Queue(ctx, depth, 4096)
		must(t, err)
		defer func() { must(t, q.Close()) }()
		ways[name] = func(op driver.Op, off, n int64) error {
			q.Stage(0, op, off, n, 0)
			must(t, q.Submit())
			_, err := q.Reap(1, make([]int, depth))
			return errors.Join(err, q.Err(0))
		}
	}
	for name, ask := range ways {
		for _, op := range []driver.Op{driver.OpWrite, driver.OpZero} {
			for _, r := range []struct{ off, n int64 }{{0, 100}, {100, 412}, {100, block}} {
				var unaligned *blockdev.AlignError
				if err := ask(op, r.off, r.n); !errors.As(err, &unaligned) {
					t.Errorf("%s: operation %d on %d bytes at %d: %v", name, op, r.n, r.off, err)
				}
			}
		}
	}
	s.expect(t, d, 0, data)
	d.SetStrict(false)
}
