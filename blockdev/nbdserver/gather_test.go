package nbdserver_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// picky is a disk that does not do what touches its last block, and counts writes of several
// pieces.
type picky struct {
	nbdserver.Disk
	together atomic.Int64
}

const pickyFrom = 1<<20 - 4096

func (p *picky) Write(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	if len(v) > 1 {
		p.together.Add(1)
	}
	if off+v.Len() > pickyFrom {
		return syscall.ENOSPC
	}
	return p.Disk.Write(ctx, v, off, f)
}

// TestGather sends writes that go on where the one before ends, until the server has made some of
// them together. Each has its reply, all data is where it belongs, and where some fail the others
// do not.
func TestGather(t *testing.T) {
	const length, at = 4096, 8
	for _, form := range []nbdwire.Form{nbdwire.Simple, nbdwire.Extended} {
		disk := &picky{Disk: open(t, image(t, 1<<20), blockdev.Mode{})}
		path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk}}})
		w := dial(t, path, form)
		for batch := 0; disk.together.Load() < 8; batch++ {
			if batch == 1<<16 {
				t.Fatal("no writes were made together")
			}
			from := uint64(batch%2) * (pickyFrom - (at-1)*length) // the second ends where it fails
			var sent []byte
			for i := range uint64(at) {
				r := nbdwire.Request{
					Command: nbdwire.CmdWrite, Offset: from + i*length, Length: length, Cookie: i,
				}
				sent = append(r.Append(sent, form),
					bytes.Repeat([]byte{byte(batch + int(i))}, length)...)
			}
			if _, err := w.conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			seen := map[uint64]bool{}
			for range at {
				reply, err := w.reply()
				fails := batch%2 == 1 && reply.Cookie == at-1
				if err != nil || seen[reply.Cookie] {
					t.Fatalf("%+v, %v, after %v", reply, err, seen)
				}
				if failed := reply.Error != 0 || reply.IsError(); failed != fails {
					t.Fatalf("batch %d: %+v", batch, reply)
				}
				w.skip(int64(reply.Length))
				seen[reply.Cookie] = true
			}
			got := make([]byte, length)
			for i := range uint64(at - 1) {
				if err := disk.Read(t.Context(), driver.Vec{got}, int64(from+i*length),
					0); err != nil ||
					bytes.Count(got, []byte{byte(batch + int(i))}) != length {
					t.Fatalf("batch %d, write %d: %v, 0x%x", batch, i, err, got[0])
				}
			}
		}
	}
}
