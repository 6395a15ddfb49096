package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// Flags collects what a command declares, and then turns words into values as declared. Flags are read in the order
// written; then operands are counted; then operands and checks take their turns in the order of declaration, or in the
// one that the dialect's Spec gives. The first complaint ends it.
type Flags struct {
	command string // its full name
	policy  *Policy
	spec    *Spec
	env     args.Env
	// imageOpts: images are described by options alone.
	imageOpts bool

	options  []option
	steps    []step
	operands int // number of single operands declared
	optional int // how many of them may be missing
	rest     bool
	least    int // number of words that rest must have
	instead  Run
	warnings []event.Event
	words    []string // as typed, after the name
}

// option is a flag.
type option struct {
	letter byte
	long   string
	value  string // what its value is called in help, "" if it takes none
	help   string
	set    func(word string) error
}

// step is an operand or a check.
type step struct {
	name    string
	offered bool // made only where a dialect names it
	each    []Each
	do      func(operands []string) error
}

// Each is a check of each number of several operands. It is made only where a dialect names it.
type Each struct {
	Name string
	Do   func(word string, n int64) error
}

// errUsage says that a command was called in a wrong way.
var errUsage = errors.New("usage")

// WrongUsage is the outcome of a check that ends with the synopsis of the command.
func WrongUsage() error { return errUsage }

// Flag declares -letter and --long (which may be "") with a value called value, or without one if that is "".
func (f *Flags) Flag(letter byte, long, value, help string, set func(word string) error) {
	f.options = append(f.options, option{letter, long, value, help, set})
}

// Bool declares a flag that sets p.
func (f *Flags) Bool(p *bool, letter byte, long, help string) {
	f.Flag(letter, long, "", help, func(string) error {
		*p = true
		return nil
	})
}

// Ignored declares a flag that is accepted and changes nothing.
func (f *Flags) Ignored(letter byte, long, help string) {
	f.Flag(letter, long, "", help, func(string) error { return nil })
}

// Text declares a flag whose value is any word. given is set when it is there, and may be nil.
func (f *Flags) Text(p *string, given *bool, letter byte, long, value, help string) {
	f.Flag(letter, long, value, help, func(word string) error {
		*p = word
		if given != nil {
			*given = true
		}
		return nil
	})
}

// Size declares a flag whose value is a number.
func (f *Flags) Size(p *int64, given *bool, letter byte, long, value, help string) {
	f.Flag(letter, long, value, help, func(word string) error {
		*given = true
		var err error
		*p, err = f.Number(string(letter), word)
		return err
	})
}

// Pattern declares a flag whose value is a pattern.
func (f *Flags) Pattern(p *verify.Pattern, given *bool, letter byte, long, value, help string) {
	f.Flag(letter, long, value, help, func(word string) error {
		*given = true
		var err error
		if *p, err = f.policy.Pattern(word); err != nil {
			return event.Fail(event.BadValue{Message: err.Error()})
		}
		return nil
	})
}

// Instead declares a flag that ends parsing at once and makes run the whole command.
func (f *Flags) Instead(letter byte, long, help string, run Run) {
	f.Flag(letter, long, "", help, func(string) error {
		f.instead = run
		return errInstead
	})
}

var errInstead = errors.New("another run")

// Operand declares a number that must be there.
func (f *Flags) Operand(p *int64, name string) {
	f.Word(name, func(word string) (err error) {
		*p, err = f.Number(name, word)
		return err
	})
}

// OptOperand declares a number that may be missing; p keeps its value then.
func (f *Flags) OptOperand(p *int64, name string) {
	f.OptWord(name, func(word string) (err error) {
		*p, err = f.Number(name, word)
		return err
	})
}

// Word declares an operand that must be there.
func (f *Flags) Word(name string, set func(word string) error) {
	f.word(name, set, false)
}

// OptWord declares an operand that may be missing.
func (f *Flags) OptWord(name string, set func(word string) error) {
	f.optional++
	f.word(name, set, true)
}

func (f *Flags) word(name string, set func(word string) error, optional bool) {
	at := f.operands
	f.operands++
	f.steps = append(f.steps, step{name: name, do: func(operands []string) error {
		if at < len(operands) {
			return set(operands[at])
		}
		if optional {
			return nil
		}
		return f.badNumber(name, f.words[0], args.NonNumeric, nil) // only where the dialect is loose
	}})
}

