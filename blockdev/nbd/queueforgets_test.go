package nbd

import (
	"context"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// What is known of bytes that a queue writes, and what dirty bitmaps say, is asked anew once the
// write is reaped, also where somebody has asked while it was on its way.
func TestQueueForgets(t *testing.T) {
	const form, at, n = nbdwire.Structured, 64 << 10, 4 << 10
	flags := uint64(nbdwire.StateHole | nbdwire.StateZero)
	client := script{
		form: form,
		export: nbdwire.Export{
			Size: 1 << 20, Flags: nbdwire.HasFlags | nbdwire.SendWriteZeroes | nbdwire.SendTrim,
		},
		answer: func(r nbdwire.Request, _ []byte) []byte {
			if r.Command != nbdwire.CmdBlockStatus {
				flags ^= nbdwire.StateHole | nbdwire.StateZero
				return chunk(r, form, nbdwire.ChunkNone, true, nil)
			}
			list := []Extent{{Length: r.Length, Flags: flags}}
			return chunk(r, form, nbdwire.ChunkBlockStatus, true,
				nbdwire.AppendExtents(nil, form, 1, list))
		},
	}.dial(t)
	ctx := context.Background()
	for _, op := range []driver.Op{driver.OpWrite, driver.OpZero, driver.OpDiscard} {
		dirty := &known{next: at, list: []Extent{{Length: n}}}
		d := &device{Client: client, dirty: map[string]*known{"bitmap": dirty}}
		q, err := d.NewQueue(ctx, 2, n)
		if err != nil {
			t.Fatal(err)
		}
		q.Stage(0, op, at, n, 0)
		before, err := d.Status(ctx, 0, at)
		if err != nil {
			t.Fatal(err)
		}
		done := make([]int, 2)
		if got, err := q.SubmitAndReap(1, done); got != 1 || err != nil || q.Err(0) != nil {
			t.Fatalf("%d requests reaped, %v, %v", got, err, q.Err(0))
		}
		after, err := d.Status(ctx, at, n)
		if err != nil || after.Data == before.Data {
			t.Errorf("operation %d: the server has changed its mind, and is not asked: %+v, %v",
				op, after, err)
		}
		if _, ok := dirty.first(at); ok {
			t.Errorf("operation %d: what a bitmap said before is still believed", op)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}
