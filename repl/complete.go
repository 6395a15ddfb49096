package repl

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Completer knows the words that may be typed. A line is the words before the one that is asked
// for, of which the first is the name of a command.
type Completer interface {
	// Commands are the names of all commands, sorted.
	Commands() []string
	// Flags are the flags that may stand behind a line. Also is the long name of one whose Word is
	// a letter.
	Flags(line []string) []Choice
	// Args are words that begin with prefix, for what may stand behind a line: an operand, or the
	// value of a flag. One that ends in '/' is not the end of the word.
	Args(line []string, prefix string) []string
	// Begin is how many words of a line stand before the command that the next word belongs to, or
	// that it is the name of. Keywords are words that may stand there besides; alone says that no
	// command may. A word in quotes, which is no keyword, comes as "".
	Begin(line []string) (before int, keywords []string, alone bool)
}

// A Choice is a word that may stand where the cursor is. Also is another spelling of it, "" if it
// has none. Help says what it does, in a few words or none.
type Choice struct{ Word, Also, Help string }

// completion is what may stand in place of the last word of a text.
type completion struct {
	start    int // of that word, in bytes
	typed    word
	expanded bool // typed is more than what stands in the line
	choices  []Choice
}

// A word is one of a line as it is typed, quotes taken away. Quote is the byte it begins with, 0 if
// that is no quote.
type word struct {
	start int
	text  string
	quote byte
}

// complete finds what may stand in place of the last word of before.
func complete(c Completer, before string) completion {
	line := wordsOf(before)
	skip, keywords, alone := c.Begin(signs(line[:len(line)-1]))
	words, marked := behindMark(line[skip:])
	if marked {
		keywords = nil
	}
	last := words[len(words)-1]
	found := completion{start: last.start, typed: last}
	texts := make([]string, 0, len(words))
	for _, w := range words[:len(words)-1] {
		texts = append(texts, w.text)
	}
	name, value, assigned := strings.Cut(last.text, "=")
	switch {
	case alone:
		found.add(keywords...)
	case len(words) == 1:
		found.add(slices.Sorted(slices.Values(append(c.Commands(), keywords...)))...)
	case last.quote != 0 || !strings.HasPrefix(last.text, "-"):
		found.expand()
		found.add(c.Args(texts, found.typed.text)...)
	case assigned && strings.HasPrefix(name, "--"):
		for _, w := range c.Args(append(texts, name), value) {
			found.add(name + "=" + w)
		}
	default:
		found.addFlags(c.Flags(texts))
	}
	return found
}

// signs are words as far as they can mean something to the grammar of lines: in quotes none does.
func signs(words []word) []string {
	texts := make([]string, len(words))
	for i, w := range words {
		if w.quote == 0 {
			texts[i] = w.text
		}
	}
	return texts
}

// marks stand before a command and say what is expected of it.
const marks = "!?"

// behindMark takes the mark away that a command begins with. "? word" alone asks for help on the
// word.
func behindMark(words []word) (rest []word, marked bool) {
	first := words[0]
	switch {
	case first.quote != 0 || first.text == "" || !strings.Contains(marks, first.text[:1]):
		return words, false
	case len(first.text) > 1:
		words[0].start, words[0].text = first.start+1, first.text[1:]
		return words, true
	case first.text == "?" && len(words) <= 2, len(words) == 1:
		return words, false
	}
	return words[1:], true
}

// expand writes the directory of the person where "~" stands for it.
func (c *completion) expand() {
	home, err := os.UserHomeDir()
	rest, ok := strings.CutPrefix(c.typed.text, "~")
	if err == nil && ok && c.typed.quote == 0 && (rest == "" || rest[0] == '/') {
		c.typed.text = strings.TrimRight(home, "/") + cmp.Or(rest, "/")
		c.expanded = true
	}
}

// addFlags takes the flags that continue what was typed: with two dashes the long names, with one
// those of one letter, and what has none.
func (c *completion) addFlags(flags []Choice) {
	for _, f := range flags {
		if strings.HasPrefix(c.typed.text, "--") && strings.HasPrefix(f.Also, "--") {
			f.Word, f.Also = f.Also, ""
		}
		if strings.HasPrefix(f.Word, c.typed.text) {
			c.choices = append(c.choices, f)
		}
	}
}

// add takes those of words that can be typed and continue the one that was.
func (c *completion) add(words ...string) {
	for _, w := range words {
		if strings.HasPrefix(w, c.typed.text) && printable(w) {
			c.choices = append(c.choices, Choice{Word: w})
		}
	}
}

