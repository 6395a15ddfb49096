package nbdwire

import (
	"encoding/binary"
	"unicode/utf8"
)

// The lengths of reply headers, in bytes.
const (
	simpleReplySize   = 16
	chunkSize         = 20
	extendedChunkSize = 32
)

// MaxReplyHeader is the longest reply header, in bytes.
const MaxReplyHeader = extendedChunkSize

// MaxExtents is how many extents one chunk may hold.
const MaxExtents = 1 << 20

// Reply is the header of a reply, or of one chunk of it.
type Reply struct {
	// Form is Simple, Structured or Extended, whatever was agreed on.
	Form   Form
	Cookie uint64
	// Error is the number on the wire of a simple reply.
	Error uint32
	// Type, Offset (extended: that of the request) and Length (of the payload, in bytes) are those
	// of a chunk, and Done says that it is the last.
	Type   ChunkType
	Offset uint64
	Length uint64
	Done   bool
}

// ParseReply reads the header that b begins with and returns its length. That is 0 if b ends before
// the header does. The form is what was agreed on; with Structured simple replies may come, too.
func ParseReply(b []byte, f Form) (Reply, int, error) {
	if len(b) < 4 {
		return Reply{}, 0, nil
	}
	switch magic := binary.BigEndian.Uint32(b); {
	case magic == magicSimple && f != Extended:
		return parseSimple(b)
	case magic == magicChunk && f == Structured:
		return parseChunk(b)
	case magic == magicExtendedChunk && f == Extended:
		return parseExtendedChunk(b)
	default:
		return Reply{}, 0, protocolError("reply begins with 0x%08x, which is no %s reply", magic, f)
	}
}

func parseSimple(b []byte) (Reply, int, error) {
	if len(b) < simpleReplySize {
		return Reply{}, 0, nil
	}
	return Reply{
		Form:   Simple,
		Error:  binary.BigEndian.Uint32(b[4:]),
		Cookie: binary.BigEndian.Uint64(b[8:]),
		Done:   true,
	}, simpleReplySize, nil
}

func parseChunk(b []byte) (Reply, int, error) {
	if len(b) < chunkSize {
		return Reply{}, 0, nil
	}
	r := chunkStart(b, Structured)
	r.Length = uint64(binary.BigEndian.Uint32(b[16:]))
	return r, chunkSize, r.Check()
}

func parseExtendedChunk(b []byte) (Reply, int, error) {
	if len(b) < extendedChunkSize {
		return Reply{}, 0, nil
	}
	r := chunkStart(b, Extended)
	r.Offset = binary.BigEndian.Uint64(b[16:])
	r.Length = binary.BigEndian.Uint64(b[24:])
	return r, extendedChunkSize, r.Check()
}

func chunkStart(b []byte, f Form) Reply {
	return Reply{
		Form:   f,
		Done:   binary.BigEndian.Uint16(b[4:])&chunkDone != 0,
		Type:   ChunkType(binary.BigEndian.Uint16(b[6:])),
		Cookie: binary.BigEndian.Uint64(b[8:]),
	}
}

// Check holds the type of a chunk against its length. How long the data of a read and a list of
// extents may be is known by whoever asked.
func (r Reply) Check() error {
	ok := true
	switch r.Type {
	case ChunkNone:
		ok = r.Length == 0 && r.Done
	case ChunkData:
		ok = r.Length > 8
	case ChunkHole:
		ok = r.Length == 12
	case ChunkBlockStatus:
		ok = r.Form == Structured && r.Length >= 12 && r.Length%8 == 4 && r.Length <= 4+8*MaxExtents
	case ChunkBlockStatusExt:
		ok = r.Form == Extended && r.Length >= 24 && r.Length%16 == 8 && r.Length <= 8+16*MaxExtents
	case ChunkError:
		ok = r.Length >= 6 && r.Length <= 6+MaxString
	case ChunkErrorOffset:
		ok = r.Length >= 14 && r.Length <= 14+MaxString
	default:
		// An unknown error is a failed request, anything else unknown is no longer the same
		// language.
		ok = r.Type&chunkFailed != 0 && r.Length <= 64<<10
	}
	if !ok {
		return protocolError("chunk of type %d with %d bytes", r.Type, r.Length)
	}
	return nil
}

// IsError says that the chunk reports a failure.
func (r Reply) IsError() bool { return r.Type&chunkFailed != 0 }

// Append adds the header to b, in the form of r.
func (r Reply) Append(b []byte) []byte {
	if r.Form == Simple {
		b = binary.BigEndian.AppendUint32(b, magicSimple)
		b = binary.BigEndian.AppendUint32(b, r.Error)
		return binary.BigEndian.AppendUint64(b, r.Cookie)
	}
	magic, flags := magicChunk, uint16(0)
	if r.Form == Extended {
		magic = magicExtendedChunk
	}
	if r.Done {
		flags = chunkDone
	}
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(r.Type))
	b = binary.BigEndian.AppendUint64(b, r.Cookie)
	if r.Form == Extended {
		b = binary.BigEndian.AppendUint64(b, r.Offset)
		return binary.BigEndian.AppendUint64(b, r.Length)
	}
	return binary.BigEndian.AppendUint32(b, uint32(r.Length))
}

