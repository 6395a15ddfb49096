package nbd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// Wire is a connection on which the caller sends what he likes, within the protocol or not, and
// sees what comes back. It is for those who write servers. One goroutine uses it.
type Wire struct {
	agreed agreement
	conn   io.WriteCloser
	in     *bufio.Reader
	limit  interface{ SetDeadline(time.Time) error }
	sent   []*wired // by cookie, from 1; nil once it is answered
	flying int
}

// WireConfig says how to begin a Wire.
type WireConfig struct {
	// Form of requests and replies is "simple", "structured" or "extended"; "" takes the best that
	// the server knows.
	Form string
	// Contexts are the names of the meta contexts to agree on. The server must have all of them.
	Contexts []string
}

// WireRequest is what to send.
type WireRequest struct {
	Command, Flags uint16
	Offset, Length uint64
	// Data follows the header, whatever Length says.
	Data []byte
}

// WireReply is one piece of what came back: a simple reply, or a chunk of another.
type WireReply struct {
	// Request is the place of the request that it answers among those sent, from 0; -1 for none.
	Request int
	// After is the time since that was sent.
	After time.Duration
	Form  string
	Type  string
	Last  bool // nothing more belongs to the request
	// Offset and Length are the range of data or a hole, in bytes, and Head is how the data begins.
	Offset, Length uint64
	Head           []byte
	// Code is the error number on the wire, 0 for none, and Text the server's words.
	Code uint32
	Text string
	// Extents describe what lies behind the offset of the request, in Context.
	Context string
	Extents []Extent
	// Wrong is what the specification does not allow, nil for nothing.
	Wrong []string
}

// wired is a request that was sent.
type wired struct {
	nbdwire.Request
	at       time.Time
	covered  nbdwire.Coverage // of a read
	contexts []uint32         // told
	failed   bool
}

const (
	// wireHead is how much of data is kept, in bytes.
	wireHead = 16
	// mostSkipped is the longest payload that is read past, in bytes.
	mostSkipped = 64 << 20
)

