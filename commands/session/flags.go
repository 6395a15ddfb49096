package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// Flags collects what a command declares, and then turns words into values as declared. Flags are
// read in the order written; then operands are counted; then operands and checks take their turns
// in the order of declaration, or in the one that the dialect's Spec gives. The first complaint
// ends it.
type Flags struct {
	command string // its full name
	policy  *Policy
	spec    *Spec
	env     args.Env
	image   *Image          // nil if none is open
	ctx     context.Context // of the line that is read; nil while none is
	// imageOpts: images are described by options alone.
	imageOpts bool

	options  []option
	steps    []step
	operands int // number of single operands declared
	optional int // how many of them may be missing
	rest     bool
	least    int // number of words that rest must have
	span     span
	position int64
	instead  Run
	warnings []event.Event
	needs    Needs    // see Need
	words    []string // as typed, after the name

	operandWords []string // those of words that are operands, ranges as two
	given        []string // flags, as typed; see Shard
	own          []string // long names of flags that are not kept there
}

// option is a flag. One that has neither on nor set changes nothing.
type option struct {
	letter byte
	long   string
	value  args.Value // none if it takes none
	help   string
	on     *bool // set by a flag without a value
	set    func(word string) error
}

// name is how the flag is called where there is room for one name.
func (o *option) name() string {
	if o.letter != 0 {
		return "-" + string(rune(o.letter))
	}
	return "--" + o.long
}

func (o *option) ignored() bool { return o.on == nil && o.set == nil }

func (o *option) take(word string) error {
	if o.on != nil {
		*o.on = true
		return nil
	}
	if o.ignored() {
		return nil
	}
	return o.set(word)
}

// step is an operand or a check: exactly one of set, all and check is there.
type step struct {
	name    string
	offered bool       // made only where a dialect names it
	value   args.Value // of an operand

	at       int // which operand it is, for set; where the rest begins, for all
	optional bool
	set      func(word string) error
	all      func(rest []string) error
	each     []Each

	check func() error
}

// take makes the step.
func (f *Flags) take(s *step, operands []string) error {
	switch {
	case s.check != nil:
		return s.check()
	case s.all != nil:
		return s.all(operands[s.at:])
	case s.at < len(operands) && operands[s.at] == "" && f.spec == nil && s.value.Type.Names():
		return NotEmpty(s.name, "")
	case s.at < len(operands):
		return s.set(operands[s.at])
	case s.optional:
		return nil
	}
	return f.badNumber(s.name, f.words[0], args.NonNumeric, nil) // only where the dialect is loose
}

// Each is a check of each number of several operands. It is made only where a dialect names it.
type Each struct {
	Name string
	Do   func(word string, n int64) error
}

// wordsError says which operands or flags a command lacks, and which words it has no use for.
type wordsError struct{ missing, extra []string }

func (*wordsError) Error() string { return "the command was called in a wrong way" }

// Missing is the outcome of a check that finds that what it names is not there. It ends with the
// synopsis of the command.
func Missing(what ...string) error { return &wordsError{missing: what} }

// Flag declares -letter and --long (which may be "") with a value that set reads.
func (f *Flags) Flag(letter byte, long string, value args.Value, help string,
	set func(word string) error,
) {
	f.options = append(f.options,
		option{letter: letter, long: long, value: value, help: help, set: set})
}

// Read is for Flag and Word: it stores what parse makes of a word.
func Read[T any](p *T, parse func(word string) (T, error)) func(word string) error {
	return func(word string) (err error) {
		*p, err = parse(word)
		return err
	}
}

// ReadValue is Read for a parse whose errors are complaints about a value.
func ReadValue[T any](p *T, parse func(word string) (T, error)) func(word string) error {
	return func(word string) (err error) {
		if *p, err = parse(word); err != nil {
			return event.BadValuef("%v", err)
		}
		return nil
	}
}

// Switch declares a flag without a value that does more than to be set.
func (f *Flags) Switch(letter byte, long, help string, set func() error) {
	f.Flag(letter, long, args.Value{}, help, func(string) error { return set() })
}