// DataOffset is where the data of a ChunkData belongs, which its first eight bytes say.
func DataOffset(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// AppendDataOffset adds that offset to b. The data follows.
func AppendDataOffset(b []byte, off uint64) []byte { return binary.BigEndian.AppendUint64(b, off) }

// ParseHole reads the payload of a ChunkHole: n bytes at off read as zeroes.
func ParseHole(b []byte) (off uint64, n uint32, err error) {
	if len(b) != 12 {
		return 0, 0, protocolError("hole of %d bytes", len(b))
	}
	off, n = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
	if n == 0 {
		return 0, 0, protocolError("hole without a length")
	}
	return off, n, nil
}

// AppendHole adds the payload of a ChunkHole to b.
func AppendHole(b []byte, off uint64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, off), n)
}

// ChunkFailure is the payload of an error chunk.
type ChunkFailure struct {
	Code      uint32 // on the wire, never 0
	Text      string
	Offset    uint64
	HasOffset bool
}

// ParseFailure reads the payload of the error chunk r. One of an unknown type is an I/O
// error.
func (r Reply) ParseFailure(b []byte) (ChunkFailure, error) {
	if r.Type != ChunkError && r.Type != ChunkErrorOffset {
		return ChunkFailure{Code: codeIO}, nil
	}
	tail := 0
	if r.Type == ChunkErrorOffset {
		tail = 8
	}
	if len(b) < 6+tail {
		return ChunkFailure{}, protocolError("error of %d bytes", len(b))
	}
	f := ChunkFailure{Code: binary.BigEndian.Uint32(b), HasOffset: tail > 0}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if f.Code == 0 {
		return ChunkFailure{}, protocolError("error without a number")
	}
	if len(b) != 6+n+tail {
		return ChunkFailure{}, protocolError("error of %d bytes with a text of %d", len(b), n)
	}
	f.Text = cleanText(b[6 : 6+n])
	if f.HasOffset {
		f.Offset = binary.BigEndian.Uint64(b[6+n:])
	}
	return f, nil
}

// Append adds the payload of a ChunkError or, with an offset, a ChunkErrorOffset to b. A text that
// is too long is cut between two runes.
func (f ChunkFailure) Append(b []byte) []byte {
	text := cutText(f.Text)
	b = binary.BigEndian.AppendUint32(b, f.Code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	b = append(b, text...)
	if f.HasOffset {
		b = binary.BigEndian.AppendUint64(b, f.Offset)
	}
	return b
}

// cutText shortens a text to what the wire may carry.
func cutText(s string) string {
	if len(s) <= MaxString {
		return s
	}
	end := MaxString
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Extent is a run of bytes with the same flags in some context.
type Extent struct{ Length, Flags uint64 }

// ParseExtents reads the payload of a block status chunk: which context, and its extents, one after
// the other from the offset of the request. They are added to list.
func (r Reply) ParseExtents(b []byte, list []Extent) (context uint32, _ []Extent, err error) {
	head, size := 4, 8
	if r.Type == ChunkBlockStatusExt {
		head, size = 8, 16
	}
	if len(b) < head+size || (len(b)-head)%size != 0 {
		return 0, list, protocolError("block status of %d bytes", len(b))
	}
	context = binary.BigEndian.Uint32(b)
	if size == 16 {
		if n := binary.BigEndian.Uint32(b[4:]); uint64(n) != uint64((len(b)-head)/size) {
			return 0, list, protocolError("block status of %d bytes with %d extents", len(b), n)
		}
	}
	for b = b[head:]; len(b) > 0; b = b[size:] {
		var e Extent
		if size == 16 {
			e = Extent{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
		} else {
			e = Extent{uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))}
		}
		if e.Length == 0 {
			return 0, list, protocolError("extent without a length")
		}
		list = append(list, e)
	}
	return context, list, nil
}

// AppendExtents adds the payload of a block status chunk of the form f to b. In the structured form
// lengths and flags are below 2^32.
func AppendExtents(b []byte, f Form, context uint32, list []Extent) []byte {
	b = binary.BigEndian.AppendUint32(b, context)
	if f == Extended {
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	}
	for _, e := range list {
		if f == Extended {
			b = binary.BigEndian.AppendUint64(b, e.Length)
			b = binary.BigEndian.AppendUint64(b, e.Flags)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(e.Length))
		b = binary.BigEndian.AppendUint32(b, uint32(e.Flags))
	}
	return b
}
