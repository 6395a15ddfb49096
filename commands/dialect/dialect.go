// Package dialect says how each QEMU version's shell, and our own, differs from the others.
//
// Commands are native: what they declare is the union of everything. A dialect of QEMU is an allow
// list over that: per command its synopsis, letters and checks. What it does not name does not
// exist there, so a new native thing touches no dialect. The newest is written out; each older one
// is a patch on the next newer. Besides, a dialect has a printer, a policy and the options of the
// program. Deleting a dialect is deleting its file and its line in All.
package dialect

import (
	"io"

	"github.com/blksh/blksh/commands"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

// Dialect is one way to speak.
type Dialect struct {
	Name string
	// Specs are the commands; nil is all of them with all they declare.
	Specs  *session.Specs
	Policy session.Policy
	// Printer makes the voice of a program of that name.
	Printer func(out *print.Stdout, errs io.Writer, program string) session.Printer
	Program Program
}

// Program is the options of the process.
type Program struct {
	// Letters and Longs are the options that exist.
	Letters string
	Longs   []args.LongOption
	// Version and Usage are what --version and --help print for a program of that name. A dialect
	// without a version line of its own says what the command version says.
	Version func(program string) string
	Usage   func(program string) string
	// TraceIsFile: the value of --trace is a file of event names.
	TraceIsFile bool
}

// named is a dialect that is not made yet. A program speaks one, and does not wait for the tables
// of the others.
type named struct {
	name string
	make func() Dialect
}

// dialects are all of them, the native one first.
func dialects() []named {
	return []named{
		{"native", native},
		{"qemu", qemu},
		{"qemu-7.2", qemu72},
		{"qemu-2.4", qemu24},
	}
}

// Names are the names of all dialects, the native one first.
func Names() []string {
	var names []string
	for _, d := range dialects() {
		names = append(names, d.name)
	}
	return names
}

// Find is the dialect of that name.
func Find(name string) (Dialect, bool) {
	for _, n := range dialects() {
		if n.name == name {
			d := n.make()
			d.Name = name
			return d, true
		}
	}
	return Dialect{}, false
}

// Table is the commands as the dialect knows them.
func (d Dialect) Table() *session.Table { return session.NewTable(commands.All(), d.Specs) }

// patternByte reads the patterns of the qemu dialects.
func patternByte(word string, _ session.ReadFile) (verify.Pattern, error) {
	b, err := args.PatternByte(word)
	return verify.Byte(b), err
}

// splitSpaces splits the lines of the qemu dialects. It cannot fail.
func splitSpaces(line string) ([]string, error) { return args.SplitSpaces(line), nil }
