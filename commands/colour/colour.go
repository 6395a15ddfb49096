// Package colour paints words for terminals.
//
// What is painted has a [Role], which says what the words are and not how they look. The looks are
// of the sixteen colours that every terminal has, chosen so that they can be read on a light and on
// a dark background: no colour is used for which terminals have no such shade (yellow, white, blue,
// black), and nothing is told by colour alone.
//
// A [Palette] paints or does not; the zero value does not. Which one a stream gets is decided once,
// by [For]. Files, pipes and JSON are never painted unless somebody asks for it.
package colour

// Role is what words are.
type Role uint8

// The roles.
const (
	Plain      Role = iota
	Error           // that something failed
	Wrong           // what is there and should not be
	Right           // what should be there
	Found           // what was looked for
	Prompt          // that a line is wanted
	Faint           // what matters least: holes, names of columns
	Data            // what has storage
	Compressed      // the same, compressed
	Below           // the same, in an image below
	Stored          // zeroes that have storage
	Unknown         // what nobody knows
)

// codes are the parameters of the escape sequence (SGR of ECMA-48) of each role.
var codes = [...]string{
	Error: "1;31", Wrong: "1;31", Right: "32", Found: "1;35", Prompt: "1;36", Faint: "2",
	Data: "32", Compressed: "1;32", Below: "36", Stored: "35", Unknown: "31",
}

// Palette says whether words are painted.
type Palette bool

// Paint is text as role looks. Text is not to hold escape sequences.
func (p Palette) Paint(role Role, text string) string {
	return string(p.Append(nil, role, text))
}

// Append appends text as role looks to b.
func (p Palette) Append(b []byte, role Role, text string) []byte {
	if !p || text == "" || codes[role] == "" {
		return append(b, text...)
	}
	b = append(b, "\x1b["...)
	b = append(b, codes[role]...)
	b = append(b, 'm')
	b = append(b, text...)
	return append(b, "\x1b[m"...)
}

// When says on which streams there is colour.
type When string

// The values of When.
const (
	Auto   When = "auto"   // on terminals that can show it, unless NO_COLOR is set
	Always When = "always" // wherever the output goes
	Never  When = "never"
)

// Choices are the values of When.
func Choices() []string { return []string{string(Auto), string(Always), string(Never)} }

// For is the palette of a stream that is a terminal or is not. getenv reads the environment:
// https://no-color.org says what NO_COLOR means.
func For(when When, terminal bool, getenv func(string) string) Palette {
	switch when {
	case Always:
		return true
	case Never:
		return false
	}
	term := getenv("TERM")
	return Palette(terminal && getenv("NO_COLOR") == "" && term != "" && term != "dumb")
}
