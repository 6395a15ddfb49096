package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// script is a server that answers as a test wants. It serves one connection after the other.
type script struct {
	export nbdwire.Export
	form   nbdwire.Form
	// answer returns the bytes to send for a request; nil hangs up.
	answer func(r nbdwire.Request, data []byte) []byte
	// wrap takes the place of each connection; nil leaves it.
	wrap func(net.Conn) net.Conn
}

// listen starts the server and returns where it listens.
func (s script) listen(t testing.TB) Address {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a test that hangs shall say where
			if s.wrap != nil {
				conn = s.wrap(conn)
			}
			s.serve(conn)
			_ = conn.Close()
		}
	}()
	return Address{Network: "unix", Path: path}
}

func (s script) serve(conn net.Conn) {
	if _, _, err := nbdwire.GreetClient(conn); err != nil || !s.haggle(conn) {
		return
	}
	head := make([]byte, nbdwire.RequestSize(s.form))
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		r, err := nbdwire.ParseRequest(head, s.form)
		if err != nil || r.Command == nbdwire.CmdDisconnect {
			return
		}
		data := make([]byte, r.Payload(s.form))
		if _, err := io.ReadFull(conn, data); err != nil {
			return
		}
		out := s.answer(r, data)
		if out == nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// haggle agrees to the form, to base:allocation as number 1, and to any export.
func (s script) haggle(conn net.Conn) bool {
	for {
		opt, data, _, err := nbdwire.ReadOption(conn, 1<<16)
		if err != nil {
			return false
		}
		var out []byte
		reply := func(rep nbdwire.OptionReply, data []byte) {
			out = nbdwire.AppendOptionReply(out, opt, rep, data)
		}
		switch {
		case opt == nbdwire.OptGo:
			if s.export.Blocks != (nbdwire.BlockSizes{}) {
				reply(nbdwire.RepInfo, nbdwire.AppendInfo(nil, nbdwire.InfoBlockSize, s.export))
			}
			reply(nbdwire.RepInfo, nbdwire.AppendInfo(nil, nbdwire.InfoExport, s.export))
			reply(nbdwire.RepAck, nil)
		case opt == nbdwire.OptStructuredReply && s.form == nbdwire.Structured,
			opt == nbdwire.OptExtendedHeaders && s.form == nbdwire.Extended:
			reply(nbdwire.RepAck, nil)
		case opt == nbdwire.OptSetMetaContext && s.form != nbdwire.Simple:
			if _, err := nbdwire.ParseMetaRequest(data); err != nil {
				return false
			}
			c := nbdwire.Context{ID: 1, Name: nbdwire.ContextAllocation}
			reply(nbdwire.RepMetaContext, nbdwire.AppendContext(nil, c))
			reply(nbdwire.RepAck, nil)
		default:
			reply(nbdwire.RepErrUnsupported, nil)
		}
		if _, err := conn.Write(out); err != nil {
			return false
		}
		if opt == nbdwire.OptGo {
			return true
		}
	}
}

func (s script) dial(t testing.TB) *Client {
	t.Helper()
	c, err := Dial(context.Background(), Config{Address: s.listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// chunk is a chunk for r with a payload.
func chunk(r nbdwire.Request, form nbdwire.Form, typ nbdwire.ChunkType, done bool,
	payload []byte,
) []byte {
	head := nbdwire.Reply{
		Form: form, Type: typ, Cookie: r.Cookie, Offset: r.Offset, Length: uint64(len(payload)),
		Done: done,
	}.Append(nil)
	return append(head, payload...)
}

func dataAt(off uint64, n int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, off), bytes.Repeat([]byte{7}, n)...)
}

// TestReplies lists what a server may answer to a read of 1024 bytes at 4096, and what it may not:
// the error of the request, and whether the connection lives.
func TestReplies(t *testing.T) {
	const form = nbdwire.Structured
	type reply func(r nbdwire.Request) []byte
	chunks := func(list ...reply) reply {
		return func(r nbdwire.Request) []byte {
			var out []byte
			for _, c := range list {
				out = append(out, c(r)...)
			}
			return out
		}
	}
	data := func(off uint64, n int, done bool) reply {
		return func(r nbdwire.Request) []byte {
			return chunk(r, form, nbdwire.ChunkData, done, dataAt(off, n))
		}
	}
	hole := func(off uint64, n uint32, done bool) reply {
		return func(r nbdwire.Request) []byte {
			return chunk(r, form, nbdwire.ChunkHole, done, nbdwire.AppendHole(nil, off, n))
		}
	}
	of := func(typ nbdwire.ChunkType, payload ...byte) reply {
		return func(r nbdwire.Request) []byte { return chunk(r, form, typ, true, payload) }
	}
	failed := func(code uint32, text string) reply {
		return of(nbdwire.ChunkError, nbdwire.ChunkFailure{Code: code, Text: text}.Append(nil)...)
	}
	none := of(nbdwire.ChunkNone)
	for _, c := range []struct {
		name  string
		reply reply
		want  error
		lives bool
	}{
		{"whole", data(4096, 1024, true), nil, true},
		{"two", chunks(data(4096, 24, false), data(4120, 1000, true)), nil, true},
		{"backwards", chunks(data(4120, 1000, false), data(4096, 24, false), none), nil, true},
		{"hole and data", chunks(hole(4096, 1000, false), data(5096, 24, true)), nil, true},
		{"half", data(4096, 512, true), syscall.EIO, true},
		{"nothing", none, syscall.EIO, true},
		{"twice", chunks(data(4096, 1024, false), data(4096, 1024, true)), syscall.EIO, true},
		{"overlap", chunks(data(4096, 600, false), hole(4600, 520, true)), syscall.EIO, true},
		{"before", data(4095, 1024, true), syscall.EINVAL, false},
		{"behind", data(4097, 1024, true), syscall.EINVAL, false},
		{"longer", data(4096, 1025, true), syscall.EINVAL, false},
		{"far", data(1<<63, 1024, true), syscall.EINVAL, false},
		{"hole behind", hole(5000, 1<<31, true), syscall.EINVAL, false},
		{"hole of nothing", hole(4096, 0, true), syscall.EINVAL, false},
		{"error", failed(5, ""), syscall.EIO, true},
		{"error in words", failed(28, "the disk is full"), syscall.ENOSPC, true},
		{"other number", failed(77, ""), syscall.EINVAL, true},
		{"error after data", chunks(data(4096, 1024, false), failed(5, "late")), syscall.EIO, true},
		{"error without number", failed(0, ""), syscall.EINVAL, false},
		{"unknown error", of(0x8009, 1, 2, 3), syscall.EIO, true},
		{"unknown type", of(9), syscall.EIO, false},
		{"extents", of(nbdwire.ChunkBlockStatus, nbdwire.AppendExtents(nil, form, 1, []Extent{{Length: 1}})...), syscall.EINVAL, false},
		{"simple", func(r nbdwire.Request) []byte {
			return append(nbdwire.Reply{Cookie: r.Cookie, Done: true}.Append(nil),
				make([]byte, 1024)...)
		}, syscall.EINVAL, false},
		{"to nobody", func(r nbdwire.Request) []byte { r.Cookie += 1 << 32; return none(r) }, syscall.EIO, false},
		{"no magic", func(nbdwire.Request) []byte { return make([]byte, 40) }, syscall.EIO, false},
		{"cut", func(r nbdwire.Request) []byte { return nil }, syscall.EIO, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := true
			client := script{
				export: nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags}, form: form,
				answer: func(r nbdwire.Request, _ []byte) []byte {
					if first {
						first = false
						return c.reply(r)
					}
					return data(r.Offset, int(r.Length), true)(r)
				},
			}.dial(t)
			ctx := context.Background()
			got := bytes.Repeat([]byte{0x5a}, 1024)
			if err := client.Read(ctx, driver.Vec{got[:100], got[100:]},
				4096); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want == nil && bytes.IndexByte(got, 0x5a) >= 0 {
				t.Error("bytes that never came")
			}
			err := client.Read(ctx, driver.Vec{got}, 0)
			if c.lives && err != nil || !c.lives && !errors.Is(err, syscall.EIO) {
				t.Errorf("the next read: %v", err)
			}
		})
	}
}

