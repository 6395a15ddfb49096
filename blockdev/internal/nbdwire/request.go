package nbdwire

import "encoding/binary"

// The lengths of request headers, in bytes.
const (
	requestSize         = 28
	extendedRequestSize = 32
)

// Request is the header of a request. The data of a write follows it.
type Request struct {
	Command Command
	Flags   CommandFlags
	Cookie  uint64 // told back by the reply
	Offset  uint64 // bytes
	// Length is in bytes, and below 2^32 unless the extended form was agreed on.
	Length uint64
}

// RequestSize is the length of a request header in the form f, in bytes.
func RequestSize(f Form) int {
	if f == Extended {
		return extendedRequestSize
	}
	return requestSize
}

// Append adds the header to b. A write in the extended form has to say that data follows.
func (r Request) Append(b []byte, f Form) []byte {
	if f == Extended && r.Command == CmdWrite {
		r.Flags |= PayloadLength
	}
	return r.AppendAsIs(b, f)
}

// AppendAsIs adds the header to b, whether it makes sense or not.
func (r Request) AppendAsIs(b []byte, f Form) []byte {
	magic := magicRequest
	if f == Extended {
		magic = magicExtendedRequest
	}
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint16(b, uint16(r.Flags))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Command))
	b = binary.BigEndian.AppendUint64(b, r.Cookie)
	b = binary.BigEndian.AppendUint64(b, r.Offset)
	if f == Extended {
		return binary.BigEndian.AppendUint64(b, r.Length)
	}
	return binary.BigEndian.AppendUint32(b, uint32(r.Length))
}

// ParseRequest reads a header of RequestSize(f) bytes. Whether command, flags and range make sense
// is the server's to judge.
func ParseRequest(b []byte, f Form) (Request, error) {
	want := magicRequest
	if f == Extended {
		want = magicExtendedRequest
	}
	if len(b) != RequestSize(f) {
		return Request{}, protocolError("request header of %d bytes", len(b))
	}
	if magic := binary.BigEndian.Uint32(b); magic != want {
		return Request{}, protocolError("request begins with 0x%08x, expected 0x%08x", magic, want)
	}
	r := Request{
		Flags:   CommandFlags(binary.BigEndian.Uint16(b[4:])),
		Command: Command(binary.BigEndian.Uint16(b[6:])),
		Cookie:  binary.BigEndian.Uint64(b[8:]),
		Offset:  binary.BigEndian.Uint64(b[16:]),
	}
	if f == Extended {
		r.Length = binary.BigEndian.Uint64(b[24:])
	} else {
		r.Length = uint64(binary.BigEndian.Uint32(b[24:]))
	}
	return r, nil
}

// Payload is how many bytes follow the header.
func (r Request) Payload(f Form) uint64 {
	if r.Command == CmdWrite || f == Extended && r.Flags&PayloadLength != 0 {
		return r.Length
	}
	return 0
}

// StatusPayload is what an extended block status request may carry: the range that it is about, and
// the contexts that it wants.
type StatusPayload struct {
	Length   uint64
	Contexts []uint32
}

// StatusPayloadSize is the length of a payload that wants so many contexts, in bytes.
func StatusPayloadSize(contexts int) uint64 { return 8 + 4*uint64(contexts) }

// Append adds the payload to b.
func (p StatusPayload) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, p.Length)
	for _, id := range p.Contexts {
		b = binary.BigEndian.AppendUint32(b, id)
	}
	return b
}

// ParseStatusPayload reads a payload, which the caller has bounded.
func ParseStatusPayload(b []byte) (StatusPayload, error) {
	if len(b) < 8 || len(b)%4 != 0 {
		return StatusPayload{}, protocolError("block status payload of %d bytes", len(b))
	}
	p := StatusPayload{Length: binary.BigEndian.Uint64(b)}
	for b = b[8:]; len(b) > 0; b = b[4:] {
		p.Contexts = append(p.Contexts, binary.BigEndian.Uint32(b))
	}
	return p, nil
}