// DialWire makes a connection to the export of cfg.
func DialWire(ctx context.Context, cfg Config, wc WireConfig) (*Wire, error) {
	h, err := greet(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	a := agreement{tls: h.tls}
	if h.Old != nil {
		a.export, a.oldstyle = *h.Old, true
	} else if err = h.agreeOn(&a, wc, cfg.Export); err == nil {
		err = h.begin(&cfg, &a)
	}
	if err != nil {
		h.leave()
		return nil, h.because(err)
	}
	if err := h.finish(); err != nil {
		return nil, err
	}
	w := &Wire{agreed: a, conn: h.conn, limit: h.conn}
	if s, ok := h.stream.(*tlsStream); ok {
		w.conn = s.Conn
	}
	w.in = bufio.NewReaderSize(w.conn.(io.Reader), 64<<10)
	return w, nil
}

// agreeOn agrees on a form and contexts, or fails.
func (h *haggling) agreeOn(a *agreement, wc WireConfig, export string) (err error) {
	switch wc.Form {
	case "":
		a.form, err = h.chooseForm(0)
	case nbdwire.Structured.String():
		a.form, err = nbdwire.Structured, h.StructuredReplies()
	case nbdwire.Extended.String():
		a.form, err = nbdwire.Extended, h.ExtendedHeaders()
	}
	if err != nil || len(wc.Contexts) == 0 {
		return err
	}
	a.contexts, err = h.SetContexts(export, wc.Contexts...)
	for _, name := range wc.Contexts {
		if _, has := a.named(name); !has && err == nil {
			err = driver.Refuse("the export has no meta context %s", name)
		}
	}
	return err
}

// Size is the length of the export, in bytes.
func (w *Wire) Size() uint64 { return w.agreed.export.Size }

// InFlight is how many requests are not answered.
func (w *Wire) InFlight() int { return w.flying }

// SetDeadline is when Send and Receive give up, as in package net.
func (w *Wire) SetDeadline(t time.Time) error { return w.limit.SetDeadline(t) }

// Send sends a request. In the extended form that data follows is said for the caller, unless bare
// is set.
func (w *Wire) Send(r WireRequest, bare bool) error {
	x := &wired{Request: nbdwire.Request{
		Command: nbdwire.Command(r.Command), Flags: nbdwire.CommandFlags(r.Flags),
		Cookie: uint64(len(w.sent) + 1), Offset: r.Offset, Length: r.Length,
	}}
	if w.agreed.form == nbdwire.Extended && len(r.Data) > 0 && !bare {
		x.Flags |= nbdwire.PayloadLength
	}
	w.sent = append(w.sent, x)
	if x.Command != nbdwire.CmdDisconnect {
		w.flying++
	}
	x.at = time.Now()
	_, err := w.conn.Write(append(x.AppendAsIs(nil, w.agreed.form), r.Data...))
	return err
}

// Receive returns the next piece that comes. io.EOF says that the server has hung up, and a
// *BrokenError that nobody knows where the next piece begins.
func (w *Wire) Receive() (WireReply, error) {
	reply, err := w.header()
	if err != nil {
		return WireReply{}, err
	}
	p := &piece{
		wire: w, reply: reply,
		out: WireReply{
			Request: -1, Form: reply.Form.String(), Type: reply.Type.String(), Last: reply.Done,
		},
	}
	if i := reply.Cookie - 1; i < uint64(len(w.sent)) && w.sent[i] != nil {
		p.of, p.out.Request = w.sent[i], int(i)
		p.out.After = time.Since(p.of.at)
	} else {
		p.wrong("the cookie 0x%x is of no request in flight", reply.Cookie)
	}
	if reply.Form == nbdwire.Simple {
		err = p.simple()
	} else {
		err = p.chunk()
	}
	if err == nil && reply.Done && p.of != nil {
		p.end()
	}
	return p.out, err
}

// BrokenError says that what came is no reply, or too long to read past.
type BrokenError struct{ Text string }

func (e *BrokenError) Error() string { return e.Text }

// header reads the header of a reply of any form.
func (w *Wire) header() (nbdwire.Reply, error) {
	for _, size := range []int{16, 20, 32} { // the lengths of headers
		b, err := w.in.Peek(size)
		if err == io.EOF && len(b) > 0 {
			return nbdwire.Reply{}, &BrokenError{fmt.Sprintf("the connection ends within %x", b)}
		}
		if err != nil {
			return nbdwire.Reply{}, err
		}
		r, n, ofStructured := nbdwire.ParseReply(b, nbdwire.Structured)
		var ofExtended error
		if n == 0 {
			r, n, ofExtended = nbdwire.ParseReply(b, nbdwire.Extended)
		}
		if n > 0 { // what is wrong with it is said later
			_, err := w.in.Discard(n)
			return r, err
		}
		if ofStructured != nil && ofExtended != nil {
			return nbdwire.Reply{}, &BrokenError{fmt.Sprintf("no reply begins with %x", b)}
		}
	}
	return nbdwire.Reply{}, &BrokenError{"a header that does not end"}
}

// Close takes leave of the server, if it may still listen.
func (w *Wire) Close() error {
	_ = w.SetDeadline(soon())
	bye := nbdwire.Request{Command: nbdwire.CmdDisconnect}.Append(nil, w.agreed.form)
	_, _ = w.conn.Write(bye)
	return w.conn.Close()
}

// piece is a reply or a chunk on its way to the caller.
type piece struct {
	wire  *Wire
	reply nbdwire.Reply
	of    *wired // nil if it answers nothing
	out   WireReply
}

func (p *piece) wrong(format string, args ...any) {
	p.out.Wrong = append(p.out.Wrong, fmt.Sprintf(format, args...))
}

// simple deals with a simple reply.
func (p *piece) simple() error {
	p.out.Type, p.out.Code = "reply", p.reply.Error
	if p.of == nil {
		return nil
	}
	cmd := p.of.Command
	if p.reply.Error != 0 || cmd != nbdwire.CmdRead && cmd != nbdwire.CmdBlockStatus {
		if p.wire.agreed.form == nbdwire.Extended {
			p.wrong("a simple reply, though extended headers were agreed on")
		}
		return nil
	}
	if p.wire.agreed.form != nbdwire.Simple {
		p.wrong("a simple reply to a %v, though %v replies were agreed on", cmd, p.wire.agreed.form)
		if cmd == nbdwire.CmdRead {
			return &BrokenError{"nobody knows whether data follows"}
		}
	}
	if cmd != nbdwire.CmdRead {
		return nil
	}
	p.out.Offset, p.out.Length = p.of.Offset, p.of.Length
	_ = p.of.covered.Add(p.of.Offset, p.of.Length)
	return p.data(p.of.Length)
}

// chunk deals with a chunk.
func (p *piece) chunk() error {
	if p.reply.Form != p.wire.agreed.form {
		p.wrong("a chunk of the %v form, though the %v one was agreed on", p.reply.Form,
			p.wire.agreed.form)
	}
	if err := p.reply.Check(); err != nil {
		p.wrong("%v", err)
	}
	if p.reply.Form == nbdwire.Extended && p.of != nil && p.reply.Offset != p.of.Offset {
		p.wrong("it says that the request was at %d", p.reply.Offset)
	}
	if p.reply.Type == nbdwire.ChunkData && p.reply.Length >= 8 {
		var off [8]byte
		if _, err := io.ReadFull(p.wire.in, off[:]); err != nil {
			return cut(err)
		}
		p.covers(nbdwire.DataOffset(off[:]), p.reply.Length-8)
		return p.data(p.reply.Length - 8)
	}
	if p.reply.Length > 8+16*nbdwire.MaxExtents {
		return p.skip(p.reply.Length)
	}
	payload := make([]byte, p.reply.Length)
	if _, err := io.ReadFull(p.wire.in, payload); err != nil {
		return cut(err)
	}
	p.small(payload)
	return nil
}

// small deals with the payload of a chunk other than data.
func (p *piece) small(payload []byte) {
	switch {
	case p.reply.Type == nbdwire.ChunkNone:
	case p.reply.Type == nbdwire.ChunkHole:
		off, n, err := nbdwire.ParseHole(payload)
		if err != nil {
			p.wrong("%v", err)
			return
		}
		p.covers(off, uint64(n))
	case p.reply.Type == nbdwire.ChunkBlockStatus, p.reply.Type == nbdwire.ChunkBlockStatusExt:
		p.extents(payload)
	case p.reply.IsError():
		f, err := p.reply.ParseFailure(payload)
		if err != nil {
			p.wrong("%v", err)
		}
		p.out.Code, p.out.Text = f.Code, f.Text
		if f.HasOffset {
			p.out.Offset = f.Offset
		}
		if p.of != nil {
			p.of.failed = true
		}
	}
}

// extents deals with the payload of a block status.
func (p *piece) extents(payload []byte) {
	id, list, err := p.reply.ParseExtents(payload, nil)
	if err != nil {
		p.wrong("%v", err)
	}
	p.out.Extents = list
	name, agreed := p.wire.agreed.numbered(id)
	if !agreed {
		name = fmt.Sprintf("context %d", id)
		p.wrong("nobody asked for context %d", id)
	}
	p.out.Context = name
	if p.of == nil {
		return
	}
	if p.of.Command != nbdwire.CmdBlockStatus {
		p.wrong("extents for a %v", p.of.Command)
	}
	if slices.Contains(p.of.contexts, id) {
		p.wrong("extents of %s again", name)
	}
	p.of.contexts = append(p.of.contexts, id)
	if p.of.Flags&nbdwire.ReqOne != 0 && len(list) > 1 {
		p.wrong("%d extents, though one was asked for", len(list))
	}
}

// covers notes that n bytes at off have come.
func (p *piece) covers(off, n uint64) {
	p.out.Offset, p.out.Length = off, n
	if p.of == nil {
		return
	}
	r := &p.of.Request
	switch {
	case r.Command != nbdwire.CmdRead:
		p.wrong("data for a %v", r.Command)
	case off < r.Offset || n > r.Length || off-r.Offset > r.Length-n:
		p.wrong("%d bytes at %d are not within what was asked for", n, off)
	case n > 0:
		if err := p.of.covered.Add(off, n); err != nil {
			p.wrong("%v", err)
		}
	}
}

// data reads past n bytes and keeps the first.
func (p *piece) data(n uint64) error {
	head := make([]byte, min(n, wireHead))
	if _, err := io.ReadFull(p.wire.in, head); err != nil {
		return cut(err)
	}
	p.out.Head = head
	return p.skip(n - uint64(len(head)))
}

// skip reads past n bytes.
func (p *piece) skip(n uint64) error {
	if n > mostSkipped {
		return &BrokenError{fmt.Sprintf("%d bytes are announced", n)}
	}
	_, err := io.CopyN(io.Discard, p.wire.in, int64(n))
	return cut(err)
}

// cut is an end of the connection within a piece.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &BrokenError{"the connection ends within a reply"}
	}
	return err
}

