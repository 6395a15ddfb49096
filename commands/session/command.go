// Package session is what a shell command is and what runs it.
//
// A line becomes words, the first word names a [Command] of the [Table], and the others become its flags and operands
// by the declarations of that command ([Flags]). What comes out is a function, which is run with the current [Image].
//
//	line ─▶ Policy.Split ─▶ Table.Find ─▶ counts, permission ─▶ Command.New(flags) ─▶ Run ─▶ events
//
// One goroutine, the one that calls [Session.Run], owns the session and the output. Requests run on goroutines of
// their own: Do starts one and waits, Go starts one and has its completion run later on the session goroutine.
//
// Commands are native: what they declare is the union of all dialects. A dialect is a table of [Spec], each an
// allow list of flags and checks, and a [Policy]. No command asks which dialect it runs in.
package session

import (
	"cmp"
	"context"
	"fmt"
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

// Command is one command of the shell, whole: how it is called, what helps a person to call it, and what it does.
type Command struct {
	Name, Alias string
	// Args is the synopsis of flags and operands, Short what it does in a few words, Long the text of its help: lines
	// that begin with a blank, an example first. Flags are not part of it, since help lists them as they are declared.
	Args, Short, Long string
	// Min and Max bound the number of words after the name, flags included; a Max of -1 is no bound.
	Min, Max int
	Needs    Needs
	// New declares flags, operands and checks, in the order in which they are made, and returns what to do once they are
	// parsed. It is called for every use and touches nothing but f.
	New func(f *Flags) Run
}

// Run does what a command is for. The image is the one that was current when the line was read, nil if none was. An error that is
// an event.Failure is shown; Shown is one that was shown already.
type Run func(ctx context.Context, s *Session, im *Image) error

// Spec is how a dialect knows a command. What it does not name does not exist there.
type Spec struct {
	// Args and Short are the synopsis. Args of one blank are an argument string that is there and empty.
	Args, Short string
	Min, Max    int
	// Letters are the flags as a getopt string. Without any, words that begin with '-' are operands.
	Letters string
	// Checks names operands and checks in the order in which this dialect makes them, separated by blanks.
	Checks string
	// Narrow names the operands and flags whose numbers this dialect keeps in 32 bits.
	Narrow string
	// Loose: operands beyond the last are ignored, and a missing number is a bad one.
	Loose bool
	// UsageOf names another command whose synopsis is shown when this one is called in a wrong way.
	UsageOf string
}

// Row is a command as the current dialect knows it.
type Row struct {
	Command
	spec  *Spec // nil: everything that the command declares
	order []int // of its operands and checks, once it was used
}

// Synopsis is the line that describes the command under the given name.
func (r *Row) Synopsis(name string) event.Synopsis {
	return event.Synopsis{Name: name, Args: r.Args, Short: r.Short}
}

// Table is the commands of a dialect, sorted by name.
type Table struct {
	rows   []*Row
	byName map[string]*Row
}

// NewTable makes the table of a dialect from all commands. Nil specs know everything. It refuses what contradicts
// itself: two commands of one name, a command without help, a spec that names what is not there.
func NewTable(commands []Command, specs map[string]Spec) (*Table, error) {
	t := &Table{byName: map[string]*Row{}}
	found := 0
	for _, c := range commands {
		row := &Row{Command: c}
		if specs != nil {
			spec, ok := specs[c.Name]
			if !ok {
				continue
			}
			found++
			row.spec = &spec
			row.Args, row.Short, row.Min, row.Max = spec.Args, spec.Short, spec.Min, spec.Max
		}
		t.rows = append(t.rows, row)
	}
	slices.SortFunc(t.rows, func(a, b *Row) int { return cmp.Compare(a.Name, b.Name) })
	if specs != nil && found != len(specs) {
		return nil, fmt.Errorf("%d commands for %d specs", found, len(specs))
	}
	return t, t.index()
}

func (t *Table) index() error {
	for _, row := range t.rows {
		for _, name := range []string{row.Name, row.Alias} {
			if name == "" {
				continue
			}
			if t.byName[name] != nil {
				return fmt.Errorf("two commands are called %s", name)
			}
			t.byName[name] = row
		}
	}
	return nil
}

// Check looks at each row for what would only be found when the command is used. Tests call it.
func (t *Table) Check() error {
	for _, row := range t.rows {
		if row.Name == "" || row.New == nil {
			return fmt.Errorf("command %q: name or New is missing", row.Name)
		}
		if err := row.checkHelp(); err != nil {
			return fmt.Errorf("command %s: %w", row.Name, err)
		}
		if err := row.checkSpec(t); err != nil {
			return fmt.Errorf("command %s: %w", row.Name, err)
		}
	}
	return nil
}

func (r *Row) checkSpec(t *Table) error {
	f := &Flags{command: r.Name, policy: &Policy{}}
	r.New(f)
	if err := f.checkDeclarations(); err != nil || r.spec == nil {
		return err
	}
	for _, c := range r.spec.Letters {
		if c != ':' && f.option(byte(c)) == nil {
			return fmt.Errorf("there is no flag -%c", c)
		}
	}
	for _, name := range strings.Fields(r.spec.Checks) {
		if f.step(name) < 0 && !f.offersEach(name) {
			return fmt.Errorf("there is no operand or check called %s", name)
		}
	}
	if of := r.spec.UsageOf; of != "" && t.byName[of] == nil {
		return fmt.Errorf("there is no command %s", of)
	}
	return nil
}

// Find is the command of that name or alias, nil if there is none.
func (t *Table) Find(name string) *Row { return t.byName[name] }

// Rows are all commands, sorted by name.
func (t *Table) Rows() []*Row { return t.rows }

// usageRow is the command whose synopsis is shown for r.
func (t *Table) usageRow(r *Row) *Row {
	if r.spec != nil && r.spec.UsageOf != "" {
		return t.byName[r.spec.UsageOf]
	}
	return r
}
