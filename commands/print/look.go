package print

import "github.com/blksh/blksh/commands/colour"

// Look is how what [Native] says appears, besides the words. The zero value is for files: no
// colour, ASCII, lines of 80 characters.
type Look struct {
	Out, Err colour.Palette // of the two streams
	UTF8     bool           // signs beyond ASCII can be shown
	Width    func() int     // characters in a line; nil: as usual
}

// usualWidth is the width of a line where nobody knows.
const usualWidth = 80

func (l Look) width() int {
	if l.Width == nil {
		return usualWidth
	}
	return l.Width()
}

// painted is text that was made visible before it was painted.
type painted string

// out is text for standard output that is painted as its role looks.
func (l Look) out(role colour.Role, text string) painted {
	return painted(l.Out.Paint(role, visible(text)))
}

// err is the same for standard error.
func (l Look) err(role colour.Role, text string) painted {
	return painted(l.Err.Paint(role, visible(text)))
}
