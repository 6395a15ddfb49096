// Package nbdwire is the Network Block Device protocol as bytes, for both sides: numbers and their
// names, headers, the haggling over options, requests, replies, errors. It opens no sockets, starts
// no goroutines, knows no time limits and keeps no requests; whoever imports it does.
//
// A connection has two phases.
//
//	haggling      greeting, then options one at a time: the client asks, the server answers
//	transmission  requests and replies, many in flight, told apart by a cookie
//
// Option data and answers are small and read whole (Client, ReadOption). The frames of the
// transmission are written into and parsed out of memory by functions without state (Request,
// ParseReply), so that a program can send many with one system call and let the payload of a read
// go where the caller wants it.
//
// Replies come in three forms, of which the haggling chooses one (Form). A simple reply is an error
// number, with the data behind it if it answers a read. A structured reply is a series of chunks:
// data, holes, extents, errors in words. The extended form is the structured one with 64-bit
// lengths.
//
// Everything that arrives was written by somebody else. Lengths are checked before memory is taken
// for them, and a reply that contradicts itself is a ProtocolError. All numbers are big-endian. The
// specification is doc/proto.md of https://github.com/NetworkBlockDevice/nbd.
package nbdwire

import (
	"fmt"
	"slices"
	"strings"
)

// The magic numbers that frames begin with.
const (
	magicInit        uint64 = 0x4e42444d41474943 // NBDMAGIC
	magicOption      uint64 = 0x49484156454f5054 // IHAVEOPT
	magicOldstyle    uint64 = 0x00420281861253
	magicOptionReply uint64 = 0x3e889045565a9

	magicRequest         uint32 = 0x25609513
	magicExtendedRequest uint32 = 0x21e41c71
	magicSimple          uint32 = 0x67446698
	magicChunk           uint32 = 0x668e33ef
	magicExtendedChunk   uint32 = 0x6e8a278c
)

// MaxString is the longest name, description or error text, in bytes.
const MaxString = 4096

// DefaultMaxPayload is how many bytes one request may carry if the server names no limit.
const DefaultMaxPayload = 32 << 20

// Form is the form of requests and replies that both sides agreed on.
type Form uint8

// The forms, each a superset of the one before.
const (
	Simple Form = iota
	Structured
	Extended
)

func (f Form) String() string { return [...]string{"simple", "structured", "extended"}[f] }

// Flags of the greeting, the same two bits in both directions.
const (
	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
)

// Option is what a client may ask during the haggling.
type Option uint32

// The options.
const (
	OptExportName      Option = 1
	OptAbort           Option = 2
	OptList            Option = 3
	OptStartTLS        Option = 5
	OptInfo            Option = 6
	OptGo              Option = 7
	OptStructuredReply Option = 8
	OptListMetaContext Option = 9
	OptSetMetaContext  Option = 10
	OptExtendedHeaders Option = 11
)

func (o Option) String() string {
	switch o {
	case OptExportName:
		return "export name"
	case OptAbort:
		return "abort"
	case OptList:
		return "list"
	case OptStartTLS:
		return "starttls"
	case OptInfo:
		return "info"
	case OptGo:
		return "go"
	case OptStructuredReply:
		return "structured reply"
	case OptListMetaContext:
		return "list meta context"
	case OptSetMetaContext:
		return "set meta context"
	case OptExtendedHeaders:
		return "extended headers"
	}
	return "<unknown>"
}

// OptionReply is the kind of an answer to an option.
type OptionReply uint32

// The answers. Those with the top bit are errors, and their data is text for people.
const (
	RepAck         OptionReply = 1
	RepServer      OptionReply = 2
	RepInfo        OptionReply = 3
	RepMetaContext OptionReply = 4

	repError = 1 << 31

	RepErrUnsupported       OptionReply = repError + 1
	RepErrPolicy            OptionReply = repError + 2
	RepErrInvalid           OptionReply = repError + 3
	RepErrPlatform          OptionReply = repError + 4
	RepErrTLSRequired       OptionReply = repError + 5
	RepErrUnknown           OptionReply = repError + 6
	RepErrShutdown          OptionReply = repError + 7
	RepErrBlockSizeRequired OptionReply = repError + 8
	RepErrTooBig            OptionReply = repError + 9
	RepErrExtendedRequired  OptionReply = repError + 10
)

// IsError says whether the answer refuses.
func (r OptionReply) IsError() bool { return r&repError != 0 }

// InfoType is one thing that a server tells of an export.
type InfoType uint16

