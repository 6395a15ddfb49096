package print

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/event"
)

// Names come from images, servers and job files, and so from strangers: what they do to a terminal
// is not for them to choose. Every text that Native is given to show is therefore made visible, as
// the last thing before it is laid out. The qemu dialects echo what was typed as the originals do,
// and make errors visible, in which names from images stand.

// prose is text that may have several lines. Any other text that is shown is within one.
type prose string

// visible is s with everything escaped that does more than appear: control characters, marks that
// change the direction of text or take no room, and bytes that are no UTF-8. Its own backslashes
// stay: it is for people, and what is right must look as it is.
func visible(s string) string {
	return escaped(s, func(r rune) bool { return unicode.IsGraphic(r) })
}

// Visible is a name as it may be shown where no printer does that.
func Visible(name string) string { return visible(event.WithoutPasswords(name)) }

// visibleControls is visible for those who take names as bytes: only control characters are
// escaped.
func visibleControls(s string) string {
	return escaped(s, func(r rune) bool { return !unicode.IsControl(r) })
}

// visibleLines is visible for each line.
func visibleLines(s string) string {
	return escaped(s, func(r rune) bool { return unicode.IsGraphic(r) || r == '\n' || r == '\t' })
}

func escaped(s string, shown func(rune) bool) string {
	if strings.IndexFunc(s, func(r rune) bool { return r == utf8.RuneError || !shown(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch broken := r == utf8.RuneError && n == 1; {
		case broken && shown(unicode.MaxRune+1):
			b.WriteByte(s[0])
		case broken, !shown(r) && r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !shown(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// visibleArgs makes the texts among a visible, but for passwords in names.
func visibleArgs(a []any) []any {
	shown := make([]any, len(a))
	for i, arg := range a {
		switch arg := arg.(type) {
		case prose:
			shown[i] = visibleLines(event.WithoutPasswords(string(arg)))
		case string:
			shown[i] = visible(event.WithoutPasswords(arg))
		case error:
			shown[i] = visible(event.WithoutPasswords(arg.Error()))
		case fmt.Stringer:
			shown[i] = visible(event.WithoutPasswords(arg.String()))
		default:
			shown[i] = arg
		}
	}
	return shown
}
