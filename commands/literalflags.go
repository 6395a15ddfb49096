package commands

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// content is bytes that were typed.
type content struct{ bytes []byte }

// flags declares --hex, --text and --base64. The last one given counts.
func (c *content) flags(f *session.Flags, what string) {
	f.Flag(0, "hex", args.Text("BYTES"), what+" bytes, written as pairs of hex digits",
		session.ReadValue(&c.bytes, args.Hex))
	f.Flag(0, "text", args.Text("TEXT"), what+" the bytes of a text", func(word string) error {
		if word == "" {
			return event.BadValuef("--text: no bytes")
		}
		c.bytes = []byte(word)
		return nil
	})
	f.Flag(0, "base64", args.Text("BYTES"), what+" bytes, written in base64",
		session.ReadValue(&c.bytes, fromBase64))
}

// fromBase64 reads bytes in the alphabet of RFC 4648 or in that for URLs, with or without the '='
// at the end.
func fromBase64(word string) ([]byte, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(word, "="))
	bytes, err := base64.RawStdEncoding.DecodeString(plain)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--base64: %q is no base64, as in aGVsbG8=", word)
	case len(bytes) == 0:
		return nil, errors.New("--base64: no bytes")
	}
	return bytes, nil
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