// Enum declares a flag whose value is one of words; set is told which. Help lists them, and any
// other word is refused with them.
func (f *Flags) Enum(letter byte, long, value string, words []string, help string,
	set func(i int),
) {
	o := option{letter: letter, long: long, value: enum(value, words), help: help}
	o.set = func(word string) error {
		i := slices.Index(words, word)
		if i < 0 {
			return BadChoice(o.name(), words, word)
		}
		set(i)
		return nil
	}
	f.options = append(f.options, o)
}

func enum(name string, words []string) args.Value {
	return args.Enum(name, func() []string { return words })
}

// EnumWord declares an operand that is one of words. Any other is refused with them.
func (f *Flags) EnumWord(p *string, name string, words ...string) {
	f.enumWord(p, name, words, false)
}

// OptEnumWord declares an operand that may be missing, as EnumWord.
func (f *Flags) OptEnumWord(p *string, name string, words ...string) {
	f.enumWord(p, name, words, true)
}

func (f *Flags) enumWord(p *string, name string, words []string, optional bool) {
	set := func(word string) error {
		if *p = word; !slices.Contains(words, word) {
			return BadChoice(f.command, words, word)
		}
		return nil
	}
	f.operand(step{name: name, value: enum(name, words), set: set, optional: optional})
}

// BadChoice refuses a word that is none of those that what is called name takes.
func BadChoice(name string, words []string, word string) error {
	return event.Fail(event.BadValue{
		Message: fmt.Sprintf("%s takes %s, not '%s'", name, args.Alternatives(words), word),
		Near:    args.Near(word, words),
	})
}

// Bool declares a flag that sets p.
func (f *Flags) Bool(p *bool, letter byte, long, help string) {
	f.options = append(f.options, option{letter: letter, long: long, help: help, on: p})
}

// Ignored declares a flag that is accepted and changes nothing.
func (f *Flags) Ignored(letter byte, long, help string) {
	f.options = append(f.options, option{letter: letter, long: long, help: help})
}

// Text declares a flag whose value is taken as it stands. It is not empty: that is what the flag is
// worth when it is not there, and no name of anything.
func (f *Flags) Text(p *string, letter byte, long string, value args.Value, help string) {
	o := option{letter: letter, long: long, value: value, help: help}
	o.set = func(word string) error {
		*p = word
		return NotEmpty(o.name(), word)
	}
	f.options = append(f.options, o)
}

// NotEmpty refuses a word without letters, as a variable leaves that has no value.
func NotEmpty(name, word string) error {
	if word == "" {
		return event.BadValuef("%s takes a value, not an empty one", name)
	}
	return nil
}

// KeyValues declares a flag that adds to options.
func (f *Flags) KeyValues(o *blockdev.Options, letter byte, long, help string) {
	f.Flag(letter, long, args.Text("OPTIONS"), help,
		func(word string) error { return f.Options(o, word) })
}

// Size declares a flag whose value is a number. given is set when it is there, and may be nil.
func (f *Flags) Size(p *int64, given *bool, letter byte, long, value, help string) {
	f.Flag(letter, long, args.Value{Name: value, Type: args.TypeSize}, help,
		func(word string) (err error) {
			mark(given)
			name := long
			if letter != 0 {
				name = string(letter)
			}
			*p, err = f.Number(name, word)
			return err
		})
}

// mark sets what says that a flag is there, if anybody wants to know.
func mark(given *bool) {
	if given != nil {
		*given = true
	}
}

// Pattern declares a flag whose value is a pattern, as Size.
func (f *Flags) Pattern(p *verify.Pattern, given *bool, letter byte, long, value, help string) {
	f.Flag(letter, long, args.Value{Name: value, Type: args.TypePattern}, help,
		func(word string) (err error) {
			mark(given)
			*p, err = f.policy.Pattern(word, f.ReadFile)
			var file *fs.PathError
			switch {
			case errors.As(err, &file):
				return event.FailFile(file.Path, file.Err)
			case err != nil:
				return event.BadValuef("%v", err)
			}
			return nil
		})
}

