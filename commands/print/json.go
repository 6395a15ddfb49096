package print

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

// JSON shows each event as one object on a line of its own, as [Schema] says. Whatever happens goes
// to one stream; the last object is an [event.Exit].
type JSON struct {
	Out *Stdout

	scratch []byte
	begun   bool // there was an object, the first of which names the schema
}

// dumpSize is how many bytes of a dump one object holds. It is a multiple of three, so that the
// base64 of several can be joined.
const dumpSize = 48 << 10

// pathSuffix is behind the name of a field with a path that is not UTF-8.
const pathSuffix = "_b64"

// Print shows e.
func (j *JSON) Print(at event.Where, e event.Event) bool {
	if as, ok := e.(event.AsJSON); ok {
		e = as.Event
	}
	dump, ok := e.(event.Dump)
	for ok && len(dump.Data) > dumpSize {
		j.write(at, event.Dump{Off: dump.Off, Data: dump.Data[:dumpSize]})
		dump = event.Dump{Off: dump.Off + dumpSize, Data: dump.Data[dumpSize:], Zeroes: dump.Zeroes}
		e = dump
	}
	return j.write(at, e)
}

func (j *JSON) write(at event.Where, e event.Event) bool {
	where := placeOf(at)
	if _, names := e.(interface{ NamesSchema() }); !j.begun && !names {
		where.Schema = event.SchemaVersion
	}
	j.begun = true
	j.scratch = appendAt(j.scratch[:0], where, e)
	_, _ = j.Out.Write(j.scratch)
	if _, long := e.(event.Shard); long || at.ID > 0 { // nobody knows when the next line comes
		j.Out.Flush()
	}
	return len(j.scratch) > 0
}

// Flush writes out what is buffered.
func (j *JSON) Flush() { j.Out.Flush() }

// placeOf is what JSON tells of the place of an event.
func placeOf(at event.Where) place {
	where := place{Line: at.Line, Pos: at.Pos, Image: at.Image, ID: at.Request}
	if where.ID == "" && at.ID > 0 {
		where.ID = event.RequestID(strconv.FormatInt(at.ID, 10))
	}
	return where
}

// appendEvent appends the line of an event.
func appendEvent(b []byte, at event.Where, e event.Event) []byte {
	return appendAt(b, placeOf(at), e)
}

func appendAt(b []byte, where place, e event.Event) []byte {
	b = append(b, `{"kind":`...)
	b = appendText(b, e.Kind().Name)
	b = appendStruct(b, where)
	b = appendStruct(b, told(e))
	if r, ok := e.(event.Reason); ok {
		b = appendStruct(b, outcome{true, reason(r), strings.Join(advice(r), "; ")})
	}
	return append(b, '}', '\n')
}

// appendStruct appends the fields of a struct, each behind a comma.
func appendStruct(b []byte, s any) []byte {
	v := reflect.ValueOf(s)
	return planOf(v.Type()).append(b, v)
}

func (p plan) append(b []byte, v reflect.Value) []byte {
	for i := range p {
		c := &p[i]
		f := v.Field(c.index)
		switch {
		case c.inline != nil:
			b = c.inline.append(b, c.inner(f))
		case c.skips != nil && c.skips(f):
		case c.Type == Path && !utf8.ValidString(f.String()):
			b = append(b, `,"`+c.Name+pathSuffix+`":`...)
			b = appendBase64(b, []byte(event.WithoutPasswords(f.String())))
		default:
			b = c.append(append(b, c.head...), f)
		}
	}
	return b
}

func appendBool(b []byte, v reflect.Value) []byte { return strconv.AppendBool(b, v.Bool()) }

func appendInt(b []byte, v reflect.Value) []byte { return strconv.AppendInt(b, v.Int(), 10) }

func appendUint(b []byte, v reflect.Value) []byte { return strconv.AppendUint(b, v.Uint(), 10) }

// appendSlice appends a list, which is there even where it has no elements.
func appendSlice(b []byte, v reflect.Value) []byte {
	if v.Len() == 0 {
		return append(b, "[]"...)
	}
	return appendOther(b, v)
}

// appendOther appends a value as encoding/json has it.
func appendOther(b []byte, v reflect.Value) []byte { return appendMarshaled(b, v.Interface()) }

func appendMarshaled(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // only for types that no event has
		text = []byte("null")
	}
	return appendVisible(b, []byte(event.WithoutPasswords(string(text))))
}

func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}

// appendText appends a JSON string, without passwords in names. Bytes that are not UTF-8 become
// U+FFFD.
func appendText(b []byte, s string) []byte {
	text, _ := json.Marshal(event.WithoutPasswords(s)) // a string can always be encoded
	return appendVisible(b, text)
}

// appendVisible appends JSON with those characters escaped that encoding/json leaves and that do
// more to a terminal than appear.
func appendVisible(b, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case unicode.IsGraphic(r):
			b = append(b, text[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		text = text[n:]
	}
	return b
}

// appendDetails appends what a format tells of itself.
func appendDetails(b []byte, v reflect.Value) []byte {
	return appendMarshaled(b, details(v.Interface().([]blockdev.Detail)))
}

// details turns what a format tells of itself into objects. The keys are those that people see,
// with '-' for blanks.
func details(list []blockdev.Detail) map[string]any {
	if len(list) == 0 {
		return nil
	}
	object := map[string]any{}
	for _, d := range list {
		object[strings.ReplaceAll(d.Key, " ", "-")] = detailValue(d)
	}
	return object
}

func detailValue(d blockdev.Detail) any {
	switch {
	case d.Sub == nil:
		return d.Value
	case len(d.Sub) > 0 && d.Sub[0].Key != "":
		return details(d.Sub)
	}
	members := make([]any, 0, len(d.Sub))
	for _, m := range d.Sub {
		members = append(members, detailValue(m))
	}
	return members
}

// layer is an image of a backing chain.
type layer struct {
	Path     string `json:"path,omitempty"`
	PathB64  []byte `json:"path_b64,omitempty"`
	Format   string `json:"format"`
	Size     int64  `json:"size"`
	ReadOnly bool   `json:"read_only"`
	DiskSize *int64 `json:"disk_size,omitempty"`
}

// appendLayers appends the images of a backing chain.
func appendLayers(b []byte, v reflect.Value) []byte {
	var list []layer
	for _, l := range v.Interface().([]blockdev.Layer) {
		told := layer{Path: l.Filename, Format: l.Driver, Size: l.Size, ReadOnly: l.ReadOnly}
		if l.DiskSize >= 0 {
			told.DiskSize = &l.DiskSize
		}
		if !utf8.ValidString(l.Filename) {
			told.Path, told.PathB64 = "", []byte(event.WithoutPasswords(l.Filename))
		}
		list = append(list, told)
	}
	return appendMarshaled(b, list)
}

// appendNotice appends the words for what a layer reports.
func appendNotice(b []byte, v reflect.Value) []byte {
	text, _ := noticeWords(v.Interface().(blockdev.Notice))
	return appendText(b, text)
}