// TestStatusReplies lists answers to a block status.
func TestStatusReplies(t *testing.T) {
	const form = nbdwire.Structured
	status := func(id uint32, list ...Extent) []byte {
		return nbdwire.AppendExtents(nil, form, id, list)
	}
	for _, c := range []struct {
		name     string
		payloads [][]byte
		want     error
		first    int64
	}{
		{"fine", [][]byte{status(1, Extent{Length: 512, Flags: 0}, Extent{Length: 1024, Flags: 3})}, nil, 512},
		{"past the end", [][]byte{status(1, Extent{Length: 1 << 30, Flags: 3})}, nil, 1 << 20},
		{"other context", [][]byte{status(2, Extent{Length: 512, Flags: 0})}, syscall.EINVAL, 0},
		{"of nothing", [][]byte{status(1, Extent{Length: 0, Flags: 0})}, syscall.EINVAL, 0},
		{"again", [][]byte{status(1, Extent{Length: 512, Flags: 0}), status(1, Extent{Length: 512, Flags: 0})}, syscall.EINVAL, 0},
		{"none", nil, syscall.EIO, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := script{
				export: nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags}, form: form,
				answer: func(r nbdwire.Request, _ []byte) []byte {
					var out []byte
					for i, p := range c.payloads {
						out = append(out,
							chunk(r, form, nbdwire.ChunkBlockStatus, i == len(c.payloads)-1, p)...)
					}
					if out == nil {
						out = chunk(r, form, nbdwire.ChunkNone, true, nil)
					}
					return out
				},
			}.dial(t)
			d := &device{Client: client}
			e, err := d.Status(context.Background(), 0, 1<<20)
			if !errors.Is(err, c.want) || e.Len != c.first {
				t.Errorf("%+v, %v, want %d bytes, %v", e, err, c.first, c.want)
			}
		})
	}
}