// Rest declares one or more numbers behind all other operands. Each of them is checked before the next is read.
func (f *Flags) Rest(p *[]int64, name string, checks ...Each) {
	at := f.operands
	f.rest, f.least = true, 1
	f.steps = append(f.steps, step{name: name, each: checks, do: func(operands []string) (err error) {
		*p, err = f.Numbers(name, operands[at:], checks...)
		return err
	}})
}

// Words declares least or more words behind all other operands, read as they stand. The checks are those that Numbers is called with
// later.
func (f *Flags) Words(p *[]string, name string, least int, checks ...Each) {
	at := f.operands
	f.rest, f.least = true, least
	f.steps = append(f.steps, step{name: name, each: checks, do: func(operands []string) error {
		*p = operands[at:]
		return nil
	}})
}

// Numbers reads words as the dialect reads the operands called name, and checks each before it reads the next.
func (f *Flags) Numbers(name string, words []string, checks ...Each) ([]int64, error) {
	list := make([]int64, 0, len(words))
	for _, word := range words {
		n, err := f.Number(name, word)
		if err != nil {
			return nil, err
		}
		for _, check := range checks {
			if f.spec == nil || !f.spec.names(check.Name) {
				continue
			}
			if err := check.Do(word, n); err != nil {
				return nil, err
			}
		}
		list = append(list, n)
	}
	return list, nil
}

// Options reads "key=value,..." into o.
func (f *Flags) Options(o *blockdev.Options, text string) error {
	warnings, err := MergeOptions(o, text)
	f.warnings = append(f.warnings, warnings...)
	return err
}

// ImageOpts says whether images are described by options alone.
func (f *Flags) ImageOpts() bool { return f.imageOpts }

// Check declares a check that every dialect makes that does not leave it out.
func (f *Flags) Check(name string, do func() error) {
	f.steps = append(f.steps, step{name: name, do: func([]string) error { return do() }})
}

// CheckOperands is Check for the number of operands.
func (f *Flags) CheckOperands(name string, do func(operands int) error) {
	f.steps = append(f.steps, step{name: name, do: func(operands []string) error { return do(len(operands)) }})
}

// Offer declares a check that only a dialect makes that names it.
func (f *Flags) Offer(name string, do func() error) {
	f.steps = append(f.steps, step{name: name, offered: true, do: func([]string) error { return do() }})
}

// Conflict is Check for flags that do not go together: it fails with a sentence when bad says so.
func (f *Flags) Conflict(name, message string, bad func() bool) {
	f.Check(name, conflict(message, bad))
}

// OfferConflict is Offer for flags that do not go together.
func (f *Flags) OfferConflict(name, message string, bad func() bool) {
	f.Offer(name, conflict(message, bad))
}

func conflict(message string, bad func() bool) func() error {
	return func() error {
		if bad() {
			return event.Fail(event.Conflict{Message: message})
		}
		return nil
	}
}

// MaxRequest is the longest request of the dialect.
func (f *Flags) MaxRequest() int64 { return f.policy.MaxRequest }

// Number reads a word as the dialect reads the operand called so.
func (f *Flags) Number(operand, word string) (int64, error) {
	n, err := f.policy.Numbers(word, f.env)
	if n.HexSuffix {
		f.warnings = append(f.warnings, event.HexSuffix{Word: word})
	}
	if err == nil && f.spec != nil && slices.Contains(strings.Fields(f.spec.Narrow), operand) {
		_, err = args.Int32(word, n)
	}
	if err == nil {
		return n.Value, nil
	}
	problem := args.NonNumeric
	var bad *args.NumberError
	if errors.As(err, &bad) {
		problem = bad.Kind
	}
	return 0, f.badNumber(operand, word, problem, err)
}

func (f *Flags) badNumber(operand, word string, problem args.Kind, err error) error {
	return event.Fail(event.BadNumber{
		Command: f.command, Operand: operand, Word: word, First: f.words[0], Problem: problem, Err: err,
	})
}

func (s *Spec) names(check string) bool { return slices.Contains(strings.Fields(s.Checks), check) }

