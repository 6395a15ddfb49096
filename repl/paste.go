package repl

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	// longestPaste is how many bytes of a pasted text are taken, mostPasted how many lines.
	longestPaste = 1 << 20
	mostPasted   = 1000
)

// What a terminal is told to say that text is pasted, and how it says so.
const (
	pasteOn    = "\x1b[?2004h"
	pasteOff   = "\x1b[?2004l"
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// A paste is text that the terminal says was not typed. However long it takes to come, nothing in
// it is a key.
type paste struct {
	on   bool
	text []byte
}

// take moves what was pasted out of what the terminal has sent, and says whether all is there.
func (p *paste) take(sent *[]byte) bool {
	if !p.on {
		rest, ok := bytes.CutPrefix(*sent, []byte(pasteBegin))
		if !ok {
			return false
		}
		p.on, *sent = true, rest
	}
	text, rest, ended := bytes.Cut(*sent, []byte(pasteEnd))
	if !ended { // its end may have come in part
		n := max(0, len(text)-len(pasteEnd)+1)
		text, rest = text[:n], text[n:]
	}
	p.text = append(p.text, text[:min(len(text), longestPaste-len(p.text))]...)
	*sent = rest
	return ended
}

// end gives the text away.
func (p *paste) end() string {
	text := string(p.text)
	*p = paste{}
	return text
}

// takePaste puts the first line of a text where the cursor is. The others wait until lines are
// asked for: a person who pastes has not read them.
func (t *Terminal) takePaste(text string) edit {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	for i, line := range lines {
		lines[i] = typeable(line)
	}
	first, rest := lines[0], lines[1:]
	if n := len(rest); n > 0 && rest[n-1] == "" { // behind the last end of a line
		rest = rest[:n-1]
	}
	left := ""
	if len(text) == longestPaste || len(rest) > mostPasted {
		rest, left = rest[:min(len(rest), mostPasted)], "; the rest is left out"
	}
	t.pasted = append(rest, t.pasted...)
	return func(line []rune, pos int) ([]rune, int) {
		line, pos = insert([]rune(first))(line, pos)
		if n := len(t.pasted); n > 0 {
			t.below(string(line), fmt.Sprintf(
				"%s pasted as well: Enter brings the next, Ctrl-C drops them%s\n", moreLines(n),
				left))
		}
		return line, pos
	}
}

// takePasted is the next line that was pasted.
func (t *Terminal) takePasted() string {
	line := t.pasted[0]
	t.pasted = t.pasted[1:]
	return line
}

func moreLines(n int) string {
	if n == 1 {
		return "1 more line was"
	}
	return fmt.Sprintf("%d more lines were", n)
}

// typeable leaves out what cannot be typed.
func typeable(line string) string {
	return strings.Map(func(r rune) rune {
		if visible(r) || r == '\t' {
			return r
		}
		return -1
	}, line)
}