// end is the end of a reply, where it shows whether all of it has come.
func (p *piece) end() {
	r := &p.of.Request
	whole := r.Length == 0 || p.of.covered.Whole(r.Offset, r.Length)
	switch {
	case p.of.failed || p.reply.Error != 0:
	case r.Command == nbdwire.CmdRead && !whole:
		p.wrong("only a part of the range has come")
	case r.Command == nbdwire.CmdBlockStatus && r.Flags&nbdwire.PayloadLength == 0 &&
		len(p.of.contexts) != len(p.wire.agreed.contexts):
		p.wrong("extents of %d meta contexts, not of %d", len(p.of.contexts),
			len(p.wire.agreed.contexts))
	}
	p.wire.sent[p.out.Request] = nil
	if r.Command != nbdwire.CmdDisconnect {
		p.wire.flying--
	}
}

// FindWireCommand is the number of a command by its name, such as block-status, and FindWireFlag
// that of a flag, such as df.
func FindWireCommand(name string) (uint16, bool) {
	c, ok := nbdwire.FindCommand(name)
	return uint16(c), ok
}

// FindWireFlag is the bit of a flag by its name, such as df.
func FindWireFlag(name string) (uint16, bool) {
	f, ok := nbdwire.FindCommandFlag(name)
	return uint16(f), ok
}