// parse reads the words after a name as it was typed, and says what to run.
func (f *Flags) parse(typed string, words []string, run Run) (Run, error) {
	f.words = words
	operands, err := f.readOptions(typed, words)
	if errors.Is(err, errInstead) {
		return f.instead, nil
	}
	if err != nil {
		return nil, err
	}
	loose := f.spec != nil && f.spec.Loose
	if !loose && (len(operands) < f.required() || !f.rest && len(operands) > f.operands) {
		return nil, errUsage
	}
	for s := range f.sequence {
		if err := s.do(operands); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// required is the least number of operands.
func (f *Flags) required() int { return f.operands - f.optional + f.least }

// sequence walks the steps in the order of this dialect.
func (f *Flags) sequence(yield func(*step) bool) {
	if f.spec == nil {
		for i := range f.steps {
			if !f.steps[i].offered && !yield(&f.steps[i]) {
				return
			}
		}
		return
	}
	for name := range strings.FieldsSeq(f.spec.Checks) {
		if s := f.step(name); s != nil && !yield(s) {
			return
		}
	}
}

func (f *Flags) readOptions(typed string, words []string) ([]string, error) {
	set := func(letter byte, long, word string) error {
		if o := f.lookup(letter, long); o != nil {
			return o.set(word)
		}
		return nil
	}
	if f.spec == nil {
		return args.GetoptLong(typed, f.letters(), f.longs(), words, set)
	}
	if f.spec.Letters == "" {
		return words, nil
	}
	return args.Getopt(typed, f.spec.Letters, words, func(letter byte, word string) error { return set(letter, "", word) })
}

// letters is the getopt string of all flags.
func (f *Flags) letters() string {
	var b strings.Builder
	for _, o := range f.options {
		if o.letter == 0 {
			continue
		}
		b.WriteByte(o.letter)
		if o.value != "" {
			b.WriteByte(':')
		}
	}
	return b.String()
}

func (f *Flags) longs() []args.LongOption {
	var longs []args.LongOption
	for _, o := range f.options {
		if o.long != "" {
			longs = append(longs, args.LongOption{Name: o.long, HasArg: o.value != "", Letter: o.letter})
		}
	}
	return longs
}

func (f *Flags) lookup(letter byte, long string) *option {
	for i := range f.options {
		if o := &f.options[i]; long != "" && o.long == long || long == "" && o.letter == letter {
			return o
		}
	}
	return nil
}

func (f *Flags) option(letter byte) *option { return f.lookup(letter, "") }

func (f *Flags) step(name string) *step {
	for i := range f.steps {
		if f.steps[i].name == name {
			return &f.steps[i]
		}
	}
	return nil
}

// offersEach says whether name is a check of each number of a Rest.
func (f *Flags) offersEach(name string) bool {
	return slices.ContainsFunc(f.steps, func(s step) bool {
		return slices.ContainsFunc(s.each, func(e Each) bool { return e.Name == name })
	})
}

// checkDeclarations refuses flags and steps of the same name, and flags without help.
func (f *Flags) checkDeclarations() error {
	seen := map[string]bool{}
	for _, o := range f.options {
		for _, name := range []string{string(rune(o.letter)), o.long} {
			if name == "" || name == "\x00" {
				continue
			}
			if seen[name] {
				return fmt.Errorf("two flags are called %s", name)
			}
			seen[name] = true
		}
		if o.help == "" {
			return fmt.Errorf("flag -%c has no help", o.letter)
		}
	}
	for i, s := range f.steps {
		if f.step(s.name) != &f.steps[i] {
			return fmt.Errorf("two operands or checks are called %s", s.name)
		}
	}
	return nil
}

// Option describes a flag for help, completion and the manual.
type Option struct {
	Letter byte // 0 if it has none
	Long   string
	Value  string // "" if it takes none
	Help   string
}

// Options lists the flags of a command that its dialect knows.
func (r *Row) Options() []Option {
	f := &Flags{command: r.Name, policy: &Policy{}}
	r.New(f)
	var list []Option
	for _, o := range f.options {
		if r.spec == nil || o.letter != 0 && strings.IndexByte(r.spec.Letters, o.letter) >= 0 {
			list = append(list, Option{o.letter, o.long, o.value, o.help})
		}
	}
	return list
}