// TestReconnect goes through a loss with requests that wait for the next connection, and an export
// that is another one.
func TestReconnect(t *testing.T) {
	var answers atomic.Int64
	s := script{form: nbdwire.Structured}
	s.export = nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags}
	s.answer = func(r nbdwire.Request, _ []byte) []byte {
		if answers.Add(1)%2 == 1 {
			return nil
		}
		return chunk(r, s.form, nbdwire.ChunkData, true, dataAt(r.Offset, int(r.Length)))
	}
	address := s.listen(t)
	client, err := Dial(context.Background(), Config{Address: address, ReconnectDelay: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 512)
	if err := client.Read(context.Background(), driver.Vec{got}, 0); err != nil ||
		answers.Load() != 2 {
		t.Errorf("%v after %d answers", err, answers.Load())
	}
	changed := client.agreed
	changed.export.Size /= 2
	if err := client.same(changed); err == nil {
		t.Error("half of the export may be gone")
	}
	changed = client.agreed
	changed.export.Flags |= nbdwire.ReadOnly
	if err := client.same(changed); err == nil {
		t.Error("the export may become read-only")
	}
	if err := client.same(client.agreed); err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// TestCancel gives a read up whose data is on its way, and goes on with the connection.
func TestCancel(t *testing.T) {
	const form = nbdwire.Structured
	ctx, cancel := context.WithCancel(context.Background())
	released := make(chan struct{})
	var rest []byte
	s := script{export: nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags}, form: form}
	s.answer = func(r nbdwire.Request, _ []byte) []byte {
		whole := chunk(r, form, nbdwire.ChunkData, true, dataAt(r.Offset, int(r.Length)))
		if rest == nil {
			rest = whole[len(whole)/2:]
			cancel() // the first half is as good as sent
			return whole[:len(whole)/2]
		}
		<-released
		return append(rest, whole...)
	}
	client := s.dial(t)
	got := make([]byte, 64<<10)
	if err := client.Read(ctx, driver.Vec{got}, 0); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	clear(got)
	close(released)
	if err := client.Read(context.Background(), driver.Vec{make([]byte, 512)}, 0); err != nil {
		t.Error(err)
	}
	if bytes.IndexByte(got, 7) >= 0 {
		t.Error("the memory of a read that was given up has changed")
	}
}

