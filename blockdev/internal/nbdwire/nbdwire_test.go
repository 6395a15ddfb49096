package nbdwire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

// unhex reads the bytes of a frame as the specification's tables write them, in groups.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRequestBytes holds requests against the layouts of the specification.
func TestRequestBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		form Form
		r    Request
		want string
	}{
		{
			"compact", Structured,
			Request{Command: CmdWrite, Flags: FUA, Cookie: 0x0102030405060708, Offset: 1 << 40, Length: 0x11223344},
			"25609513 0001 0001 0102030405060708 0000010000000000 11223344",
		},
		{
			"extended", Extended,
			Request{Command: CmdWriteZeroes, Flags: NoHole | FastZero, Cookie: 9, Offset: 512, Length: 1 << 33},
			"21e41c71 0012 0006 0000000000000009 0000000000000200 0000000200000000",
		},
		{
			"disconnect", Simple,
			Request{Command: CmdDisconnect},
			"25609513 0000 0002 0000000000000000 0000000000000000 00000000",
		},
	} {
		got := c.r.Append(nil, c.form)
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: %x, want %s", c.name, got, c.want)
		}
		back, err := ParseRequest(got, c.form)
		if err != nil || back != c.r {
			t.Errorf("%s: read back %+v, %v", c.name, back, err)
		}
	}
}

// TestReplyBytes holds the headers of replies against the layouts of the specification.
func TestReplyBytes(t *testing.T) {
	for _, c := range []struct {
		name   string
		agreed Form
		r      Reply
		want   string
	}{
		{"simple", Simple, Reply{Cookie: 7, Error: 5, Done: true}, "67446698 00000005 0000000000000007"},
		{"simple among structured", Structured, Reply{Cookie: 7, Done: true}, "67446698 00000000 0000000000000007"},
		{
			"data", Structured,
			Reply{Form: Structured, Type: ChunkData, Cookie: 7, Length: 520, Done: true},
			"668e33ef 0001 0001 0000000000000007 00000208",
		},
		{
			"error", Structured,
			Reply{Form: Structured, Type: ChunkError, Cookie: 7, Length: 6},
			"668e33ef 0000 8001 0000000000000007 00000006",
		},
		{
			"extents", Extended,
			Reply{Form: Extended, Type: ChunkBlockStatusExt, Cookie: 7, Offset: 512, Length: 24, Done: true},
			"6e8a278c 0001 0006 0000000000000007 0000000000000200 0000000000000018",
		},
	} {
		got := c.r.Append(nil)
		if !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("%s: %x, want %s", c.name, got, c.want)
		}
		back, n, err := ParseReply(append(got, 1, 2, 3), c.agreed)
		if err != nil || n != len(got) || !reflect.DeepEqual(back, c.r) {
			t.Errorf("%s: read back %+v, %d, %v", c.name, back, n, err)
		}
		for cut := range got {
			if _, n, err := ParseReply(got[:cut], c.agreed); n != 0 || err != nil {
				t.Errorf("%s: %d bytes are %d, %v", c.name, cut, n, err)
			}
		}
	}
}

