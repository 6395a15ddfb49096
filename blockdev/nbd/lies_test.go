package nbd

import (
	"context"
	"net"
	"runtime"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// liar is a server's end of a connection that ends once the lie was told.
type liar struct {
	net.Conn
	told *bool
}

func (l liar) Write(b []byte) (int, error) {
	n, err := l.Conn.Write(b)
	if *l.told {
		err = l.Close()
	}
	return n, err
}

// TestLies announces more than comes, in each kind of chunk. The client fails, and takes no memory
// for it.
func TestLies(t *testing.T) {
	const little = 8 << 20 // bytes; far less than the lies
	for _, form := range []nbdwire.Form{nbdwire.Structured, nbdwire.Extended} {
		status, lengths := nbdwire.ChunkBlockStatus, []uint64{1<<32 - 4, 1<<31 + 4}
		if form == nbdwire.Extended {
			status = nbdwire.ChunkBlockStatusExt
			lengths = []uint64{1<<64 - 8, 1<<63 + 8, 1<<62 + 8}
		}
		lengths = append(lengths, 4+8*nbdwire.MaxExtents, 8+16*nbdwire.MaxExtents, 64<<10)
		for _, typ := range []nbdwire.ChunkType{
			nbdwire.ChunkNone, nbdwire.ChunkData, nbdwire.ChunkHole, status, nbdwire.ChunkError,
			nbdwire.ChunkErrorOffset, 0x8009, 9,
		} {
			for _, n := range lengths {
				for _, cmd := range []nbdwire.Command{nbdwire.CmdRead, nbdwire.CmdBlockStatus} {
					took, err := listenTo(t, form, typ, n, cmd)
					if took > little || err == nil {
						t.Errorf("%v chunk of type %d with %d bytes to a %v: %v, %d bytes allocated", form,
							typ, n, cmd, err, took)
					}
				}
			}
		}
	}
}

// listenTo makes a request that is answered by a chunk of which only the header comes. It returns
// how much memory was allocated meanwhile, in bytes.
func listenTo(
	t *testing.T, form nbdwire.Form, typ nbdwire.ChunkType, n uint64, cmd nbdwire.Command,
) (took uint64, err error) {
	s, told := honest(form), false
	s.wrap = func(c net.Conn) net.Conn { return liar{c, &told} }
	s.answer = func(r nbdwire.Request, _ []byte) []byte {
		told = true
		return nbdwire.Reply{
			Form: form, Type: typ, Cookie: r.Cookie, Offset: r.Offset, Length: n, Done: true,
		}.Append(nil)
	}
	client := s.dial(t)
	defer client.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if ctx := context.Background(); cmd == nbdwire.CmdRead {
		err = client.Read(ctx, driver.Vec{make([]byte, 512)}, 0)
	} else {
		_, err = client.BlockStatus(ctx, 0, 4096)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}