// FuzzReplies answers a read, a block status, a write and a flush with whatever comes.
func FuzzReplies(f *testing.F) {
	r := nbdwire.Request{Cookie: 1<<32 | window - 1}
	f.Add(chunk(r, nbdwire.Structured, nbdwire.ChunkData, true, dataAt(0, 1024)), uint8(1))
	f.Add(chunk(r, nbdwire.Extended, nbdwire.ChunkHole, true, nbdwire.AppendHole(nil, 0, 1024)),
		uint8(2))
	f.Add(append(nbdwire.Reply{Cookie: r.Cookie, Done: true}.Append(nil), make([]byte, 1024)...),
		uint8(0))
	f.Add(chunk(r, nbdwire.Structured, nbdwire.ChunkError, true,
		nbdwire.ChunkFailure{Code: 5, Text: "x"}.Append(nil)), uint8(1))
	f.Fuzz(func(t *testing.T, replies []byte, form uint8) {
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = theirs.Write(replies)
			_ = theirs.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		a := agreement{
			form:     nbdwire.Form(form % 3),
			contexts: []nbdwire.Context{{ID: 1, Name: "base:allocation"}},
		}
		a.export = nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags}
		c := newClient(Config{}, newConn(genericStream{ours}, a, &Config{}))
		ctx := context.Background()
		_ = c.Read(ctx, driver.Vec{make([]byte, 1000), make([]byte, 24)}, 0)
		_, _ = c.BlockStatus(ctx, 0, 1<<20)
		_ = c.Write(ctx, driver.Vec{make([]byte, 512)}, 0, false)
		_ = c.Flush(ctx)
		_ = c.Close()
		_ = ours.Close()
		<-ended
	})
}

// placeholder stands for the cookie of one of FuzzQueue's requests, by its number.
const placeholder = 0xc00c1e0000000000

