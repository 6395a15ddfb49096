package nbd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// TestWire lists answers to a read of 1024 bytes at 4096, or to a block status there, and what is
// said about them.
func TestWire(t *testing.T) {
	const form = nbdwire.Structured
	read := nbdwire.Request{Command: nbdwire.CmdRead, Offset: 4096, Length: 1024, Cookie: 1}
	status := read
	status.Command = nbdwire.CmdBlockStatus
	of := func(typ nbdwire.ChunkType, done bool, payload []byte) []byte {
		return chunk(read, form, typ, done, payload)
	}
	data := func(off uint64, n int, done bool) []byte {
		return of(nbdwire.ChunkData, done, dataAt(off, n))
	}
	extents := func(id uint32, done bool, n ...uint64) []byte {
		var list []Extent
		for _, n := range n {
			list = append(list, Extent{Length: n})
		}
		return of(nbdwire.ChunkBlockStatus, done, nbdwire.AppendExtents(nil, form, id, list))
	}
	foreign := read
	foreign.Cookie = 7
	for _, c := range []struct {
		name    string
		request nbdwire.Request
		reply   []byte
		wrong   string // a part of what is said, "" for nothing
		err     string // of the connection, "" for none
	}{
		{"fine", read, data(4096, 1024, true), "", ""},
		{"in reverse", read, append(data(4608, 512, false), data(4096, 512, true)...), "", ""},
		{"half", read, data(4096, 512, true), "only a part of the range", ""},
		{"none", read, of(nbdwire.ChunkNone, true, nil), "only a part of the range", ""},
		{"twice", read, append(data(4096, 1024, false), data(4096, 512, true)...), "came twice", ""},
		{"outside", read, data(4096, 1025, true), "not within what was asked for", ""},
		{"to nobody", read, chunk(foreign, form, nbdwire.ChunkNone, true, nil), "the cookie 0x7", "EOF"},
		{"type 9", read, of(9, true, []byte("what")), "chunk of type 9", ""},
		{"error 0", read, of(nbdwire.ChunkError, true, make([]byte, 6)), "without a number", ""},
		{
			"simple", read, nbdwire.Reply{Cookie: 1}.Append(nil), "a simple reply to a read",
			"whether data",
		},
		{"simple error", read, nbdwire.Reply{Cookie: 1, Error: 5}.Append(nil), "", ""},
		{
			"extended", read, chunk(read, nbdwire.Extended, nbdwire.ChunkHole, true,
				nbdwire.AppendHole(nil, 4096, 1024)), "extended form", "",
		},
		{"no reply", read, []byte("HTTP/1.0 200 OK\r\n"), "", "no reply begins with"},
		{"cut", read, data(4096, 1024, true)[:500], "", "ends within a reply"},
		{"cut short", read, data(4096, 1024, true)[:5], "", "ends within 668e33ef00"},
		{
			"extents for a read", read,
			append(extents(1, false, 512), data(4096, 1024, true)...), "extents for a read", "",
		},
		{"status", status, extents(1, true, 512, 512), "", ""},
		{"status again", status, append(extents(1, false, 512), extents(1, true, 512)...), "again", ""},
		{"status of another", status, extents(2, true, 512), "nobody asked for context 2", ""},
		{"no status", status, of(nbdwire.ChunkNone, true, nil), "of 0 meta contexts", ""},
		{"data for a status", status, data(4096, 1024, true), "data for a block status", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := script{
				export: nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags}, form: form,
				answer: func(nbdwire.Request, []byte) []byte { return c.reply },
			}
			w, err := DialWire(t.Context(), Config{Address: s.listen(t)}, WireConfig{
				Form: "structured", Contexts: []string{"base:allocation"},
			})
			if err != nil {
				t.Fatal(err)
			}
			request := WireRequest{
				Command: uint16(c.request.Command), Offset: c.request.Offset,
				Length: c.request.Length,
			}
			err = w.Send(request, false)
			if err == nil && strings.HasPrefix(c.name, "cut") {
				err = w.Send(WireRequest{Command: uint16(nbdwire.CmdDisconnect)}, false)
			}
			var wrong []string
			for err == nil && w.InFlight() > 0 {
				var r WireReply
				if c.err == "EOF" && len(wrong) > 0 { // nothing more will come
					err = errors.Join(io.EOF, w.Close())
					break
				}
				r, err = w.Receive()
				wrong = append(wrong, r.Wrong...)
			}
			said := strings.Join(wrong, "\n")
			if (c.wrong == "") != (said == "") || !strings.Contains(said, c.wrong) {
				t.Errorf("it is said: %q", said)
			}
			if c.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v", err)
			}
			_ = w.Close()
		})
	}
}

// FuzzWire lets a server answer anything. Each answer is shown or breaks the connection.
func FuzzWire(f *testing.F) {
	r := nbdwire.Request{Cookie: 1, Length: 1024}
	f.Add(chunk(r, nbdwire.Structured, nbdwire.ChunkData, true, dataAt(0, 1024)), false)
	f.Add(chunk(r, nbdwire.Extended, nbdwire.ChunkHole, true, nbdwire.AppendHole(nil, 0, 1024)),
		true)
	f.Add(chunk(r, nbdwire.Structured, nbdwire.ChunkErrorOffset, true,
		nbdwire.ChunkFailure{Code: 5, Text: "no", HasOffset: true}.Append(nil)), false)
	f.Add(append(nbdwire.Reply{Cookie: 1}.Append(nil), make([]byte, 1024)...), false)
	f.Fuzz(func(t *testing.T, said []byte, extended bool) {
		a := agreement{form: nbdwire.Structured}
		if extended {
			a.form = nbdwire.Extended
		}
		w := &Wire{agreed: a, conn: discarded{}, in: bufio.NewReader(bytes.NewReader(said))}
		if err := w.Send(WireRequest{Length: 1024}, false); err != nil {
			t.Fatal(err)
		}
		for range len(said) + 1 {
			if _, err := w.Receive(); err != nil {
				return
			}
		}
		t.Error("more pieces than bytes")
	})
}

// discarded is a connection whose other side listens to nothing.
type discarded struct{ net.Conn }

func (discarded) Write(b []byte) (int, error) { return len(b), nil }
func (discarded) SetDeadline(time.Time) error { return nil }
func (discarded) Close() error                { return nil }
