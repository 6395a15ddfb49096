package repl

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A key is what a person does to the line. Everything a terminal sends becomes one of them, or
// nothing: the line editor behind gets only what it is known to survive.
type key struct {
	kind keyKind
	// of keyText and keyPaste: what was typed or pasted; of keyEdit: what the editor knows the key
	// as
	text string
}

type keyKind uint8

const (
	keyNone      keyKind = iota // to be ignored
	keyText                     // one character, or several that came at once
	keyEdit                     // moves the cursor, deletes, recalls: the editor's own business
	keyEnter                    // the line is done
	keyInterrupt                // Ctrl-C
	keyEnd                      // Ctrl-D
	keyDelete                   // the character under the cursor
	keyTab                      // complete
	keyRubWord                  // delete the word before the cursor
	keySearch                   // look for lines, or for an older one
	keySearchOn                 // for a newer one
	keyLeave                    // Ctrl-G: what was begun is not wanted
	keySuspend                  // Ctrl-Z
	keyPaste                    // text that the terminal says was pasted
)

// control are the keys that are one byte below blank. All others are ignored, those among them that
// the line editor would take: NUL is the end of input to it, Ctrl-T on a line of one character puts
// the cursor behind memory, Ctrl-Z signals the parent process too.
var control = [...]key{
	'A' & 0x1f: {keyEdit, "\x01"},
	'B' & 0x1f: {keyEdit, "\x02"},
	'C' & 0x1f: {keyInterrupt, ""},
	'D' & 0x1f: {keyEnd, ""},
	'E' & 0x1f: {keyEdit, "\x05"},
	'F' & 0x1f: {keyEdit, "\x06"},
	'G' & 0x1f: {keyLeave, ""},
	'H' & 0x1f: {keyEdit, "\x08"},
	'I' & 0x1f: {keyTab, ""},
	'J' & 0x1f: {keyEnter, ""},
	'K' & 0x1f: {keyEdit, "\x0b"},
	'L' & 0x1f: {keyEdit, "\x0c"},
	'M' & 0x1f: {keyEnter, ""},
	'N' & 0x1f: {keyEdit, "\x0e"},
	'P' & 0x1f: {keyEdit, "\x10"},
	'R' & 0x1f: {keySearch, ""},
	'S' & 0x1f: {keySearchOn, ""},
	'U' & 0x1f: {keyEdit, "\x15"},
	'W' & 0x1f: {keyRubWord, ""},
	'Y' & 0x1f: {keyEdit, "\x19"},
	'Z' & 0x1f: {keySuspend, ""},
	0x7f:       {keyEdit, "\x7f"},
}

// sequence is the key that comes as ESC [ or ESC O and more, without those two.
func sequence(more string) key {
	switch more {
	case "A": // up
		return key{keyEdit, "\x10"}
	case "B": // down
		return key{keyEdit, "\x0e"}
	case "C": // right
		return key{keyEdit, "\x06"}
	case "D": // left
		return key{keyEdit, "\x02"}
	case "H", "1~", "7~": // home
		return key{keyEdit, "\x01"}
	case "F", "4~", "8~": // end
		return key{keyEdit, "\x05"}
	case "3~":
		return key{keyDelete, ""}
	case "1;5C": // Ctrl and right: a word
		return key{keyEdit, "\x1bf"}
	case "1;5D":
		return key{keyEdit, "\x1bb"}
	}
	return key{}
}

// meta is the key that comes as ESC and a character.
func meta(char byte) (_ key, ok bool) {
	switch char {
	case 'b':
		return key{keyEdit, "\x1bb"}, true
	case 'f':
		return key{keyEdit, "\x1bf"}, true
	case 0x7f, 0x08:
		return key{keyRubWord, ""}, true
	}
	return key{}, false
}

const (
	escape = 0x1b
	// longestSequence is where an escape sequence that does not end is given up, in bytes.
	longestSequence = 32
)

// nextKey takes the first key of what a terminal has sent and tells its length in bytes; 0 is a key
// that has not come whole.
func nextKey(sent []byte) (key, int) {
	if len(sent) == 0 {
		return key{}, 0
	}
	if sent[0] == escape {
		return escapeKey(sent)
	}
	if n := textLen(sent); n > 0 {
		return key{keyText, string(sent[:n])}, n
	}
	if int(sent[0]) < len(control) { // no text, so it is one of them or ignored
		return control[sent[0]], 1
	}
	if !utf8.FullRune(sent) {
		return key{}, 0
	}
	_, n := utf8.DecodeRune(sent)
	return key{}, n
}

// textLen is how many bytes of text sent begins with. A tab in the middle of text is text that was
// pasted.
func textLen(sent []byte) int {
	n := 0
	for n < len(sent) {
		r, size := utf8.DecodeRune(sent[n:])
		if r == '\t' && n+1 < len(sent) && n > 0 {
			if next, _ := utf8.DecodeRune(sent[n+1:]); visible(next) {
				n++
				continue
			}
		}
		if !visible(r) {
			break
		}
		n += size
	}
	return n
}

// visible characters may stand in a line.
func visible(r rune) bool { return unicode.IsGraphic(r) && r != utf8.RuneError }

// printable text does nothing to a terminal but to appear.
func printable(s string) bool {
	for _, r := range s {
		if !visible(r) && r != '\t' {
			return false
		}
	}
	return true
}

// harmless makes text printable.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if visible(r) {
			return r
		}
		return '?'
	}, s)
}

// escapeKey takes a key that begins with ESC.
func escapeKey(sent []byte) (key, int) {
	if len(sent) < 2 {
		return key{}, 0
	}
	if k, ok := meta(sent[1]); ok {
		return k, 2
	}
	if sent[1] < 0x20 {
		return key{}, 1
	}
	if sent[1] != '[' && sent[1] != 'O' {
		return key{}, 2
	}
	for i := 2; i < len(sent); i++ {
		switch c := sent[i]; {
		case c >= 0x40 && c <= 0x7e:
			return sequence(string(sent[2 : i+1])), i + 1
		case c < 0x20 || c > 0x7e, i == longestSequence:
			return key{}, i
		}
	}
	return key{}, 0
}
