package args

import (
	"fmt"
	"strings"
)

// InOrder is the letter under which an operand reaches the callback when the option string starts
// with '-', as getopt(3) has it.
const InOrder = 1

// OptionError is a complaint about the shape of an option. Message has the words of glibc 2.36,
// name of the program or command in front, without a newline.
type OptionError struct {
	Message string
	Option  string // as it can be typed, "-P" or "--pattern"
	Problem OptionProblem
	May     []string // the options that one that is ambiguous may be
}

// OptionProblem is what is wrong with an option.
type OptionProblem uint8

// What may be wrong.
const (
	UnknownOption   OptionProblem = iota
	AmbiguousOption               // it is the beginning of several
	ValueMissing
	ValueRefused // it takes none
)

func (e *OptionError) Error() string { return e.Message }

// LongOption is one row of a long option table.
type LongOption struct {
	Name   string // without the dashes
	HasArg bool   // whether a value is required; without, one is refused
	Letter byte   // the short option it stands for; 0 if it has none
}

// Getopt parses short options as getopt(3) of glibc does: options may follow operands, letters may
// be bundled, a value may be attached or be the next word, and "--" ends the options. words are
// those after the name.
//
// spec lists the letters; ':' after one says that it takes a value, "::" that it takes an attached
// value or none. A leading '+' ends the options at the first operand (what POSIXLY_CORRECT asks
// for; the environment is the caller's to read), a leading '-' hands operands to each as [InOrder].
// Errors are values here, so the ':' that keeps getopt quiet changes nothing.
//
// each is called once per option, in the order written, and its error ends the parsing at once. So
// a bad value is reported before a bad letter that stands after it. A syntax error is an
// [*OptionError]. The operands come back in their order.
func Getopt(name, spec string, words []string,
	each func(letter byte, value string) error,
) (operands []string, err error) {
	p := newParser(name, spec, words,
		func(letter byte, _, value string) error { return each(letter, value) })
	return p.run()
}

// GetoptLong is [Getopt] with long options besides: "--name", "--name=value", "--name value" and
// any prefix that fits one name only. each gets the full name of a long option, or "" for a short
// one.
func GetoptLong(
	name, spec string, longs []LongOption, words []string,
	each func(letter byte, long, value string) error,
) (operands []string, err error) {
	p := newParser(name, spec, words, each)
	p.long = func(text string) error { return p.longOption(longs, text) }
	return p.run()
}

// parser is one run over the words of one command.
type parser struct {
	name  string
	spec  string
	order byte // '+', '-' or 0: what a leading character of spec asked for
	words []string
	each  func(letter byte, long, value string) error
	long  func(text string) error // nil where "--name" is a cluster that starts with '-'
}

func newParser(name, spec string, words []string,
	each func(letter byte, long, value string) error,
) *parser {
	p := &parser{name: name, spec: spec, words: words, each: each}
	if strings.HasPrefix(spec, "+") || strings.HasPrefix(spec, "-") {
		p.order, p.spec = spec[0], spec[1:]
	}
	return p
}

func (p *parser) run() ([]string, error) {
	var operands []string
	for len(p.words) > 0 {
		word := p.next()
		var err error
		switch {
		case word == "--":
			return append(operands, p.words...), nil
		case len(word) < 2 || word[0] != '-':
			switch p.order {
			case '+':
				return append([]string{word}, p.words...), nil
			case '-':
				err = p.each(InOrder, "", word)
			default:
				operands = append(operands, word)
			}
		case word[1] == '-' && p.long != nil:
			err = p.long(word[2:])
		default:
			err = p.cluster(word[1:])
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// next takes the next word; there must be one.
func (p *parser) next() string {
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *parser) fail(problem OptionProblem, option, format string, a ...any) *OptionError {
	return &OptionError{
		Message: p.name + ": " + fmt.Sprintf(format, a...), Option: option, Problem: problem,
	}
}

// cluster handles the letters of one word, up to the first that takes a value.
func (p *parser) cluster(letters string) error {
	for i := range len(letters) {
		letter, rest := letters[i], letters[i+1:]
		at := strings.IndexByte(p.spec, letter)
		if at < 0 || letter == ':' || letter == ';' {
			return p.fail(UnknownOption, "-"+letters[i:i+1], "invalid option -- '%s'",
				letters[i:i+1])
		}
		after := p.spec[at+1:]
		switch {
		case !strings.HasPrefix(after, ":"):
			if err := p.each(letter, "", ""); err != nil {
				return err
			}
			continue
		case rest != "" || strings.HasPrefix(after, "::"):
			return p.each(letter, "", rest)
		case len(p.words) == 0:
			return p.fail(ValueMissing, "-"+letters[i:i+1], "option requires an argument -- '%s'",
				letters[i:i+1])
		default:
			return p.each(letter, "", p.next())
		}
	}
	return nil
}

// longOption handles one word; text is what follows its two dashes.
func (p *parser) longOption(longs []LongOption, text string) error {
	name, value, attached := strings.Cut(text, "=")
	candidates := matching(longs, name)
	if len(candidates) == 0 {
		return p.fail(UnknownOption, "--"+name, "unrecognized option '--%s'", text)
	}
	if len(candidates) > 1 {
		var possible strings.Builder
		var may []string
		for _, c := range candidates {
			fmt.Fprintf(&possible, " '--%s'", c.Name)
			may = append(may, "--"+c.Name)
		}
		err := p.fail(AmbiguousOption, "--"+name, "option '--%s' is ambiguous; possibilities:%s",
			text, possible.String())
		err.May = may
		return err
	}
	option := candidates[0]
	switch {
	case attached && !option.HasArg:
		return p.fail(ValueRefused, "--"+option.Name, "option '--%s' doesn't allow an argument",
			option.Name)
	case option.HasArg && !attached:
		if len(p.words) == 0 {
			return p.fail(ValueMissing, "--"+option.Name, "option '--%s' requires an argument",
				option.Name)
		}
		value = p.next()
	}
	return p.each(option.Letter, option.Name, value)
}

// matching finds the options that name may mean, in the order of the table: the one of exactly that
// name, or all that it is a prefix of. Two names of one letter are no ambiguity: the first stands
// for both.
func matching(longs []LongOption, name string) []LongOption {
	var found []LongOption
	for _, option := range longs {
		if option.Name == name {
			return []LongOption{option}
		}
		if !strings.HasPrefix(option.Name, name) {
			continue
		}
		alias := len(found) > 0 && option.Letter != 0 &&
			option.Letter == found[0].Letter && option.HasArg == found[0].HasArg
		if !alias {
			found = append(found, option)
		}
	}
	return found
}
