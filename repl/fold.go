package repl

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Folding makes a writer to a terminal that breaks lines between words, which the terminal itself
// would break anywhere. Lines that come in parts are left to it.
func Folding(w io.Writer, terminal *os.File) io.Writer {
	return &folding{w: w, width: func() int { _, columns := Size(terminal); return columns }}
}

type folding struct {
	w      io.Writer
	width  func() int // 0 if nobody knows
	within bool       // a line, the beginning of which was written
}

func (f *folding) Write(b []byte) (int, error) {
	width := f.width()
	if width < leastPaged || !utf8.Valid(b) {
		f.within = len(b) > 0 && b[len(b)-1] != '\n'
		return f.w.Write(b)
	}
	var text strings.Builder
	for line := range strings.Lines(string(b)) {
		bareLine, whole := strings.CutSuffix(line, "\n")
		if f.within || !whole {
			text.WriteString(line)
		} else {
			text.WriteString(strings.Join(folded(bareLine, width), "\n") + "\n")
		}
		f.within = !whole
	}
	if _, err := io.WriteString(f.w, text.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}
