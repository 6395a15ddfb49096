package nbdwire

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxOptionReply is the longest data of an answer to an option that a client reads, in bytes.
const maxOptionReply = 64 << 10

// BlockSizes are what a server says about the lengths of requests, in bytes, as they are sent. All
// are 0 if it said nothing.
type BlockSizes struct {
	Minimum, Preferred uint32
	Maximum            uint32 // of payload; 2^32-1 for no limit
}

// largestMinimum is how large the smallest block of an export may be.
const largestMinimum = 64 << 10

// check refuses sizes that contradict the specification.
func (b BlockSizes) check() error {
	switch {
	case !powerOfTwo(b.Minimum):
		return protocolError("server minimum block size %d is not a power of two", b.Minimum)
	case b.Minimum > largestMinimum:
		return protocolError("server minimum block size %d is larger than %d", b.Minimum,
			largestMinimum)
	case !powerOfTwo(b.Preferred) || b.Preferred < b.Minimum:
		return protocolError("server preferred block size %d is not valid", b.Preferred)
	case b.Maximum < b.Minimum:
		return protocolError("server maximum block size %d is not valid", b.Maximum)
	}
	return nil
}

func powerOfTwo(n uint32) bool { return n != 0 && n&(n-1) == 0 }

// Export is what a server tells of an export.
type Export struct {
	Name        string // as the server calls it, "" if it does not say
	Description string
	Size        uint64 // bytes
	Flags       ExportFlags
	Blocks      BlockSizes
}

// Context is a meta context that both sides agreed on.
type Context struct {
	ID   uint32
	Name string
}

// AppendOption adds an option to b, as a client sends it.
func AppendOption(b []byte, opt Option, data []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint32(b, uint32(opt))
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// AppendOptionReply adds an answer to an option to b, as a server sends it.
func AppendOptionReply(b []byte, opt Option, rep OptionReply, data []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, magicOptionReply)
	b = binary.BigEndian.AppendUint32(b, uint32(opt))
	b = binary.BigEndian.AppendUint32(b, uint32(rep))
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// readOptionReply reads one answer to opt.
func readOptionReply(r io.Reader, opt Option) (OptionReply, []byte, error) {
	var head [20]byte
	if err := readFull(r, head[:], "option reply"); err != nil {
		return 0, nil, err
	}
	if magic := binary.BigEndian.Uint64(head[:]); magic != magicOptionReply {
		return 0, nil, protocolError("Unexpected option reply magic")
	}
	if got := Option(binary.BigEndian.Uint32(head[8:])); got != opt {
		return 0, nil, protocolError("Unexpected option type %s, expected %s", numbered(got),
			numbered(opt))
	}
	rep, n := OptionReply(binary.BigEndian.Uint32(head[12:])), binary.BigEndian.Uint32(head[16:])
	if n > maxOptionReply {
		return 0, nil, protocolError("the answer to option %s is %d bytes long", numbered(opt), n)
	}
	data := make([]byte, n)
	return rep, data, readFull(r, data, "option reply")
}

// readFull fills b with what is called what.
func readFull(r io.Reader, b []byte, what string) error {
	_, err := io.ReadFull(r, b)
	return unread(err, what)
}

// unread is why what is called what could not be read, nil if it was.
func unread(err error, what string) error {
	switch err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		err = errEOF
	}
	return failed("Failed to read %s: %w", what, err)
}

// failed is fmt.Errorf for words that people know from QEMU, which begin with a capital.
func failed(format string, args ...any) error { return fmt.Errorf(format, args...) }

// errEOF is a connection that ends in the middle of something.
var errEOF error = cutOff{}

type cutOff struct{}

func (cutOff) Error() string { return "Unexpected end-of-file before all data were read" }

// Unwrap is what it is to programs.
func (cutOff) Unwrap() error { return io.ErrUnexpectedEOF }

// ReadOption reads an option as a server, with data of at most limit bytes. The data of a longer
// one is skipped, and given as nil with long set.
func ReadOption(r io.Reader, limit uint32) (opt Option, data []byte, long bool, err error) {
	var head [16]byte
	if err := readFull(r, head[:], "option"); err != nil {
		return 0, nil, false, err
	}
	if magic := binary.BigEndian.Uint64(head[:]); magic != magicOption {
		return 0, nil, false, protocolError("option begins with 0x%016x", magic)
	}
	opt = Option(binary.BigEndian.Uint32(head[8:]))
	n := binary.BigEndian.Uint32(head[12:])
	if n > limit {
		_, err := io.CopyN(io.Discard, r, int64(n))
		return opt, nil, true, unread(err, "option data")
	}
	data = make([]byte, n)
	return opt, data, false, readFull(r, data, "option data")
}

// InfoRequest is the data of OptInfo and OptGo.
type InfoRequest struct {
	Name string
	Want []InfoType
}

func (q InfoRequest) append(b []byte) []byte {
	b = appendString(b, q.Name)
	b = binary.BigEndian.AppendUint16(b, uint16(len(q.Want)))
	for _, t := range q.Want {
		b = binary.BigEndian.AppendUint16(b, uint16(t))
	}
	return b
}

