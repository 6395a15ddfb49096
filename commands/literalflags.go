package commands

import (
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// content is bytes that were typed.
type content struct{ bytes []byte }

// flags declares --hex and --text. The last one given counts.
func (c *content) flags(f *session.Flags, what string) {
	f.Flag(0, "hex", args.Text("BYTES"), what+" bytes, written as pairs of hex digits",
		func(word string) (err error) {
			if c.bytes, err = args.Hex(word); err != nil {
				return event.Fail(event.BadValue{Message: err.Error()})
			}
			return nil
		})
	f.Flag(0, "text", args.Text("TEXT"), what+" the bytes of a text", func(word string) error {
		if word == "" {
			return event.Fail(event.BadValue{Message: "--text: no bytes"})
		}
		c.bytes = []byte(word)
		return nil
	})
}

// repeated is a pattern: bytes again and again from base on. Before base it is nothing that anybody
// asks for.
type repeated struct {
	bytes []byte
	base  int64
}

// Fill writes what belongs at off.
func (r repeated) Fill(p []byte, off int64) {
	n := copy(p, r.bytes[(off-r.base)%int64(len(r.bytes)):])
	for n < len(p) {
		n += copy(p[n:], r.bytes)
	}
}

// String says what it is.
func (repeated) String() string { return "bytes" }