// TestReplyRefused lists headers that no server may send.
func TestReplyRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		agreed Form
		head   string
	}{
		{"a structured reply that was not agreed on", Simple, "668e33ef 0001 0000 0000000000000007 00000000"},
		{"a simple reply in the extended form", Extended, "67446698 00000000 0000000000000007"},
		{"nothing, and more to come", Structured, "668e33ef 0000 0000 0000000000000007 00000000"},
		{"data without a byte", Structured, "668e33ef 0001 0001 0000000000000007 00000008"},
		{"a hole of 13 bytes", Structured, "668e33ef 0001 0002 0000000000000007 0000000d"},
		{"an unknown type", Structured, "668e33ef 0001 0009 0000000000000007 00000000"},
		{"a long unknown error", Structured, "668e33ef 0001 8009 0000000000000007 00100000"},
		{"a long error", Structured, "668e33ef 0001 8001 0000000000000007 00001007"},
		{"too many extents", Structured, "668e33ef 0001 0005 0000000000000007 0080000c"},
		{"half an extent", Structured, "668e33ef 0001 0005 0000000000000007 00000008"},
		{"short extents in the extended form", Extended, "6e8a278c 0001 0005 0000000000000007 0000000000000000 000000000000000c"},
	} {
		var p *ProtocolError
		if r, _, err := ParseReply(unhex(t, c.head), c.agreed); !errors.As(err, &p) {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
}

// TestCoverage sends a range in all orders of its pieces, and then spoils it.
func TestCoverage(t *testing.T) {
	pieces := []piece{{100, 110}, {110, 111}, {111, 140}, {140, 200}}
	var permute func(order []int)
	permute = func(order []int) {
		if len(order) < len(pieces) {
			for i := range pieces {
				if !strings.ContainsRune(string(intsToRunes(order)), rune(i)) {
					permute(append(order[:len(order):len(order)], i))
				}
			}
			return
		}
		var c Coverage
		for k, i := range order {
			if c.Whole(100, 100) {
				t.Errorf("%v: whole after %d pieces", order, k)
			}
			if err := c.Add(pieces[i].from, pieces[i].to-pieces[i].from); err != nil {
				t.Errorf("%v: %v", order, err)
			}
			for off := pieces[i].from; off < pieces[i].to; off++ {
				spoiled := Coverage{append([]piece(nil), c.pieces...)}
				if spoiled.Add(off, 1) == nil || off > 0 && spoiled.Add(off-1, 3) == nil {
					t.Errorf("%v: byte %d may come twice", order, off)
				}
			}
		}
		if !c.Whole(100, 100) {
			t.Errorf("%v: not whole: %v", order, c.pieces)
		}
	}
	permute(nil)
}

func intsToRunes(list []int) []rune {
	var r []rune
	for _, i := range list {
		r = append(r, rune(i))
	}
	return r
}

// TestCoverageBound refuses a read that comes in single bytes with gaps.
func TestCoverageBound(t *testing.T) {
	var c Coverage
	for i := range uint64(maxPieces) {
		if err := c.Add(2*i, 1); err != nil {
			t.Fatal(err)
		}
	}
	if c.Add(2*maxPieces, 1) == nil {
		t.Error("one piece more than allowed")
	}
	if err := c.Add(1, 1); err != nil {
		t.Errorf("a piece between two others: %v", err)
	}
}

// TestErrno goes through all numbers that may stand on the wire.
func TestErrno(t *testing.T) {
	for _, no := range []syscall.Errno{
		0, syscall.EPERM, syscall.EIO, syscall.ENOMEM, syscall.EINVAL, syscall.ENOSPC,
		syscall.EOVERFLOW, syscall.ENOTSUP,
		syscall.ESHUTDOWN,
	} {
		if back := Errno(Code(no)); back != no {
			t.Errorf("%v comes back as %v", no, back)
		}
	}
	if Errno(77) != syscall.EINVAL || Errno(Code(syscall.EBADF)) != syscall.EIO ||
		Errno(Code(syscall.EROFS)) != syscall.EPERM {
		t.Error("numbers without a place on the wire")
	}
}

// TestFailure cuts long texts between runes, and keeps the terminal safe.
func TestFailure(t *testing.T) {
	f := ChunkFailure{Code: 5, Text: strings.Repeat("ä", 3000), Offset: 1 << 40, HasOffset: true}
	b := f.Append(nil)
	r := Reply{Type: ChunkErrorOffset, Length: uint64(len(b))}
	got, err := r.ParseFailure(b)
	if err != nil || len(got.Text) > MaxString || !utf8.ValidString(got.Text) ||
		got.Offset != 1<<40 || got.Code != 5 {
		t.Errorf("%d bytes of text, offset %d, %v", len(got.Text), got.Offset, err)
	}
	b = ChunkFailure{Code: 5, Text: "\x1b[2Jgone\xff"}.Append(nil)
	r = Reply{Type: ChunkError, Length: uint64(len(b))}
	if got, err := r.ParseFailure(b); err != nil || got.Text != "\ufffd[2Jgone\ufffd" {
		t.Errorf("%q, %v", got.Text, err)
	}
}

// pipe is a connection whose other side has said everything already.
type pipe struct {
	io.Reader
	sent bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) { return p.sent.Write(b) }

const greeting = "4e42444d41474943 49484156454f5054 0003"

// TestClientBytes holds a whole haggling of the client against bytes from the specification.
func TestClientBytes(t *testing.T) {
	const answers = greeting +
		"0003e889045565a9 00000008 00000001 00000000" + // structured: ack
		"0003e889045565a9 0000000a 00000004 00000013 00000005 626173653a616c6c6f636174696f6e" +
		"0003e889045565a9 0000000a 00000001 00000000" +
		// block sizes
		"0003e889045565a9 00000007 00000003 0000000e 0003 00000200 00001000 02000000" +
		"0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 000d" + // export
		"0003e889045565a9 00000007 00000001 00000000"
	const asked = "00000003" +
		"49484156454f5054 00000008 00000000" +
		"49484156454f5054 0000000a 0000001c 00000001 78 00000001 0000000f 626173653a616c6c6f636174696f6e" +
		"49484156454f5054 00000007 0000000d 00000001 78 0003 0001 0002 0003"
	p := &pipe{Reader: bytes.NewReader(unhex(t, answers))}
	c, err := Greet(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StructuredReplies(); err != nil {
		t.Fatal(err)
	}
	contexts, err := c.SetContexts("x", ContextAllocation)
	if err != nil || len(contexts) != 1 || contexts[0] != (Context{5, ContextAllocation}) {
		t.Fatalf("%v, %v", contexts, err)
	}
	e, err := c.Go("x")
	want := Export{
		Size: 1 << 20, Flags: HasFlags | SendFlush | SendFUA,
		Blocks: BlockSizes{512, 4096, 32 << 20},
	}
	if err != nil || e != want {
		t.Fatalf("%+v, %v", e, err)
	}
	if got := p.sent.Bytes(); !bytes.Equal(got, unhex(t, asked)) {
		t.Errorf("sent %x", got)
	}
}

// TestClientRefusals lists answers of servers, and what a person reads about them.
func TestClientRefusals(t *testing.T) {
	goErr := func(code, text string) string {
		return greeting + "0003e889045565a9 00000007 " +
			code + hex.EncodeToString([]byte{0, 0, 0, byte(len(text))}) +
			hex.EncodeToString([]byte(text))
	}
	for _, c := range []struct{ name, bytes, want, hint string }{
		{"no NBD", "485454502f312e31", "Bad initial magic received: 0x485454502f312e31", ""},
		{"other magic", "4e42444d41474943 0000000000000001", "Bad server magic received: 0x1", ""},
		{"nothing", "", "Failed to read initial magic: Unexpected end-of-file before all data were read", ""},
		{"half", "4e42444d41474943 49", "Failed to read server magic: Unexpected end-of-file before all data were read", ""},
		{"no answer", greeting, "Failed to read option reply: Unexpected end-of-file before all data were read", ""},
		{"unknown export", goErr("80000006", "export 'x' not present"), "Requested export not available", "server reported: export 'x' not present\n"},
		{
			"TLS", goErr("80000005", "Option 0x7 not permitted before TLS"),
			"TLS negotiation required before option 7 (go)",
			"Did you forget a valid tls-creds?\nserver reported: Option 0x7 not permitted before TLS\n",
		},
		{"policy", goErr("80000002", ""), "Denied by server for option 7 (go)", ""},
		{"unsupported", goErr("80000001", ""), "Unsupported option type 7 (go)", ""},
		{"new error", goErr("8000ffff", ""), "Unknown error code when asking for option 7 (go)", ""},
		{"other option", greeting + "0003e889045565a9 00000006 00000001 00000000", "Unexpected option type 6 (info), expected 7 (go)", ""},
		{"other reply", greeting + "0003e889045565a9 00000007 00000037 00000000", "unexpected reply type 55 (<unknown>), expected 3 (info)", ""},
		{"list as answer", greeting + "0003e889045565a9 00000007 00000002 00000000", "unexpected reply type 2 (server), expected 3 (info)", ""},
		{"ACK with data", greeting + "0003e889045565a9 00000007 00000001 00000001 00", "server sent invalid NBD_REP_ACK", ""},
		{
			"large block", greeting +
				"0003e889045565a9 00000007 00000003 0000000e 0003 00020000 00020000 02000000",
			"server minimum block size 131072 is larger than 65536", "",
		},
		{"no export", greeting + "0003e889045565a9 00000007 00000001 00000000", "broken server omitted NBD_INFO_EXPORT", ""},
		{"long answer", greeting + "0003e889045565a9 00000007 00000003 ffffffff", "the answer to option 7 (go) is 4294967295 bytes long", ""},
		{
			"block size", greeting +
				"0003e889045565a9 00000007 00000003 0000000e 0003 00000003 00001000 02000000",
			"server minimum block size 3 is not a power of two", "",
		},
	} {
		p := &pipe{Reader: bytes.NewReader(unhex(t, c.bytes))}
		client, err := Greet(p)
		if err == nil {
			_, err = client.Go("x")
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		var o *OptionError
		if errors.As(err, &o) && o.Hint() != c.hint {
			t.Errorf("%s: hint %q, want %q", c.name, o.Hint(), c.hint)
		}
	}
}

// again says the same for ever, and counts bytes.
type again struct {
	said []byte
	n    int
}

func (a *again) Read(b []byte) (int, error) {
	n := copy(b, a.said[a.n%len(a.said):])
	a.n += n
	return n, nil
}

// TestEndlessAnswers has servers tell of ever more exports, and of ever more contexts.
func TestEndlessAnswers(t *testing.T) {
	for _, c := range []struct {
		opt Option
		rep OptionReply
		ask func(*Client) error
	}{
		{OptList, RepServer, func(c *Client) error {
			_, err := c.List()
			return err
		}},
		{OptListMetaContext, RepMetaContext, func(c *Client) error {
			_, err := c.ListContexts("x")
			return err
		}},
	} {
		const length = 4000
		data := append([]byte{0, 0, 0, 1, 'x'}, make([]byte, length)...)
		one := AppendOptionReply(nil, c.opt, c.rep, data)
		for _, asked := range []int{1, 40} { // options
			said := bytes.Repeat(one, 1000)
			if asked > 1 {
				said = AppendOptionReply(said, c.opt, RepAck, nil)
			} // else the first answer has no end
			server := &again{said: said}
			p := &pipe{Reader: io.MultiReader(bytes.NewReader(unhex(t, greeting)), server)}
			client, err := Greet(p)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < asked && err == nil; i++ {
				err = c.ask(client)
			}
			if !errors.As(err, new(*ProtocolError)) || server.n > 64<<20 {
				t.Errorf("%s, %d times: %v after %d bytes", c.opt, asked, err, server.n)
			}
		}
	}
}

// TestOptionData sends what a client asks through the server's eyes.
func TestOptionData(t *testing.T) {
	q := InfoRequest{"ä", []InfoType{InfoName, InfoBlockSize}}
	if got, err := ParseInfoRequest(q.append(nil)); err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("%+v, %v", got, err)
	}
	m := MetaRequest{"x", []string{ContextAllocation, "qemu:"}}
	if got, err := ParseMetaRequest(m.append(nil)); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v, %v", got, err)
	}
	whole := m.append(nil)
	for cut := range whole {
		if got, err := ParseMetaRequest(whole[:cut]); err == nil {
			t.Errorf("%d bytes are %+v", cut, got)
		}
	}
	if _, err := ParseMetaRequest(append(whole, 0)); err == nil {
		t.Error("a byte more than there should be")
	}
	long := AppendOption(nil, OptInfo, make([]byte, 100))
	r := bytes.NewReader(append(long, 9))
	opt, data, tooLong, err := ReadOption(r, 99)
	if opt != OptInfo || data != nil || !tooLong || err != nil || r.Len() != 1 {
		t.Errorf("%v, %v, %v, %v, %d left", opt, data, tooLong, err, r.Len())
	}
}

// FuzzReply reads whatever comes as replies, and what was read must come out again.
func FuzzReply(f *testing.F) {
	f.Add(unhex(f, "67446698 00000005 0000000000000007"), uint8(Structured))
	f.Add(unhex(f, "668e33ef 0001 8001 0000000000000007 00000006 00000005 0000"), uint8(Structured))
	f.Add(unhex(f, "668e33ef 0001 0002 0000000000000007 0000000c 0000000000000200 00000200"),
		uint8(Structured))
	f.Add(unhex(f, "668e33ef 0001 0005 0000000000000007 0000000c 00000001 00000200 00000003"),
		uint8(Structured))
	f.Add(unhex(f, "6e8a278c 0001 0006 0000000000000007 0000000000000200 0000000000000018"+
		"00000001 00000001 0000000000000200 0000000000000003"), uint8(Extended))
	f.Fuzz(func(t *testing.T, b []byte, form uint8) {
		agreed := Form(form % 3)
		r, n, err := ParseReply(b, agreed)
		if err != nil || n == 0 {
			return
		}
		if n > MaxReplyHeader || !bytes.Equal(maskFlags(r.Append(nil)), maskFlags(b[:n])) {
			t.Fatalf("%x is %+v, which is %x", b[:n], r, r.Append(nil))
		}
		payload := b[n:]
		if uint64(len(payload)) < r.Length {
			return
		}
		checkPayload(t, r, payload[:r.Length])
	})
}

// maskFlags takes the flags out of a chunk: of those that mean nothing, none is kept.
func maskFlags(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) > simpleReplySize {
		b[4], b[5] = 0, b[5]&chunkDone
	}
	return b
}

