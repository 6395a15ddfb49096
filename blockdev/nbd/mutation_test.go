package nbd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// mangled is a server's end of a connection, of which one byte is changed, or which is cut there.
type mangled struct {
	net.Conn
	at     int64 // which byte
	change func(byte) byte
	sent   int64
}

// Read gives up soon if a byte was changed: the client may wait for more than comes.
func (m *mangled) Read(b []byte) (int, error) {
	if m.change != nil {
		_ = m.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	}
	return m.Conn.Read(b)
}

func (m *mangled) Write(b []byte) (int, error) {
	at := m.at - m.sent
	m.sent += int64(len(b))
	if at < 0 || at >= int64(len(b)) {
		return m.Conn.Write(b)
	}
	if m.change == nil {
		_, _ = m.Conn.Write(b[:at])
		return 0, m.Close()
	}
	b = bytes.Clone(b)
	b[at] = m.change(b[at])
	return m.Conn.Write(b)
}

// honest answers everything as it should be: reads with data and, where there are chunks, a hole.
func honest(form nbdwire.Form) script {
	s := script{form: form}
	s.export = nbdwire.Export{
		Size: 1 << 20, Description: "a disk",
		Flags:  nbdwire.HasFlags | nbdwire.SendFlush | nbdwire.SendWriteZeroes | nbdwire.SendTrim,
		Blocks: nbdwire.BlockSizes{Minimum: 1, Preferred: 4096, Maximum: 1 << 20},
	}
	s.answer = func(r nbdwire.Request, _ []byte) []byte {
		isRead, isStatus := r.Command == nbdwire.CmdRead, r.Command == nbdwire.CmdBlockStatus
		switch {
		case r.Offset == refusedAt && form == nbdwire.Simple:
			return nbdwire.Reply{Cookie: r.Cookie, Error: 5, Done: true}.Append(nil)
		case r.Offset == refusedAt:
			text := nbdwire.ChunkFailure{Code: 5, Text: "no"}.Append(nil)
			return chunk(r, form, nbdwire.ChunkError, true, text)
		case form == nbdwire.Simple:
			out := nbdwire.Reply{Cookie: r.Cookie, Done: true}.Append(nil)
			if isRead {
				out = append(out, dataAt(0, int(r.Length))[8:]...)
			}
			return out
		case isRead:
			half := r.Length / 2
			out := chunk(r, form, nbdwire.ChunkData, false, dataAt(r.Offset, int(half)))
			hole := nbdwire.AppendHole(nil, r.Offset+half, uint32(r.Length-half))
			return append(out, chunk(r, form, nbdwire.ChunkHole, true, hole)...)
		case isStatus:
			typ := nbdwire.ChunkBlockStatus
			if form == nbdwire.Extended {
				typ = nbdwire.ChunkBlockStatusExt
			}
			list := []Extent{{Length: 4096}, {Length: 8192, Flags: 3}}
			return chunk(r, form, typ, true, nbdwire.AppendExtents(nil, form, 1, list))
		}
		return chunk(r, form, nbdwire.ChunkNone, true, nil)
	}
	return s
}

// statusStep is the step that has no answer where there are no chunks.
const statusStep = 2

// refusedAt is an offset at which the honest server fails.
const refusedAt = 512 << 10

// visit opens an export at a and does everything with it. It returns what went wrong with each
// step, of which there are steps, and how many bytes of the read are not as they should be.
func visit(a Address) (failed []error, wrong int) {
	ctx := context.Background()
	client, err := Dial(ctx, Config{Address: a})
	if failed = append(failed, err); err != nil {
		return failed, 0
	}
	defer client.Close()
	d := &device{Client: client}
	got := bytes.Repeat([]byte{0x5a}, 64)
	err = client.Read(ctx, driver.Vec{got[:10], got[10:]}, 4096)
	if failed = append(failed, err); err == nil {
		want := bytes.Repeat([]byte{7}, 64)
		if client.agreed.form != nbdwire.Simple {
			clear(want[32:])
		}
		for i := range got {
			if got[i] != want[i] {
				wrong++
			}
		}
	}
	e, err := d.Status(ctx, 0, 65536)
	if err == nil && (e.Off != 0 || e.Len <= 0 || e.Len > 65536) {
		err = fmt.Errorf("an extent of %+v", e)
		wrong = len(got)
	}
	failed = append(failed, err, client.Write(ctx, driver.Vec{make([]byte, 64)}, 0, false),
		client.Zero(ctx, 0, 64, ZeroFlags{}), client.Trim(ctx, 0, 64), client.Flush(ctx))
	if err := client.Trim(ctx, refusedAt, 64); err == nil {
		failed = append(failed, fmt.Errorf("an error is taken for success"))
	}
	return failed, wrong
}

