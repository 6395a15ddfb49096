package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/report"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/topics"
	"github.com/blksh/blksh/repl"
)

// nativeOptions is what the options say that only the shell's own dialect has.
type nativeOptions struct {
	json      bool
	colour    string // when; "" if nobody says
	yes       bool
	keepGoing bool
	timeless  bool // nothing is told that is another in each run
	// backingDevices: images may name devices as what they stand on.
	backingDevices bool
	script         string   // "" without one
	words          []string // a command behind the name of the file
}

// sameSeed is what scripts draw from with --deterministic; they take its upper half.
const sameSeed = 1 << 32

// nativeName is the name of the shell's own dialect.
const nativeName = "native"

// native says whether the program speaks its own dialect.
func (p *program) native() bool { return p.dialect.Specs == nil }

// each calls take on every option among words and returns the operands: the file, and the words of
// a command behind it. Options end where the command begins; between the file and the command there
// may be more of them.
func (p *program) each(argv []string, longs []args.LongOption,
	take func(letter byte, long, value string) error,
) ([]string, error) {
	read := func(words []string) ([]string, error) {
		return args.GetoptLong(argv[0], p.dialect.Program.Letters, longs, words, take)
	}
	operands, err := read(argv[1:])
	if err != nil || !p.native() || len(operands) < 2 || !strings.HasPrefix(operands[1], "-") ||
		p.commandNamed(operands[0]) != nil {
		return operands, err
	}
	words, err := read(operands[1:])
	return append(operands[:1], words...), err
}

// joinBrackets makes one word, the name of a server that is to be started, of the words from a [ to
// the next ], as the programs of libnbd do.
func joinBrackets(argv []string) []string {
	var joined []string
	for i := 0; i < len(argv); i++ {
		word := argv[i]
		if n := slices.Index(argv[i:], "]"); word == "[" && n > 1 {
			word = nbd.CommandName(argv[i+1 : i+n])
			i += n
		}
		joined = append(joined, word)
	}
	return joined
}

// standsAlone says whether the first operand is no image but a command that needs none, as in
// "blksh help read". What is there as a file is an image, whatever its name.
func (p *program) standsAlone(word string) bool {
	if !p.native() || p.options.imageOpts {
		return false
	}
	row := p.commandNamed(word)
	return row != nil && row.Needs&session.File == 0
}

// commandNamed is the command that the first operand is the name of, nil if there is none or a file
// of that name.
func (p *program) commandNamed(word string) *session.Row {
	row := p.dialect.Table().Find(word)
	if _, err := os.Lstat(word); len(word) < 2 || !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return row
}

// meant adds to the failure to open the image what its name may have been meant for: a command.
func (p *program) meant(err error) error {
	var failure *event.Failure
	if !p.native() || !errors.As(err, &failure) {
		return err
	}
	e, ok := failure.Event.(event.OpenFailed)
	if !ok || !e.Absent {
		return err
	}
	if row := p.commandNamed(e.Name); row != nil {
		e.Command = row.Name
	} else {
		e.Near = p.dialect.Table().Near(e.Name)
	}
	return event.Fail(e)
}

// nativeOption takes an option that only the shell's own dialect has; ok is false for any other.
func (p *program) nativeOption(o *session.Opening, letter byte, long, value string) (ok bool) {
	n := &p.options
	switch {
	case letter == 'w':
		o.Write = true
	case letter == 'f':
		o.Format = value
	case long == "in-use":
		o.InUse = true
	case long == "allow-backing-device":
		n.backingDevices = true
	case long == "undo":
		o.Undo = value
	case long == "strict":
		o.Strict = true
	case long == "rmw":
		o.Parts = true
	case long == "yes":
		n.yes = true
	case long == "no-rc", long == "json": // seen before
	case long == "color":
		n.colour = value
	case long == "script":
		n.script = value
	case long == "deterministic":
		n.timeless = true
	case long == "keep-going":
		n.keepGoing = true
	default:
		return false
	}
	return true
}

// notNameless refuses an option that names something and whose value is empty. The table of options
// is looked at only where one is.
func (p *program) notNameless(letter byte, long, value string) error {
	if value != "" || !p.takesValue(letter, long) {
		return nil
	}
	o := declared(letter, long)
	if kind := o.Value.Type; kind.Names() || kind == args.TypeFormat {
		return session.NotEmpty(o.Spellings()[0], value)
	}
	return nil
}

// takesValue says whether an option has a value, which may be empty.
func (p *program) takesValue(letter byte, long string) bool {
	is := &p.dialect.Program
	if i := strings.IndexByte(is.Letters, letter); letter != 0 {
		return strings.HasPrefix(is.Letters[i+1:], ":")
	}
	return slices.ContainsFunc(is.Longs,
		func(l args.LongOption) bool { return l.Name == long && l.HasArg })
}

// declared is an option as the table has it.
func declared(letter byte, long string) (o session.Option) {
	for _, o = range dialect.NativeOptions() {
		if letter != 0 && o.Letter == letter || letter == 0 && o.Long == long {
			break
		}
	}
	return o
}

// settle looks at what options mean together.
func (p *program) settle(o *session.Opening) error {
	n := &p.options
	sources := 0
	for _, given := range []bool{len(p.options.commands) > 0, len(n.words) > 0, n.script != ""} {
		if given {
			sources++
		}
	}
	if err := checkColour(n.colour); err != nil {
		return err
	}
	switch {
	case sources > 1:
		return event.Conflictf(
			"commands come from -c, from --script, or behind the name of the file, and from one of them only")
	case o.ReadOnly && o.Write:
		return event.Conflictf("-r and -w contradict each other")
	case o.Strict && o.Parts:
		return event.Conflictf("--strict and --rmw contradict each other")
	}
	if n.keepGoing {
		p.dialect.Policy.StopAtFailure = false
	}
	return nil
}

