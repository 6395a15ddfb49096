// Package session is what a shell command is and what runs it.
//
// A line becomes words, the first word names a [Command] of the [Table], and the others become its
// flags and operands by the declarations of that command ([Flags]). What comes out is a function,
// which is run with the current [Image].
//
//	line ─▶ Policy.Split ─▶ Table.Find ─▶ counts, permission ─▶ Command.New(flags) ─▶ Run ─▶ events
//
// One goroutine, the one that calls [Session.Run], owns the session and the output. Requests run on
// goroutines of their own: Do starts one and waits, Go starts one and has its completion run later
// on the session goroutine.
//
// Commands are native: what they declare is the union of all dialects. A dialect is a table of
// [Spec], each an allow list of flags and checks, and a [Policy]. No command asks which dialect it
// runs in.
package session

import (
	"context"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/event"
)

// Needs says what must be there before a command looks at its words.
type Needs uint8

// What a command may need.
const (
	File    Needs = 1 << iota // an open image
	Write                     // permission to write it
	Resize                    // and to change its length
	Changes                   // what is stored, by other means than those that need permission
)

// Command is one command of the shell, whole: how it is called, what helps a person to call it, and
// what it does.
type Command struct {
	Name, Alias string
	Group       Group
	// Paged: what it says is read from its beginning, a screen at a time where it is long.
	Paged bool
	// Synonyms are further names, which the dialects of QEMU do not know.
	Synonyms []string
	// Elsewhere is what other programs call it, for advice: "NAME", or "NAME: CALL" where it is not
	// called here by its name alone.
	Elsewhere []string
	// Args is the synopsis of flags and operands, Short what it does in a few words, Long the text
	// of its help: lines that begin with a blank, an example first. Flags are not part of it, since
	// help lists them as they are declared.
	// Args need not name all flags, see [Row.Usage].
	Args, Short, Long string
	// More is further text of the help, computed when it is asked for; nil for none.
	More  func() string
	Needs Needs
	// Keyless: it can go to an encrypted image that is open without its key.
	Keyless bool
	// Reports: the command tells so much that a page about it can be wanted, by --report.
	Reports bool
	// New declares flags, operands and checks, in the order in which they are made, and returns
	// what to do once they are parsed. It is called for every use and touches nothing but f.
	New func(f *Flags) Run
}

// Run does what a command is for. The image is the one that was current when the line was read, nil
// if none was. An error that is an event.Failure is shown; Shown is one that was shown already.
type Run func(ctx context.Context, s *Session, im *Image) error

// Spec is how a dialect knows a command. What it does not name does not exist there.
type Spec struct {
	Name string // of the command
	// Args and Short are the synopsis. Args of one blank are an argument string that is there and
	// empty.
	Args, Short string
	// Min and Max bound the number of words after the name, flags included; a Max of -1 is no
	// bound.
	Min, Max int
	// Letters are the flags as a getopt string. Without any, words that begin with '-' are
	// operands.
	Letters string
	// Checks names operands and checks in the order in which this dialect makes them, separated by
	// blanks.
	Checks string
	// Narrow names the operands and flags whose numbers this dialect keeps in 32 bits.
	Narrow string
	// Loose: operands beyond the last are ignored, and a missing number is a bad one.
	Loose bool
	// UsageOf names another command whose synopsis is shown when this one is called in a wrong way.
	UsageOf string
}

// counts says whether there may be n words after the name.
func (s *Spec) counts(n int) bool { return n >= s.Min && (s.Max < 0 || n <= s.Max) }

// Specs is the commands that a dialect knows.
type Specs struct {
	// Newer is the dialect of which this is a patch, nil if there is none: Specs are added to it or
	// take the place of others, and the commands that Removed names are not known.
	Newer   *Specs
	Specs   []Spec
	Removed []string
}

// find is how the dialect knows a command, nil if it does not.
func (s *Specs) find(name string) *Spec {
	for ; s != nil; s = s.Newer {
		if i := slices.IndexFunc(s.Specs,
			func(spec Spec) bool { return spec.Name == name }); i >= 0 {
			return &s.Specs[i]
		}
		if slices.Contains(s.Removed, name) {
			return nil
		}
	}
	return nil
}

// Row is a command as the current dialect knows it.
type Row struct {
	Command
	spec  *Spec // nil: everything that the command declares
	order []int // of its operands and checks, once it was used
}

// declare makes what the command takes known to f.
func (r *Row) declare(f *Flags) Run {
	run := r.New(f)
	if r.Reports && r.spec == nil {
		run = reported(f, run)
	}
	return run
}

// Synopsis is the line that describes the command under the given name.
func (r *Row) Synopsis(name string) event.Synopsis {
	return event.Synopsis{Name: name, Args: r.Usage(), Short: r.Short}
}

// Table is the commands of a dialect.
type Table struct {
	commands []*Command
	specs    *Specs
	found    map[string]*Row // by each name that was asked for; a program asks for few
}

// NewTable makes the table of a dialect from all commands, sorted by name. Nil specs know
// everything.
func NewTable(commands []*Command, specs *Specs) *Table {
	return &Table{commands: commands, specs: specs, found: map[string]*Row{}}
}

// Find is the command of that name or alias, nil if there is none. Where everything is known, a
// synonym names a command too, and a '-' is as good as a '_'.
func (t *Table) Find(name string) *Row {
	if row := t.found[name]; row != nil || name == "" {
		return row
	}
	for _, c := range t.commands {
		switch {
		case name == c.Name:
			return t.add(c)
		case name == c.Alias, t.specs == nil && slices.Contains(c.Synonyms, name):
			if row := t.Find(c.Name); row != nil {
				t.found[name] = row
				return row
			}
		}
	}
	if t.specs == nil && strings.Contains(name, "-") {
		return t.Find(strings.ReplaceAll(name, "-", "_"))
	}
	return nil
}

// add makes the row of a command, nil if the dialect does not know it.
func (t *Table) add(c *Command) *Row {
	row := &Row{Command: *c}
	if t.specs != nil {
		if row.spec = t.specs.find(c.Name); row.spec == nil {
			return nil
		}
		row.Args, row.Short = row.spec.Args, row.spec.Short
	}
	t.found[c.Name] = row
	return row
}

// Rows are all commands, sorted by name.
func (t *Table) Rows() []*Row {
	var rows []*Row
	for _, c := range t.commands {
		if row := t.Find(c.Name); row != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

// names are those of all commands, with their aliases and synonyms.
func (t *Table) names() []string {
	var names []string
	for _, row := range t.Rows() {
		names = append(names, row.Name)
		if row.Alias != "" {
			names = append(names, row.Alias)
		}
		if t.specs == nil {
			names = append(names, row.Synonyms...)
		}
	}
	return names
}

// usageRow is the command whose synopsis is shown for r.
func (t *Table) usageRow(r *Row) *Row {
	if r.spec != nil && r.spec.UsageOf != "" {
		return t.Find(r.spec.UsageOf)
	}
	return r
}