// TestMutations changes each byte of an honest server's answers, and cuts them at each, in each
// form of replies. The client ends by itself; what is cut fails, whatever came before it does not,
// and no read is called good of which more is wrong than the byte that was changed.
func TestMutations(t *testing.T) {
	t.Parallel()
	changes := []func(byte) byte{
		nil, func(x byte) byte { return ^x }, func(x byte) byte { return x + 1 },
		func(x byte) byte { return x - 1 }, func(x byte) byte { return x ^ 0x80 },
	}
	if !blockdevtest.Thorough() {
		changes = changes[:2]
	}
	for _, form := range []nbdwire.Form{nbdwire.Simple, nbdwire.Structured, nbdwire.Extended} {
		t.Run(form.String(), func(t *testing.T) {
			ends, clean := undisturbed(t, form)
			for i, change := range changes {
				forEach(ends[len(ends)-1], func(at int64) {
					s := honest(form)
					s.wrap = func(c net.Conn) net.Conn {
						return &mangled{Conn: c, at: at, change: change}
					}
					failed, wrong := visit(s.listen(t))
					if wrong > 1 || change == nil && wrong > 0 {
						t.Errorf("byte %d, change %d: %d bytes of a good read are wrong", at, i, wrong)
					}
					if change == nil {
						checkCut(t, at, ends, failed, clean)
					}
				})
			}
		})
	}
}

// undisturbed is where the answers to each step end, if nothing happens to them, and what comes of
// the steps.
func undisturbed(t *testing.T, form nbdwire.Form) (ends []int64, clean []error) {
	t.Helper()
	t.Run("undisturbed", func(t *testing.T) { // at whose end the server has ended
		s := honest(form)
		var server *mangled
		s.wrap = func(c net.Conn) net.Conn {
			server = &mangled{Conn: c, at: -1}
			return server
		}
		answer := s.answer
		s.answer = func(r nbdwire.Request, data []byte) []byte {
			if len(ends) == 0 {
				ends = append(ends, server.sent) // of the haggling
			}
			out := answer(r, data)
			ends = append(ends, server.sent+int64(len(out)))
			return out
		}
		wrong := 0
		clean, wrong = visit(s.listen(t))
		for i, err := range clean {
			if i != statusStep && err != nil || wrong > 0 {
				t.Fatalf("step %d: %v, %d bytes wrong", i, err, wrong)
			}
		}
	})
	if form == nbdwire.Simple { // a status is not asked for
		ends = slices.Insert(ends, statusStep, ends[statusStep-1])
	}
	return ends, clean
}

// checkCut holds what failed against where the answers were cut.
func checkCut(t *testing.T, at int64, ends []int64, failed, clean []error) {
	t.Helper()
	for i, end := range ends {
		if i >= len(failed) {
			if at >= ends[0] && i < len(clean) {
				t.Errorf("cut at %d: step %d was not made", at, i)
			}
			return
		}
		came := end <= at
		if came != (failed[i] == nil) && i != statusStep {
			t.Errorf("cut at %d: step %d, which ends at %d: %v", at, i, end, failed[i])
		}
	}
}

// forEach calls f for each number below n, some at a time.
func forEach(n int64, f func(int64)) {
	var all sync.WaitGroup
	next := make(chan int64)
	for range 16 * runtime.NumCPU() {
		all.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}
