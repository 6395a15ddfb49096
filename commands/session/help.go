package session

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/blksh/blksh/commands/args"
)

// Topic is something other than a command that help tells about.
type Topic struct {
	// Name is a word, Short what the topic is about in a few words, Text what help shows: lines
	// that begin with a blank, an example first. Also are words that people may ask for instead.
	Name, Short, Text, Also string
}

// Option describes a flag for help, completion and the manual.
type Option struct {
	Letter byte       // 0 if it has none
	Long   string     // "" if it has none
	Value  args.Value // none if it takes none
	Help   string     // without the words that the value may be
	// Ignored: it changes nothing.
	Ignored bool
}

// Text is what help says of the flag.
func (o Option) Text() string { return o.Value.Help(o.Help) }

// Options lists the flags of a command that its dialect knows, sorted by letter; those without one
// come last.
func (r *Row) Options() []Option {
	f := &Flags{command: r.Name, policy: &Policy{}}
	r.declare(f)
	var list []Option
	for _, o := range f.options {
		switch {
		case r.spec == nil:
			list = append(list, Option{o.letter, o.long, o.value, o.help, o.ignored()})
		case o.letter != 0 && strings.IndexByte(r.spec.Letters, o.letter) >= 0:
			list = append(list, Option{Letter: o.letter, Value: o.value, Help: o.help})
		}
	}
	slices.SortFunc(list, func(a, b Option) int {
		return cmp.Or(-cmp.Compare(min(a.Letter, 1), min(b.Letter, 1)),
			cmp.Compare(unicode.ToLower(rune(a.Letter)), unicode.ToLower(rune(b.Letter))),
			cmp.Compare(a.Letter, b.Letter), cmp.Compare(a.Long, b.Long))
	})
	return list
}

// Usage is what the command takes, flags and operands. [options] stands there for flags that it
// does not name, which Options lists; a dialect with a spec has its own line.
func (r *Row) Usage() string {
	if r.spec != nil {
		return r.Args
	}
	named := strings.FieldsFunc(r.Args, func(c rune) bool {
		return strings.ContainsRune(" []()|", c)
	})
	for _, o := range r.Options() {
		if !o.Ignored && !slices.ContainsFunc(named, o.is) {
			return strings.TrimSpace("[options] " + r.Args)
		}
	}
	return r.Args
}

// is reports whether a word names the flag: "--pattern", or "-Pq" with others.
func (o Option) is(word string) bool {
	letters, short := strings.CutPrefix(word, "-")
	switch {
	case !short:
		return false
	case strings.HasPrefix(letters, "-"):
		return letters[1:] == o.Long
	}
	return o.Letter != 0 && strings.IndexByte(letters, o.Letter) >= 0
}

// Spelled is how the flag is written, "-P, --pattern PATTERN".
func (o Option) Spelled() string {
	said := strings.Join(o.Spellings(), ", ")
	if o.Value.Name != "" {
		said += " " + o.Value.Name
	}
	return said
}

// NearOption are the options that may be meant by one that is none of them, or is not as it must
// be.
func NearOption(wrong *args.OptionError, options []Option) []string {
	if wrong.Problem != args.UnknownOption {
		return wrong.May
	}
	return args.Near(wrong.Option, Spellings(options))
}

// Spellings are the ways to write any of the options.
func Spellings(options []Option) []string {
	var words []string
	for _, o := range options {
		words = append(words, o.Spellings()...)
	}
	return words
}

// Spellings are the ways to write it, "-P" and "--pattern".
func (o Option) Spellings() []string {
	var words []string
	if o.Letter != 0 {
		words = append(words, "-"+string(rune(o.Letter)))
	}
	if o.Long != "" {
		words = append(words, "--"+o.Long)
	}
	return words
}

// Text is what is written about the command, without its flags.
func (r *Row) Text() string {
	if r.More == nil {
		return r.Long
	}
	return r.Long + "\n" + r.More()
}

// Help is the text of the help: that of the command, and below it its flags. A dialect with a spec
// has nothing of the text but those examples that it understands.
func (r *Row) Help() string {
	text := r.Text()
	if r.spec != nil {
		text = r.examples()
	}
	options := r.Options()
	if len(options) == 0 {
		return text
	}
	widest := 0
	for _, o := range options {
		widest = max(widest, len(o.Spelled()))
	}
	var b strings.Builder
	b.WriteString(text + "\n")
	for _, o := range options {
		lines := []string{o.Text()}
		if o.Value.Type == args.TypeEnum {
			lines = fold(o.Text(), widestHelp-widest-len("   "))
		}
		fmt.Fprintf(&b, " %-*s  %s\n", widest, o.Spelled(), lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(&b, " %*s  %s\n", widest, "", line)
		}
	}
	return b.String()
}

// fold breaks a text into lines of at most so many bytes, where it can.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

// examples is the first paragraph of the text, without the lines that the spec does not allow.
func (r *Row) examples() string {
	var b strings.Builder
	for line := range strings.Lines(r.Long) {
		if line == "\n" {
			break
		}
		call, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if words := strings.Fields(call); words[0] != r.Name || r.spec.allows(words[1:]) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// allows says whether the words may be given. It knows numbers of words and flags.
func (s *Spec) allows(words []string) bool {
	if !s.counts(len(words)) {
		return false
	}
	for _, w := range words {
		if strings.Contains(w, "..") {
			return false
		}
		cluster, ok := strings.CutPrefix(w, "-")
		for i := 0; ok && i < len(cluster); i++ {
			at := strings.IndexByte(s.Letters, cluster[i])
			if at < 0 {
				return false
			}
			ok = !strings.HasPrefix(s.Letters[at+1:], ":") // what follows is its value
		}
	}
	return true
}

// widestHelp is how long a line of Long may be, in characters.
const widestHelp = 80