// ParseInfoRequest reads the data of OptInfo and OptGo.
func ParseInfoRequest(b []byte) (InfoRequest, error) {
	name, b, err := cutString(b)
	if err != nil {
		return InfoRequest{}, err
	}
	if len(b) < 2 || len(b) != 2+2*int(binary.BigEndian.Uint16(b)) {
		return InfoRequest{}, protocolError("%d bytes of info requests", len(b))
	}
	q := InfoRequest{Name: name}
	for b = b[2:]; len(b) > 0; b = b[2:] {
		q.Want = append(q.Want, InfoType(binary.BigEndian.Uint16(b)))
	}
	return q, nil
}

// AppendInfo adds the data of a RepInfo to b.
func AppendInfo(b []byte, t InfoType, e Export) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(t))
	switch t {
	case InfoExport:
		b = binary.BigEndian.AppendUint64(b, e.Size)
		b = binary.BigEndian.AppendUint16(b, uint16(e.Flags))
	case InfoName:
		b = append(b, e.Name...)
	case InfoDescription:
		b = append(b, e.Description...)
	case InfoBlockSize:
		b, _ = binary.Append(b, binary.BigEndian, e.Blocks) // it has a size
	}
	return b
}

// parseInfo takes over what a RepInfo tells. Kinds that are unknown are ignored.
func (e *Export) parseInfo(b []byte) (InfoType, error) {
	if len(b) < 2 {
		return 0, protocolError("NBD_REP_INFO length %d is too short", len(b))
	}
	t := InfoType(binary.BigEndian.Uint16(b))
	b = b[2:]
	switch {
	case t == InfoExport && len(b) == 10:
		e.Size, e.Flags = binary.BigEndian.Uint64(b), ExportFlags(binary.BigEndian.Uint16(b[8:]))
	case t == InfoBlockSize && len(b) == 12:
		_, _ = binary.Decode(b, binary.BigEndian, &e.Blocks) // b is as long
		return t, e.Blocks.check()
	case t == InfoExport || t == InfoBlockSize:
		return 0, protocolError("Unexpected length %d of server info of type %d", len(b)+2, t)
	case (t == InfoName || t == InfoDescription) && len(b) > MaxString:
		return 0, protocolError("server info of type %d is %d bytes long", t, len(b))
	case t == InfoName:
		e.Name = cleanText(b)
	case t == InfoDescription:
		e.Description = cleanText(b)
	}
	return t, nil
}

// MetaRequest is the data of OptListMetaContext and OptSetMetaContext.
type MetaRequest struct {
	Name    string
	Queries []string
}

func (q MetaRequest) append(b []byte) []byte {
	b = appendString(b, q.Name)
	b = binary.BigEndian.AppendUint32(b, uint32(len(q.Queries)))
	for _, s := range q.Queries {
		b = appendString(b, s)
	}
	return b
}

// ParseMetaRequest reads the data of OptListMetaContext and OptSetMetaContext.
func ParseMetaRequest(b []byte) (MetaRequest, error) {
	name, b, err := cutString(b)
	if err != nil {
		return MetaRequest{}, err
	}
	if len(b) < 4 {
		return MetaRequest{}, protocolError("no number of queries")
	}
	n := binary.BigEndian.Uint32(b)
	q := MetaRequest{Name: name}
	for b = b[4:]; n > 0; n-- {
		var s string
		if s, b, err = cutString(b); err != nil {
			return MetaRequest{}, err
		}
		q.Queries = append(q.Queries, s)
	}
	if len(b) > 0 {
		return MetaRequest{}, protocolError("%d bytes behind the queries", len(b))
	}
	return q, nil
}

// AppendContext adds the data of a RepMetaContext to b.
func AppendContext(b []byte, c Context) []byte {
	return append(binary.BigEndian.AppendUint32(b, c.ID), c.Name...)
}

func parseContext(b []byte) (Context, error) {
	if len(b) < 5 || len(b) > 4+MaxString {
		return Context{}, protocolError("meta context of %d bytes", len(b))
	}
	return Context{binary.BigEndian.Uint32(b), cleanText(b[4:])}, nil
}

// AppendListed adds the data of a RepServer, one export of a list, to b.
func AppendListed(b []byte, e Export) []byte {
	return append(appendString(b, e.Name), e.Description...)
}

func parseListed(b []byte) (Export, error) {
	name, rest, err := cutString(b)
	if err != nil {
		return Export{}, err
	}
	if len(rest) > MaxString {
		return Export{}, protocolError("description of %d bytes", len(rest))
	}
	return Export{Name: name, Description: cleanText(rest)}, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// IsText says whether a string may be sent as one: in UTF-8, and without a NUL.
func IsText(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

// cutString takes a string with its length in front off b.
func cutString(b []byte) (s string, rest []byte, err error) {
	if len(b) < 4 {
		return "", nil, protocolError("no length of a string")
	}
	n := binary.BigEndian.Uint32(b)
	if n > MaxString || int(n) > len(b)-4 {
		return "", nil, protocolError("string of %d bytes in %d", n, len(b)-4)
	}
	s = string(b[4 : 4+n])
	if !IsText(s) {
		return "", nil, protocolError("string that is no text")
	}
	return s, b[4+n:], nil
}

// cleanText makes what the other side sent for people fit to be shown: bytes that are no text, and
// characters that move the cursor of a terminal, are replaced.
func cleanText(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(string(b), string(utf8.RuneError)))
}