// wordsOf splits a text as far as completion needs it. The last word is the one that is being
// typed, which may be empty.
func wordsOf(text string) []word {
	var words []word
	for i := 0; ; i++ {
		for i < len(text) && isBlank(text[i]) {
			i++
		}
		w := word{start: i}
		if i < len(text) && (text[i] == '"' || text[i] == '\'') {
			w.quote = text[i]
			i++
		}
		w.text, i = restOf(text, i, w.quote)
		if words = append(words, w); i == len(text) {
			return words
		}
	}
}

// restOf reads a word from i on and says where it ends.
func restOf(text string, i int, quote byte) (string, int) {
	var b strings.Builder
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case quote == 0 && isBlank(c), quote != 0 && c == quote:
			if quote != 0 {
				i++
			}
			return b.String(), i
		case quote == '"' && c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), i
}

func isBlank(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

// text is what is typed instead of the last word: all of a single choice, or what all choices begin
// with.
func (c completion) text() string {
	if len(c.choices) == 1 {
		w := c.choices[0].Word
		if strings.HasSuffix(w, "/") {
			return quoted(w, c.typed.quote, false)
		}
		return quoted(w, c.typed.quote, true) + " "
	}
	common := c.choices[0].Word
	for _, other := range c.choices[1:] {
		common = commonPrefix(common, other.Word)
	}
	if len(common) <= len(c.typed.text) && !c.expanded {
		return ""
	}
	return quoted(common, c.typed.quote, false)
}

func commonPrefix(a, b string) string {
	n := 0
	for i, r := range a { // whole characters
		if !strings.HasPrefix(b[min(i, len(b)):], string(r)) {
			break
		}
		n = i + len(string(r))
	}
	return a[:n]
}

// quoted writes a word so that the shell reads it back: in quotes, which closed says are closed
// too, if it was begun so or has bytes that would end it.
func quoted(w string, quote byte, closed bool) string {
	if quote == 0 {
		if !strings.ContainsAny(w, blanks) && !strings.ContainsAny(w[:1], `'"#`) {
			return w
		}
		quote = '\''
	}
	if strings.Contains(w, "'") {
		quote = '"'
	}
	if quote == '"' {
		w = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w)
	}
	if closed {
		return string(quote) + w + string(quote)
	}
	return string(quote) + w
}

// mostEntries is how many entries of a directory are looked at.
const mostEntries = 10_000

// FileNames are the names of files that begin with prefix, sorted; directories end in '/'. Names
// with characters that cannot be typed are left out, and so are those that begin with a dot, unless
// it was typed.
func FileNames(prefix string) []string {
	dir, base := filepath.Split(prefix)
	f, err := os.Open(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, _ := f.ReadDir(mostEntries) // what was read before an error is worth showing
	var names []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || base == "" && name[0] == '.' || !printable(name) {
			continue
		}
		if isDirectory(filepath.Join(dir, name), e) {
			name += "/"
		}
		names = append(names, dir+name)
	}
	slices.Sort(names)
	return names
}

// isDirectory follows symbolic links.
func isDirectory(path string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// listing shows choices: in columns, or with what they do one a line. It ends in a newline.
func listing(choices []Choice, width int) string {
	widest, helped := 0, false
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = c.Word
		if c.Also != "" {
			words[i] += ", " + c.Also
		}
		widest = max(widest, utf8.RuneCountInString(words[i]))
		helped = helped || c.Help != ""
	}
	columns := max(1, width/(widest+2))
	if helped {
		columns = 1
	}
	var b strings.Builder
	shown := choices[:min(len(choices), longestList*columns)]
	for i, c := range shown {
		pad := strings.Repeat(" ", widest-utf8.RuneCountInString(words[i])+2)
		last := i%columns == columns-1 || i == len(shown)-1
		switch {
		case c.Help != "":
			b.WriteString(hanging(words[i]+pad, c.Help, width))
		case last:
			b.WriteString(words[i] + "\n")
		default:
			b.WriteString(words[i] + pad)
		}
	}
	if more := len(choices) - len(shown); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

// hanging is text behind a head, broken between words so that each line fits, below the first of
// which the others stand. It ends in a newline.
func hanging(head, text string, width int) string {
	indent := utf8.RuneCountInString(head)
	line, used := head, indent
	var b strings.Builder
	for i, w := range strings.Fields(text) {
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case used+1+n < width:
			line, used = line+" ", used+1
		default:
			b.WriteString(line + "\n")
			line, used = strings.Repeat(" ", indent), indent
		}
		line, used = line+w, used+n
	}
	return b.String() + line + "\n"
}