func checkPayload(t *testing.T, r Reply, b []byte) {
	switch {
	case r.IsError():
		if f, err := r.ParseFailure(b); err == nil && (f.Code == 0 || !utf8.ValidString(f.Text)) {
			t.Fatalf("%x is %+v", b, f)
		}
	case r.Type == ChunkHole:
		if off, n, err := ParseHole(b); err == nil && !bytes.Equal(AppendHole(nil, off, n), b) {
			t.Fatalf("%x is %d+%d", b, off, n)
		}
	case r.Type == ChunkBlockStatus || r.Type == ChunkBlockStatusExt:
		context, list, err := r.ParseExtents(b, nil)
		if err == nil && !bytes.Equal(AppendExtents(nil, r.Form, context, list), b) {
			t.Fatalf("%x is %d %v", b, context, list)
		}
	}
}

// FuzzHaggling lets the client haggle with whatever comes.
func FuzzHaggling(f *testing.F) {
	f.Add(unhex(f, greeting+"0003e889045565a9 00000003 00000002 00000006 00000001 78 79"+
		"0003e889045565a9 00000003 00000001 00000000"))
	f.Add(unhex(f, greeting+"0003e889045565a9 00000003 80000001 00000000"+
		"0003e889045565a9 00000009 00000004 00000005 00000000 78"+
		"0003e889045565a9 00000009 00000001 00000000"+
		"0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 000d"+
		"0003e889045565a9 00000007 00000001 00000000"))
	f.Add(append(unhex(f, "4e42444d41474943 00420281861253 0000000000100000 00000001"),
		make([]byte, 125)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Greet(&pipe{Reader: bytes.NewReader(b)})
		if err != nil || c.Old != nil {
			return
		}
		for _, step := range []func() error{
			func() error { _, err := c.List(); return err },
			func() error { _, err := c.ListContexts("x"); return err },
			func() error {
				e, err := c.Go("x")
				if err == nil && e.Blocks != (BlockSizes{}) && e.Blocks.check() != nil {
					t.Errorf("%+v", e)
				}
				return err
			},
		} {
			var refused *OptionError
			if err := step(); err != nil && !errors.As(err, &refused) {
				return
			}
		}
	})
}

// FuzzOption reads whatever comes as a server, and what was read must come out again.
func FuzzOption(f *testing.F) {
	f.Add(AppendOption(nil, OptGo, InfoRequest{"x", []InfoType{InfoBlockSize}}.append(nil)))
	f.Add(AppendOption(nil, OptSetMetaContext,
		MetaRequest{"x", []string{ContextAllocation}}.append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, data, _, err := ReadOption(bytes.NewReader(b), 1<<10)
		if err != nil {
			return
		}
		if q, err := ParseInfoRequest(data); err == nil && !bytes.Equal(q.append(nil), data) {
			t.Errorf("%x is %+v", data, q)
		}
		if q, err := ParseMetaRequest(data); err == nil && !bytes.Equal(q.append(nil), data) {
			t.Errorf("%x is %+v", data, q)
		}
		if p, err := ParseStatusPayload(data); err == nil && !bytes.Equal(p.Append(nil), data) {
			t.Errorf("%x is %+v", data, p)
		}
	})
}
