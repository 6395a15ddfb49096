package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/args"
)

// Check refuses what contradicts itself: commands that are not sorted, two of one name, a command
// without help, a spec that names what is not there.
func (t *Table) Check() error {
	if err := t.checkNames(); err != nil {
		return err
	}
	for _, row := range t.Rows() {
		if row.Name == "" || row.New == nil {
			return fmt.Errorf("command %q: name or New is missing", row.Name)
		}
		if row.Group.Title() == "" {
			return fmt.Errorf("command %s: its group is missing, such as GroupData", row.Name)
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

func (t *Table) checkNames() error {
	names := t.names()
	slices.Sort(names)
	if once := slices.Compact(slices.Clone(names)); len(once) < len(names) {
		return fmt.Errorf("two commands have one name among %s", strings.Join(names, ", "))
	}
	if !slices.IsSortedFunc(t.commands,
		func(a, b *Command) int { return cmp.Compare(a.Name, b.Name) }) {
		return errors.New("commands are not sorted by name")
	}
	for s := t.specs; s != nil; s = s.Newer {
		for _, spec := range s.Specs {
			if !slices.ContainsFunc(t.commands,
				func(c *Command) bool { return c.Name == spec.Name }) {
				return fmt.Errorf("there is no command %s for a spec", spec.Name)
			}
		}
	}
	return nil
}

func (r *Row) checkSpec(t *Table) error {
	f := &Flags{command: r.Name, policy: &Policy{}}
	r.declare(f)
	if err := f.checkDeclarations(); err != nil || r.spec == nil {
		return err
	}
	for _, c := range r.spec.Letters {
		if c != ':' && f.lookup(byte(c), "") == nil {
			return fmt.Errorf("there is no flag -%c", c)
		}
	}
	for _, name := range strings.Fields(r.spec.Checks) {
		if f.step(name) < 0 && !f.offersEach(name) {
			return fmt.Errorf("there is no operand or check called %s", name)
		}
	}
	if of := r.spec.UsageOf; of != "" && t.Find(of) == nil {
		return fmt.Errorf("there is no command %s", of)
	}
	return nil
}

// checkHelp looks at what is written for people.
func (r *Row) checkHelp() error {
	if r.Short == "" || !strings.HasPrefix(r.Long, " Example") || !strings.HasSuffix(r.Long, "\n") {
		return fmt.Errorf("the short help, an example or the last newline is missing")
	}
	for line := range strings.Lines(r.Text()) {
		switch {
		case line != "\n" && line[0] != ' ':
			return fmt.Errorf("the help line %q does not begin with a blank", line)
		case utf8.RuneCountInString(line) > widestHelp+1:
			return fmt.Errorf("the help line %q is longer than %d", line, widestHelp)
		case strings.HasPrefix(line, " -"):
			return fmt.Errorf(
				"the help line %q is about a flag; those are listed as they are declared", line)
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
		if err := o.check(); err != nil {
			return err
		}
	}
	for i, s := range f.steps {
		if f.step(s.name) != i {
			return fmt.Errorf("two operands or checks are called %s", s.name)
		}
	}
	return nil
}

// check refuses flags that do not say what they are.
func (o *option) check() error {
	types := typesCalled(o.value.Name)
	switch {
	case o.help == "" && o.value.Type != args.TypeEnum:
		return fmt.Errorf("flag -%c --%s has no help", o.letter, o.long)
	case types != nil && !slices.Contains(types, o.value.Type):
		return fmt.Errorf("the value of flag -%c --%s is called %s and is none", o.letter, o.long,
			o.value.Name)
	}
	return nil
}

// typesCalled are the types of values of such a name, nil if they may be of any.
func typesCalled(name string) []args.Type {
	switch name {
	case "DIR":
		return []args.Type{args.TypeDir}
	case "FILE":
		return []args.Type{args.TypeFile, args.TypeImageFile}
	case "FORMAT":
		return []args.Type{args.TypeFormat}
	case "PATTERN":
		return []args.Type{args.TypePattern, args.TypeText}
	}
	return nil
}
