// Package ondisk decodes structures that lie on disks, field by field: partition tables, headers of
// images and superblocks.
//
// A [Structure] is data: where it begins, how it is recognised, and its fields with offset, length,
// byte order, name and meaning. What is read was written by others: a field lies within its
// structure (a test holds the tables to that), lengths that a structure names are checked before
// anything is read by them, and lists end.
package ondisk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/blksh/blksh/commands/units"
)

// Reader reads so many bytes at an offset from the beginning of what is looked at. It gives fewer
// where that ends.
type Reader func(off int64, n int) ([]byte, error)

// Structure is one sort of structure.
type Structure struct {
	Name, Doc string
	Off       int64 // where it begins
	Len       int   // how long it is, in bytes
	// InFile: it is part of the file of an image, and not of what a guest sees.
	InFile bool

	magic  []magic
	fields []Field
	// valid is how many of its bytes, from the first on, mean anything by what it says of itself:
	// fields behind them are not there. nil for all.
	valid func(b []byte) int
	// more decodes what else belongs to it; nil for nothing.
	more func(read Reader, b []byte) ([]Part, error)
}

// magic is what a structure has at an offset.
type magic struct {
	off  int
	text string
}

// Field declares a field of a structure.
type Field struct {
	Off, Len int
	Name     string
	form     form
	// means says what a number means, "" for nothing worth a word; nil for all.
	means func(v uint64) string
}

// form is how the bytes of a field are shown.
type form uint8

const (
	little    form = iota // a number, the least significant byte first
	big                   // a number, the most significant byte first
	littleHex             // the same in hex
	bigHex                //
	text                  // bytes up to the first that is zero
	wide                  // UTF-16, least significant byte first
	rawBytes              // bytes in hex
	uuid                  // 16 bytes as they stand
	mixedGUID             // 16 bytes, the first three groups least significant byte first
)

// Part is a structure that was found.
type Part struct {
	Name   string
	Off    int64 // in what was read
	Fields []Value
}

// Value is a field with what it says.
type Value struct {
	Off            int64
	Len            int
	Name           string
	Value, Meaning string
}

// Structures are all that can be decoded, in the order in which they are looked for.
func Structures() []*Structure {
	return []*Structure{
		mbr(), gpt(sector), gpt(4096), qcow2(), luks1(), luks2(), ext4(), xfs(),
	}
}

// Names are those of the structures, each once.
func Names() []string {
	var list []string
	for _, s := range Structures() {
		if len(list) == 0 || list[len(list)-1] != s.Name {
			list = append(list, s.Name)
		}
	}
	return list
}

// Decode reads a structure. It is nil if there is none.
func (s *Structure) Decode(read Reader) ([]Part, error) {
	b, err := read(s.Off, s.Len)
	if err != nil || len(b) < s.Len {
		return nil, err
	}
	for _, m := range s.magic {
		if !bytes.HasPrefix(b[m.off:], []byte(m.text)) {
			return nil, nil
		}
	}
	parts := []Part{{s.Doc, s.Off, decode(s.present(b), b, s.Off)}}
	if s.more != nil {
		more, err := s.more(read, b)
		if err != nil {
			return nil, err
		}
		parts = append(parts, more...)
	}
	return parts, nil
}

// present are the fields that the structure in b has.
func (s *Structure) present(b []byte) []Field {
	if s.valid == nil {
		return s.fields
	}
	end := s.valid(b)
	return slices.DeleteFunc(s.fields, func(f Field) bool { return f.Off+f.Len > end })
}

func decode(fields []Field, b []byte, off int64) []Value {
	var list []Value
	for _, f := range fields {
		p := b[f.Off:][:f.Len]
		v := Value{Off: off + int64(f.Off), Len: f.Len, Name: f.Name, Value: f.form.show(p)}
		if f.means != nil {
			v.Meaning = f.means(f.form.number(p))
		}
		list = append(list, v)
	}
	return list
}

// number is that of the bytes of a field, 0 if they are none.
func (f form) number(p []byte) uint64 {
	if len(p) > 8 {
		return 0
	}
	var b [8]byte
	switch f {
	case little, littleHex:
		copy(b[:], p)
		return binary.LittleEndian.Uint64(b[:])
	case big, bigHex:
		copy(b[8-len(p):], p)
		return binary.BigEndian.Uint64(b[:])
	}
	return 0
}

// show is what the bytes of a field say.
func (f form) show(p []byte) string {
	switch f {
	case littleHex, bigHex:
		return fmt.Sprintf("0x%0*x", 2*len(p), f.number(p))
	case text:
		p, _, _ = bytes.Cut(p, []byte{0})
		return string(p)
	case wide:
		units := make([]uint16, 0, len(p)/2)
		for ; len(p) > 1 && (p[0] != 0 || p[1] != 0); p = p[2:] {
			units = append(units, binary.LittleEndian.Uint16(p))
		}
		return string(utf16.Decode(units))
	case rawBytes:
		return hex.EncodeToString(p)
	case uuid:
		return group(p)
	case mixedGUID:
		b := bytes.Clone(p)
		binary.BigEndian.PutUint32(b, binary.LittleEndian.Uint32(p))
		binary.BigEndian.PutUint16(b[4:], binary.LittleEndian.Uint16(p[4:]))
		binary.BigEndian.PutUint16(b[6:], binary.LittleEndian.Uint16(p[6:]))
		return group(b)
	}
	return fmt.Sprint(f.number(p))
}

// group writes 16 bytes as UUIDs are written.
func group(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// named says what numbers mean by their names.
func named(names map[uint64]string) func(uint64) string {
	return func(v uint64) string { return names[v] }
}

// flagged says which bits are set, by their names from the lowest on.
func flagged(names ...string) func(uint64) string {
	return func(v uint64) string {
		var set []string
		for i, name := range names {
			if v>>i&1 != 0 && name != "" {
				set = append(set, name)
			}
		}
		return strings.Join(set, ", ")
	}
}

// times says how many bytes so many units are.
func times(unit float64) func(uint64) string {
	return func(v uint64) string { return units.Size(float64(v) * unit) }
}

// power says how many bytes a power of two is.
func power(v uint64) string {
	if v > 63 {
		return ""
	}
	return units.Size(uint64(1) << v)
}
