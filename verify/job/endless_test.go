package job

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blksh/blksh/verify/fio"
)

// What a job wrote that only its runtime ended is verified by its journal, which says where the job
// without an end stopped.
func TestTimeBased(t *testing.T) {
	for _, d := range []fio.Direction{fio.Write, fio.RandWrite, fio.ReadWrite} {
		o := fio.DefaultOptions()
		o.Direction, o.Verify, o.Size, o.TimeBased = d, "crc32c", 64<<10, true
		o.Runtime, o.EndFsync = 300*time.Millisecond, true
		o.MaxRequest, o.IODepth = 0, 1
		var journal bytes.Buffer
		var clock atomic.Int64
		f := tempFile(t, o.Size)
		hooks := Hooks{Now: func() time.Time { return time.UnixMilli(clock.Add(1)) }}
		w := run(t, f, o, hooks, func(j *Job, ctx context.Context, open Opener) (*Result, error) {
			return j.Write(ctx, open, WriteOptions{Journal: &journal})
		})
		noted, err := ReadJournal(t.Context(), bytes.NewReader(journal.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		j, err := New(noted.Options(fio.DefaultOptions()), Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := j.Verify(t.Context(), openFile(f), VerifyOptions{History: noted.History(false)})
		if err != nil || !r.Done || !r.Good() || r.Blocks == 0 || noted.Flushed != w.Writes {
			t.Errorf("%v: %d writes, %d of them flushed: %+v, %v", d, w.Writes, noted.Flushed, r,
				err)
		}
	}
}