// Instead declares a flag that ends parsing at once and makes run the whole command.
func (f *Flags) Instead(letter byte, long, help string, run Run) {
	f.Switch(letter, long, help, func() error {
		f.instead = run
		return errInstead
	})
}

var errInstead = errors.New("another run")

// Operand declares a number that must be there.
func (f *Flags) Operand(p *int64, name string) { f.number(p, name, false) }

// OptOperand declares a number that may be missing; p keeps its value then.
func (f *Flags) OptOperand(p *int64, name string) { f.number(p, name, true) }

func (f *Flags) number(p *int64, name string, optional bool) {
	set := func(word string) (err error) {
		*p, err = f.Number(name, word)
		return err
	}
	f.operand(step{
		name: name, value: args.Value{Name: name, Type: args.TypeNumber}, set: set,
		optional: optional,
	})
}

// Word declares an operand that must be there.
func (f *Flags) Word(name string, value args.Value, set func(word string) error) {
	f.operand(step{name: name, value: value, set: set})
}

// OptWord declares an operand that may be missing.
func (f *Flags) OptWord(name string, value args.Value, set func(word string) error) {
	f.operand(step{name: name, value: value, set: set, optional: true})
}

// Duration declares an operand that is a time and must be there.
func (f *Flags) Duration(p *time.Duration, name string) {
	f.Word(name, args.Text("TIME"), ReadValue(p, f.policy.Times))
}

func (f *Flags) operand(s step) {
	s.at = f.operands
	s.optional = s.optional || f.span.spares(s.at)
	f.operands++
	if s.optional {
		f.optional++
	}
	f.steps = append(f.steps, s)
}

// Rest declares one or more numbers behind all other operands. Each of them is checked before the
// next is read.
func (f *Flags) Rest(p *[]int64, name string, checks ...Each) {
	f.tail(step{name: name, each: checks, all: func(rest []string) (err error) {
		*p, err = f.Numbers(name, rest, checks...)
		return err
	}}, 1)
}

// Words declares least or more words behind all other operands, read as they stand. The checks are
// those that Numbers is called with later.
func (f *Flags) Words(p *[]string, name string, least int, checks ...Each) {
	f.tail(step{name: name, each: checks, all: func(rest []string) error {
		*p = rest
		return nil
	}}, least)
}

func (f *Flags) tail(s step, least int) {
	s.at = f.operands
	f.rest, f.least = true, least
	f.steps = append(f.steps, s)
}

// Numbers reads words as the dialect reads the operands called name, and checks each before it
// reads the next.
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
	o.ReadSizes(f.policy.Sizes)
	warnings, err := MergeOptions(o, text)
	f.warnings = append(f.warnings, warnings...)
	if err == nil && o.Has("id") { // which QEMU keeps for groups of options that have names
		err = event.FailReport(driver.Refuse("Invalid parameter 'id'"))
	}
	return err
}

// ImageOpts says whether images are described by options alone.
func (f *Flags) ImageOpts() bool { return f.imageOpts }

// Operands is how many of the words are operands, a range counting as two. It is for checks.
func (f *Flags) Operands() int { return len(f.operandWords) }

// Check declares a check of whatever is known, that every dialect makes that does not leave it out.
func (f *Flags) Check(name string, check func() error) {
	f.steps = append(f.steps, step{name: name, check: check})
}

// Offer declares a check that only a dialect makes that names it.
func (f *Flags) Offer(name string, check func() error) {
	f.steps = append(f.steps, step{name: name, check: check, offered: true})
}

// Need says that the words given so far make the command need more than others of its name.
func (f *Flags) Need(n Needs) { f.needs |= n }

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
			return event.Conflictf("%s", message)
		}
		return nil
	}
}

// Image is the current image, nil if none is open. It is for checks that only make sense against
// one.
func (f *Flags) Image() *Image { return f.image }

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
		Command: f.command, Operand: operand, Word: word, First: f.words[0], Problem: problem,
		Err: err,
	})
}