// FuzzQueue answers the requests of a queue with whatever comes: each ends once, and the queue can
// be closed.
func FuzzQueue(f *testing.F) {
	read := func(i uint64) nbdwire.Request {
		return nbdwire.Request{Cookie: placeholder + i, Offset: 4096 * i, Length: 4096}
	}
	for _, form := range []nbdwire.Form{nbdwire.Structured, nbdwire.Extended} {
		var whole []byte
		for i := range uint64(2) {
			r := read(1 - i)
			whole = append(whole, chunk(r, form, nbdwire.ChunkData, false,
				dataAt(r.Offset, 2048))...)
			whole = append(whole, chunk(r, form, nbdwire.ChunkHole, true, nbdwire.AppendHole(nil,
				r.Offset+2048, 2048))...)
		}
		done := chunk(read(2), form, nbdwire.ChunkNone, true, nil)
		refused := chunk(read(3), form, nbdwire.ChunkError, true,
			nbdwire.ChunkFailure{Code: 28, Text: "full"}.Append(nil))
		f.Add(append(append(whole, done...), refused...), uint8(form))
		f.Add(append(done, done...), uint8(form))
	}
	simple := nbdwire.Reply{Cookie: placeholder + 1, Done: true}.Append(nil)
	f.Add(append(simple, make([]byte, 4096)...), uint8(nbdwire.Simple))
	f.Fuzz(func(t *testing.T, replies []byte, number uint8) {
		form := nbdwire.Form(number % 3)
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer theirs.Close()
			for i := range uint64(4) {
				head := make([]byte, nbdwire.RequestSize(form))
				if _, err := io.ReadFull(theirs, head); err != nil {
					return
				}
				r, err := nbdwire.ParseRequest(head, form)
				if err != nil {
					t.Error(err)
				}
				_, _ = io.CopyN(io.Discard, theirs, int64(r.Payload(form)))
				replies = bytes.ReplaceAll(replies,
					binary.BigEndian.AppendUint64(nil, placeholder+i),
					binary.BigEndian.AppendUint64(nil, r.Cookie))
			}
			_, _ = theirs.Write(replies)
		}()
		a := agreement{form: form}
		a.export = nbdwire.Export{Size: 1 << 20, Flags: nbdwire.HasFlags | nbdwire.SendFlush}
		d := &device{Client: newClient(Config{}, newConn(genericStream{ours}, a, &Config{}))}
		q, err := d.NewQueue(t.Context(), 4, 4096)
		if err != nil {
			t.Fatal(err)
		}
		for slot, op := range []uint8{
			driver.OpRead, driver.OpRead, driver.OpWrite, driver.OpFlush,
		} {
			q.Stage(slot, op, int64(slot)*4096, 4096, 0)
		}
		if err := q.Submit(); err != nil {
			t.Fatal(err)
		}
		seen, done := [4]bool{}, make([]int, 4)
		for left := len(seen); left > 0; {
			n, err := q.Reap(1, done)
			if err != nil || n < 1 {
				t.Fatalf("%d requests are reaped of %d: %v", n, left, err)
			}
			for _, slot := range done[:n] {
				if seen[slot] {
					t.Errorf("the request of slot %d ends twice", slot)
				}
				seen[slot] = true
			}
			left -= n
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		_ = d.Close()
		_ = ours.Close()
		<-ended
	})
}

// FuzzList asks a server that says anything what it exports.
func FuzzList(f *testing.F) {
	var whole []byte
	whole = binary.BigEndian.AppendUint64(whole, 0x4e42444d41474943)
	whole = binary.BigEndian.AppendUint64(whole, 0x49484156454f5054)
	whole = binary.BigEndian.AppendUint16(whole, 3)
	f.Add(whole)
	listed := append([]byte{0, 0, 0, 1}, 'x')
	whole = nbdwire.AppendOptionReply(whole, nbdwire.OptList, nbdwire.RepServer, listed)
	whole = nbdwire.AppendOptionReply(whole, nbdwire.OptList, nbdwire.RepAck, nil)
	whole = nbdwire.AppendOptionReply(whole, nbdwire.OptStructuredReply, nbdwire.RepAck, nil)
	whole = nbdwire.AppendOptionReply(whole, nbdwire.OptInfo, nbdwire.RepInfo,
		nbdwire.AppendInfo(nil, nbdwire.InfoExport, nbdwire.Export{Size: 1 << 20}))
	whole = nbdwire.AppendOptionReply(whole, nbdwire.OptInfo, nbdwire.RepAck, nil)
	f.Add(whole)
	path := filepath.Join(f.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, said []byte) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			go func() {
				_, _ = conn.Write(said)
				_ = conn.(*net.UnixConn).CloseWrite()
			}()
			_, _ = io.Copy(io.Discard, conn)
		}()
		list, err := List(t.Context(), Config{Address: Address{Network: "unix", Path: path}})
		for _, e := range list {
			if err == nil && (len(e.Name) > nbdwire.MaxString ||
				len(e.Description) > nbdwire.MaxString) {
				t.Errorf("%d bytes of name and %d of description", len(e.Name), len(e.Description))
			}
		}
		<-ended
	})
}
