package repl

import (
	"bytes"
	"testing"
)

func TestFolding(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width  int
		pieces []string
		want   string
	}{
		{20, []string{"a line that is longer than it\nand one\n"}, "a line that is\nlonger than it\nand one\n"},
		{20, []string{"a prompt of more than that? ", "yes\n", "more words than would fit\n"}, "a prompt of more than that? yes\nmore words than\nwould fit\n"},
		{0, []string{"a line that is longer than it\n"}, "a line that is longer than it\n"},
		{20, []string{"bytes \xff that are no text at all\n"}, "bytes \xff that are no text at all\n"},
		{20, []string{"\x1b[1;31mred words that are long\x1b[m and others\n"}, "\x1b[1;31mred words that are\nlong\x1b[m and others\n"},
	} {
		var b bytes.Buffer
		f := &folding{w: &b, width: func() int { return c.width }}
		for _, piece := range c.pieces {
			if n, err := f.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Errorf("%q: %d, %v", piece, n, err)
			}
		}
		if b.String() != c.want {
			t.Errorf("%q becomes %q, want %q", c.pieces, b.String(), c.want)
		}
	}
}