func (s *Spec) names(check string) bool { return slices.Contains(strings.Fields(s.Checks), check) }

// reset makes f ready for another command. It keeps the memory of its lists.
func (f *Flags) reset(row *Row, env args.Env) {
	*f = Flags{
		command: row.Name, policy: f.policy, spec: row.spec, env: env, imageOpts: f.imageOpts,
		options: f.options[:0], steps: f.steps[:0],
	}
}

// Context ends when the command is to end, for checks that read files.
func (f *Flags) Context() context.Context { return cmp.Or(f.ctx, context.Background()) }

// ReadFile reads at most limit bytes of a file that a word names, such as the one of a pattern. It
// waits for nobody once the command is to end.
func (f *Flags) ReadFile(name string, limit int) ([]byte, error) {
	return target.ReadInput(f.Context(), name, limit)
}

// parse reads the words after a name as it was typed, and says what to run.
func (f *Flags) parse(typed string, words []string, run Run, order []int) (Run, error) {
	f.words = words
	operands, err := f.readOptions(typed, words)
	if errors.Is(err, errInstead) {
		return f.instead, nil
	}
	if err != nil {
		return nil, err
	}
	if operands, err = f.expandRange(operands); err != nil {
		return nil, err
	}
	f.operandWords = operands
	if loose := f.spec != nil && f.spec.Loose; !loose {
		if err := f.count(operands); err != nil {
			return nil, err
		}
	}
	for _, i := range order {
		if err := f.take(&f.steps[i], operands); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// count refuses operands that are too few or too many.
func (f *Flags) count(operands []string) error {
	if !f.rest && len(operands) > f.operands {
		return &wordsError{extra: operands[f.operands:]}
	}
	if len(operands) >= f.operands-f.optional+f.least {
		return nil
	}
	var missing []string
	for _, s := range f.steps {
		if s.all != nil && f.least > 0 || s.set != nil && !s.optional && s.at >= len(operands) {
			missing = append(missing, s.name)
		}
	}
	return Missing(missing...)
}

// order is the steps in the order in which a dialect makes them.
func (f *Flags) order() []int {
	order := []int{}
	if f.spec == nil {
		for i := range f.steps {
			if !f.steps[i].offered {
				order = append(order, i)
			}
		}
		return order
	}
	for name := range strings.FieldsSeq(f.spec.Checks) {
		if i := f.step(name); i >= 0 {
			order = append(order, i)
		}
	}
	return order
}

func (f *Flags) readOptions(typed string, words []string) ([]string, error) {
	set := func(letter byte, long, word string) error {
		o := f.lookup(letter, long)
		if o == nil {
			return nil
		}
		f.note(o, word)
		err := o.take(word)
		if err != nil && f.spec == nil && o.value.Type == args.TypeEnum && !o.value.More &&
			!slices.Contains(o.value.Words(), word) {
			return BadChoice(o.name(), o.value.Words(), word)
		}
		return err
	}
	if f.spec == nil {
		return args.GetoptLong(typed, f.letters(), f.longs(), words, set)
	}
	if f.spec.Letters == "" {
		return words, nil
	}
	return args.Getopt(typed, f.spec.Letters, words,
		func(letter byte, word string) error { return set(letter, "", word) })
}

// letters is the getopt string of all flags.
func (f *Flags) letters() string {
	var b strings.Builder
	for _, o := range f.options {
		if o.letter == 0 {
			continue
		}
		b.WriteByte(o.letter)
		if o.value.Name != "" {
			b.WriteByte(':')
		}
	}
	return b.String()
}

func (f *Flags) longs() []args.LongOption {
	var longs []args.LongOption
	for _, o := range f.options {
		if o.long != "" {
			longs = append(longs,
				args.LongOption{Name: o.long, HasArg: o.value.Name != "", Letter: o.letter})
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

// step finds a step by its name, -1 if there is none.
func (f *Flags) step(name string) int {
	return slices.IndexFunc(f.steps, func(s step) bool { return s.name == name })
}