// badOption is the failure of an option of the program that is none, or not so.
func badOption(wrong *args.OptionError) error {
	near := session.NearOption(wrong, dialect.NativeOptions())
	return event.Fail(event.BadOption{Option: wrong, Near: near})
}

// badChoice is err, or where the value of an option of the program is one of some words and err
// refuses it, a failure that names them.
func badChoice(letter byte, long, value string, err error) error {
	o := declared(letter, long)
	if o.Value.Type == args.TypeEnum && !slices.Contains(o.Value.Words(), value) {
		return session.BadChoice(o.Spellings()[0], o.Value.Words(), value)
	}
	return err
}

// tell shows a text that was asked for.
func (p *program) tell(text string) {
	if p.options.json {
		p.printer.Print(event.Where{}, event.HelpBody{Text: text})
		return
	}
	_, _ = io.WriteString(p.out, text)
}

// tellVersion shows which program this is: in a line of the original's, or as the command version
// does, which knows the commit too.
func (p *program) tellVersion() {
	if line := p.dialect.Program.Version; line != nil && !p.options.json {
		_, _ = io.WriteString(p.out, line(p.name))
		return
	}
	p.printer.Print(event.Where{}, about())
}

// about is which program this is.
func about() event.Version {
	v := event.Version{
		Version: dialect.Version, Go: runtime.Version(), OS: runtime.GOOS,
		Architecture: runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}

// nativeLines is where lines come from in the shell's own dialect alone; nil if they come from
// where they do in all.
func (p *program) nativeLines(ctx context.Context) (repl.Source, error) {
	n := &p.options
	switch {
	case len(n.words) > 0:
		return repl.Words(n.words...), nil
	case n.script != "":
		p.interrupts.watch() // while lines are waited for
		script, err := repl.OpenScript(ctx, n.script)
		if err != nil {
			return nil, scriptFailed(n.script, err)
		}
		return script, nil
	}
	return nil, nil
}

// scriptFailed says that the script of that name cannot be read.
func scriptFailed(name string, err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		err = file.Err
	}
	return event.Fail(event.ScriptFailed{Name: name, Err: err})
}

// equip gives the session what only the shell's own dialect uses.
func (p *program) equip(cfg *session.Config, stdout, stderr *os.File) {
	n := &p.options
	cfg.Source, cfg.Progress = p.source, p.progress(stdout, stderr)
	cfg.Reports = report.Pages(about)
	cfg.About, cfg.Topics, cfg.Dialects = about, topics.All(), dialect.Names()
	cfg.NoBytes, cfg.BackingDevices, cfg.Timeless = n.json, n.backingDevices, n.timeless
	cfg.Style = p.settings.style
	if p.pager != nil && !p.settings.noPager {
		cfg.Page = p.pager.Begin
	}
	cfg.LogFolder = repl.StatePath(os.Getenv, "undo")
	if !n.json {
		cfg.Screen = func() (session.Screen, error) { return p.openScreen(stdout) }
	}
	cfg.Announce = n.json || p.terminal != nil
	if p.terminal != nil && !n.yes && !p.settings.noConfirm {
		cfg.Confirm = p.confirm
	}
	if len(p.options.commands) > 0 || len(n.words) > 0 || n.script != "" && n.script != "-" {
		cfg.Stdin = p.stdin
	}
}

// greet tells the person at a prompt what to begin with.
func (p *program) greet() {
	if !p.native() || p.terminal == nil {
		return
	}
	for _, err := range p.wrongSettings {
		fmt.Fprintf(p.errs, "%s: %s\n", p.name, print.Visible(err.Error()))
	}
	if p.session.Image() == nil {
		p.printer.Print(event.Where{}, event.NothingOpen{})
	}
}

// nativePrompt names the image that commands go to.
func (p *program) nativePrompt() string {
	im := p.session.Image()
	if im == nil {
		return p.name + "> "
	}
	access := "rw"
	if im.Dev.ReadOnly() {
		access = "ro"
	}
	return fmt.Sprintf("%s %s> ", im.Name, access)
}

// first is what has to be known of the words before anything is said.
type first struct {
	dialect string
	json    bool
	colour  colour.When
	prompts bool   // no commands are named, unless the operand is one
	operand string // the only one
	// noSettings: the file of settings is not read.
	noSettings bool
}

// preview finds the options that decide how everything else is said. What is wrong with the words
// is found later.
func (p *program) preview(words []string) (f first) {
	as, _ := dialect.Find("native")
	early := &program{dialect: as}
	f.prompts = true
	operands, _ := early.each(append([]string{p.name}, words...), as.Program.Longs,
		func(letter byte, long, value string) error {
			if strings.IndexByte("chV", letter) >= 0 && letter != 0 {
				f.prompts = false
			}
			switch long {
			case "no-rc":
				f.noSettings = true
			case "script", "completion", "licenses":
				f.prompts = false
			case "dialect":
				f.dialect = value
			case "json":
				f.json = true
			case "color":
				f.colour = colour.When(value)
			}
			return nil
		})
	f.prompts = f.prompts && !f.json && len(operands) < 2
	if len(operands) == 1 {
		f.operand = operands[0]
	}
	return f
}

// speak makes the printer.
func (p *program) speak(f first, stdout, stderr *os.File) {
	if f.json && p.native() {
		p.options.json = true
		p.printer = &print.JSON{Out: p.out}
		return
	}
	p.printer = p.dialect.Printer(p.out, p.errs, p.name)
	if native, ok := p.printer.(*print.Native); ok {
		native.Look = look(cmp.Or(f.colour, p.settings.colour), stdout, stderr)
	}
}
