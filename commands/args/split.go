package args

import (
	"fmt"
	"strings"

	"github.com/google/shlex"
)

// SplitSpaces splits a line into words as qemu-io does: at spaces and nothing else. Tabs, quotes
// and carriage returns are part of a word.
func SplitSpaces(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return r == ' ' })
}

// SplitError says where a line cannot be split into words.
type SplitError struct {
	Column int // in bytes, from 1
	Why    string
}

func (e *SplitError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Why) }

// SplitNative splits a line into words at blanks (space, tab, CR, LF), such that a qemu-io line
// without tabs and without a word that starts with a quote stays what it is there:
//
//   - A word whose first byte is ' or " is quoted as in a shell, and may go on after the closing
//     quote. Inside double quotes a backslash takes the next character as it is.
//   - In any other word quotes, backslashes and # are plain: json:{"a":"b"}, it's.img, a#b.
//   - A word that starts with json:{ runs to the matching brace, blanks included.
//   - The value of -P is a pattern, which has quotes of its own: it is handed over as typed, and
//     blanks between its quotes do not end it. That holds for "-P", for a cluster of letters that
//     ends in P, and for a value attached to either.
//   - With comments, a # at the start of a word ends the line.
//
// The error is a [*SplitError].
func SplitNative(line string, comments bool) ([]string, error) {
	words, err := Words(line, comments, false)
	if err != nil {
		return nil, err
	}
	var values []string
	for _, w := range words {
		value, err := w.Value(nil)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// A Word is one of a line as it is typed.
type Word struct {
	Raw   string
	Start int // in the line, in bytes
	form  form
}

// form is how a word is written.
type form uint8

const (
	plainForm   form = iota
	quotedForm       // it begins with a quote
	patternForm      // the value of -P, which keeps its quotes
	jsonForm
)

// Bare says whether no quotes and no braces keep a word together, so that it may be a sign.
func (w Word) Bare() bool { return w.form == plainForm }

// Words splits a line as SplitNative does. With references, $((...)) is a part of a word whatever
// is in it, unless it stands in quotes.
func Words(line string, comments, references bool) ([]Word, error) {
	var words []Word
	pattern := false // the word before was a -P that wants its value
	for at := skipBlanks(line, 0); at < len(line); at = skipBlanks(line, at) {
		if comments && line[at] == '#' {
			break
		}
		form, end, err := nextWord(line, at, pattern, references)
		if err != nil {
			return nil, err
		}
		word := line[at:end]
		attached, isPattern := patternOption(word)
		pattern = !pattern && isPattern && attached == len(word)
		words = append(words, Word{word, at, form})
		at = end
	}
	return words, nil
}

// nextWord finds the form of the word that starts at line[at], and where it ends.
func nextWord(line string, at int, pattern, references bool) (f form, end int, err error) {
	rest := line[at:]
	switch value, isPattern := patternOption(rest); {
	case pattern:
		f = patternForm
		end, err = scanQuoting(line, at, false, references)
	case isPattern:
		f = patternForm
		end, err = scanQuoting(line, at+value, false, references)
	case rest[0] == '"' || rest[0] == '\'':
		f = quotedForm
		end, err = scanQuoting(line, at, true, false)
	case strings.HasPrefix(rest, "json:{"):
		f = jsonForm
		if end, err = scanBraces(line, at); err == nil {
			end, err = scanPlain(line, end, false)
		}
	default:
		end, err = scanPlain(line, at, references)
	}
	return f, end, err
}

// patternOption reports whether s starts with "-P" or a cluster of letters up to P, and where the
// value starts.
func patternOption(s string) (value int, ok bool) {
	if s == "" || s[0] != '-' {
		return 0, false
	}
	for i := 1; i < len(s); i++ {
		if s[i] == 'P' {
			return i + 1, true
		}
		if c := lower(s[i]); c < 'a' || c > 'z' {
			break
		}
	}
	return 0, false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func skipBlanks(line string, at int) int {
	for at < len(line) && isBlank(line[at]) {
		at++
	}
	return at
}

// scanPlain finds the end of a word without quotes.
func scanPlain(line string, at int, references bool) (end int, err error) {
	for at < len(line) && !isBlank(line[at]) {
		if n := lengthOfSum(line[at:]); references && n != 0 {
			if n < 0 {
				return 0, unclosedSum(at)
			}
			at += n
			continue
		}
		at++
	}
	return at, nil
}

// scanQuoting finds the first blank that stands in no quotes. With escapes a backslash takes the
// next byte along, except between single quotes.
func scanQuoting(line string, at int, escapes, references bool) (end int, err error) {
	var quote byte
	opened := 0
	for ; at < len(line); at++ {
		switch c := line[at]; {
		case escapes && c == '\\' && quote != '\'':
			if at++; at == len(line) && quote == 0 {
				return 0, &SplitError{Column: at, Why: `nothing follows the \`}
			}
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote, opened = c, at
		case references && strings.HasPrefix(line[at:], sumBegins):
			n := lengthOfSum(line[at:])
			if n < 0 {
				return 0, unclosedSum(at)
			}
			at += n - 1
		case isBlank(c):
			return at, nil
		}
	}
	if quote != 0 {
		return 0, unclosedQuote(opened, quote)
	}
	return len(line), nil
}

// scanBraces finds the end of the braces that open at line[at:]; braces in strings, of either
// quote, do not count.
func scanBraces(line string, at int) (end int, err error) {
	start, depth := at, 0
	for ; at < len(line); at++ {
		switch c := line[at]; c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return at + 1, nil
			}
		case '"', '\'':
			opened := at
			for at++; at < len(line) && line[at] != c; at++ {
				if line[at] == '\\' {
					at++
				}
			}
			if at >= len(line) {
				return 0, unclosedQuote(opened, c)
			}
		}
	}
	return 0, &SplitError{Column: start + 1, Why: "json:{ has no closing }"}
}

func unclosedQuote(at int, quote byte) error {
	return &SplitError{
		Column: at + 1,
		Why:    fmt.Sprintf("the quote %c has no closing %c", quote, quote),
	}
}

// unquote reads one quoted word. The shell lexer works on runes and would replace bytes that are
// not UTF-8, so it is given each byte as one rune, and its answer is turned back: a file name stays
// the bytes it was.
func unquote(word string) (string, error) {
	wide := make([]rune, len(word))
	for i := range len(word) {
		wide[i] = rune(word[i])
	}
	words, err := shlex.Split(string(wide))
	if err != nil {
		return "", err
	}
	var narrow strings.Builder
	for _, w := range words {
		for _, r := range w {
			narrow.WriteByte(byte(r))
		}
	}
	return narrow.String(), nil
}