// What a server tells of an export.
const (
	InfoExport      InfoType = 0
	InfoName        InfoType = 1
	InfoDescription InfoType = 2
	InfoBlockSize   InfoType = 3
)

// ExportFlags say what an export can do.
type ExportFlags uint16

// The flags of an export.
const (
	HasFlags ExportFlags = 1 << iota
	ReadOnly
	SendFlush
	SendFUA
	Rotational
	SendTrim
	SendWriteZeroes
	SendDF
	CanMultiConn
	SendResize
	SendCache
	SendFastZero
	BlockStatusPayload
)

// exportFlagNames are in the order of the bits.
var exportFlagNames = [...]string{
	"has-flags", "read-only", "flush", "fua", "rotational", "trim", "zeroes", "df", "multi-conn",
	"resize", "cache", "fast-zero", "block-status-payload",
}

// String lists the flags by name, without the one that every server sets.
func (f ExportFlags) String() string {
	var names []string
	for i, name := range exportFlagNames {
		if i > 0 && f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// Command is what a request asks for.
type Command uint16

// The commands.
const (
	CmdRead        Command = 0
	CmdWrite       Command = 1
	CmdDisconnect  Command = 2
	CmdFlush       Command = 3
	CmdTrim        Command = 4
	CmdCache       Command = 5
	CmdWriteZeroes Command = 6
	CmdBlockStatus Command = 7
)

var commandNames = [...]string{
	"read", "write", "disconnect", "flush", "trim", "cache", "write zeroes", "block status",
}

func (c Command) String() string {
	if int(c) < len(commandNames) {
		return commandNames[c]
	}
	return fmt.Sprintf("command %d", uint16(c))
}

// FindCommand is the command of that name, in which dashes may stand for blanks.
func FindCommand(name string) (Command, bool) {
	i := slices.Index(commandNames[:], strings.ReplaceAll(name, "-", " "))
	return Command(max(0, i)), i >= 0
}

// CommandFlags change one request.
type CommandFlags uint16

// The flags of a request.
const (
	FUA CommandFlags = 1 << iota
	NoHole
	DontFragment
	ReqOne
	FastZero
	PayloadLength
)

var commandFlagNames = [...]string{
	"fua", "no-hole", "df", "req-one", "fast-zero", "payload-len",
}

// FindCommandFlag is the flag of that name.
func FindCommandFlag(name string) (CommandFlags, bool) {
	i := slices.Index(commandFlagNames[:], name)
	return 1 << max(0, i), i >= 0
}

// ChunkType is the kind of a chunk of a structured or extended reply.
type ChunkType uint16

func (t ChunkType) String() string {
	switch t {
	case ChunkNone:
		return "none"
	case ChunkData:
		return "data"
	case ChunkHole:
		return "hole"
	case ChunkBlockStatus, ChunkBlockStatusExt:
		return "block status"
	case ChunkError:
		return "error"
	case ChunkErrorOffset:
		return "error with an offset"
	}
	return fmt.Sprintf("chunk of type %d", uint16(t))
}

// The chunks. Those with the top bit say that the request failed.
const (
	ChunkNone           ChunkType = 0
	ChunkData           ChunkType = 1
	ChunkHole           ChunkType = 2
	ChunkBlockStatus    ChunkType = 5
	ChunkBlockStatusExt ChunkType = 6

	chunkFailed = 1 << 15

	ChunkError       ChunkType = chunkFailed + 1
	ChunkErrorOffset ChunkType = chunkFailed + 2
)

// chunkDone is the flag of the last chunk of a reply.
const chunkDone = 1

// The names of contexts, which say what block status tells.
const (
	ContextAllocation      = "base:allocation"
	ContextAllocationDepth = "qemu:allocation-depth"
	// ContextDirtyBitmap is followed by the name of the bitmap.
	ContextDirtyBitmap = "qemu:dirty-bitmap:"
)

// Bits of an extent of ContextAllocation. Neither is set for data.
const (
	StateHole = 1 << 0
	StateZero = 1 << 1
)

// StateDirty is the bit of an extent of a dirty bitmap that is set where it is dirty.
const StateDirty = 1 << 0

// ProtocolError is an answer that no server and no client may give. What follows it on the
// connection cannot be trusted.
type ProtocolError struct{ What string }

func (e *ProtocolError) Error() string { return e.What }

func protocolError(format string, args ...any) error {
	return &ProtocolError{fmt.Sprintf(format, args...)}
}
