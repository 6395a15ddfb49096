package print

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// Figure is one field of an event, worded for a person.
type Figure struct{ Name, Doc, Text string }

// Figures are the fields of an event, those left out that say nothing, and lists and objects, which
// are no figures.
func Figures(e event.Event) []Figure {
	v := reflect.ValueOf(told(e))
	return planOf(v.Type()).figures(v, nil)
}

func (p plan) figures(v reflect.Value, list []Figure) []Figure {
	for i := range p {
		c := &p[i]
		f := v.Field(c.index)
		switch {
		case c.inline != nil:
			list = c.inline.figures(c.inner(f), list)
		case c.skips != nil && c.skips(f), c.Type == Object, c.Type == List, c.Type == Base64:
		default:
			list = append(list, Figure{c.Name, c.Doc, figureText(c.Field, c.append(nil, f))})
		}
	}
	return list
}

// figureText words the JSON of a value by its unit.
func figureText(f Field, value []byte) string {
	if f.Unit != "" {
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= 0 {
			if f.Unit == "ns" {
				return units.Time(time.Duration(n))
			}
			return units.Exact(n)
		}
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return visibleControls(text)
	}
	return string(value)
}

// Words is what the shell's own dialect says about events, on both streams.
func Words(events []event.Event) string {
	var b bytes.Buffer
	out := NewStdout(&b, false)
	n := NewNative(out, &b, "blksh")
	for _, e := range events {
		n.Print(event.Where{}, e)
	}
	out.Flush()
	return b.String()
}
