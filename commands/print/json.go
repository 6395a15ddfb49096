package print

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

// JSON shows each event as one object on a line of its own, as [Schema] says. Whatever happens goes to one stream; the last object is
// an [event.Exit].
type JSON struct {
	Out *Stdout

	scratch []byte
}

// dumpSize is how many bytes of a dump one object holds. It is a multiple of three, so that the base64 of several can be joined.
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
	j.scratch = appendEvent(j.scratch[:0], at, e)
	_, _ = j.Out.Write(j.scratch)
	if at.ID > 0 { // nobody knows when the next line comes
		j.Out.Flush()
	}
	return len(j.scratch) > 0
}

// Flush writes out what is buffered.
func (j *JSON) Flush() { j.Out.Flush() }

// appendEvent appends the line of an event, nothing for one that the schema does not know.
func appendEvent(b []byte, at event.Where, e event.Event) []byte {
	k, ok := kinds()[e.Kind()]
	if !ok {
		return b
	}
	b = append(b, `{"kind":`...)
	b = appendText(b, k.Name)
	b = envelope(b, at)
	for _, f := range k.getters {
		if v := f.get(e); v != nil || f.Always {
			b = appendField(b, f.Field, v)
		}
	}
	if k.Failure {
		b = append(b, `,"error":true`...)
		b = appendField(b, Field{Name: "message", Type: Text}, reason(e))
		if lines := advice(e); len(lines) > 0 {
			b = appendField(b, Field{Name: "hint", Type: Text}, strings.Join(lines, "; "))
		}
	}
	return append(b, '}', '\n')
}

func envelope(b []byte, at event.Where) []byte {
	if at.Line > 0 {
		b = appendField(b, Field{Name: "line", Type: Int}, at.Line)
	}
	if at.Pos != "" {
		b = appendField(b, Field{Name: "pos", Type: Text}, at.Pos)
	}
	if at.Image != "" {
		b = appendField(b, Field{Name: "image", Type: Text}, at.Image)
	}
	if at.ID > 0 {
		b = appendField(b, Field{Name: "id", Type: Int}, at.ID)
	}
	return b
}

func appendField(b []byte, f Field, v any) []byte {
	name := f.Name
	text, isText := v.(string)
	if f.Type == Path && !utf8.ValidString(text) {
		name += pathSuffix
		v, isText = []byte(text), false
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	if isText {
		return appendText(b, text)
	}
	return appendValue(b, v)
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return strconv.AppendInt(b, v, 10)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	case []byte:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v)
		return append(b, '"')
	}
	text, err := json.Marshal(v)
	if err != nil { // only for values that the table of kinds must not give
		text = []byte("null")
	}
	return appendVisible(b, text)
}

// appendText appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendText(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // a string can always be encoded
	return appendVisible(b, text)
}

// appendVisible appends JSON with those characters escaped that encoding/json leaves and that do more to a terminal than appear.
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

// details turns what a format tells of itself into objects. The keys are those that people see, with '-' for blanks.
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

// layers describes the images of a backing chain.
func layers(chain []blockdev.Layer) any {
	if len(chain) == 0 {
		return nil
	}
	type layer struct {
		Path     string `json:"path,omitempty"`
		PathB64  []byte `json:"path_b64,omitempty"`
		Format   string `json:"format"`
		Size     int64  `json:"size"`
		ReadOnly bool   `json:"read_only"`
	}
	list := make([]layer, 0, len(chain))
	for _, l := range chain {
		told := layer{Path: l.Filename, Format: l.Driver, Size: l.Size, ReadOnly: l.ReadOnly}
		if !utf8.ValidString(l.Filename) {
			told.Path, told.PathB64 = "", []byte(l.Filename)
		}
		list = append(list, told)
	}
	return list
}
