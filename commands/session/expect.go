package session

import (
	"strings"

	"github.com/blksh/blksh/commands/args"
)

// Operands are what the operands of a command may be, in their order, as far as their number is
// bounded.
func (r *Row) Operands() []args.Value {
	f := &Flags{command: r.Name, policy: &Policy{}}
	r.declare(f)
	var list []args.Value
	for _, s := range f.steps {
		if s.set != nil {
			list = append(list, s.value)
		}
	}
	return list
}

// Expects is what may stand behind the words that are typed after the name of the command.
func (r *Row) Expects(words []string) args.Value {
	options, operands := r.Options(), r.Operands()
	var value args.Value // of a flag that stands alone
	for _, w := range words {
		switch {
		case value.Name != "":
			value = args.Value{}
		case len(w) > 1 && w[0] == '-':
			value = awaited(options, w)
		case len(operands) > 0:
			operands = operands[1:]
		}
	}
	if value.Name == "" && len(operands) > 0 {
		return operands[0]
	}
	return value
}

// Innermost is the command that the words behind a line belong to, and the words behind its name:
// the first command, or one that stands as an operand of another. It is nil if there is none.
func (t *Table) Innermost(line []string) (*Row, []string) {
	for {
		if len(line) == 0 {
			return nil, nil
		}
		row, words := t.Find(line[0]), line[1:]
		if row == nil {
			return nil, nil
		}
		inner := row.command(words)
		if inner < 0 {
			return row, words
		}
		line = words[inner:]
	}
}

// command finds the first of the words that is an operand which names a command, -1 if none is.
func (r *Row) command(words []string) int {
	for i, w := range words {
		if r.Expects(words[:i]).Type == args.TypeCommand && !strings.HasPrefix(w, "-") {
			return i
		}
	}
	return -1
}

// awaited is the value that has to follow a word of flags, none if they are complete.
func awaited(options []Option, word string) args.Value {
	find := func(is func(o Option) bool) args.Value {
		for _, o := range options {
			if is(o) {
				return o.Value
			}
		}
		return args.Value{}
	}
	if long, ok := strings.CutPrefix(word, "--"); ok {
		return find(func(o Option) bool { return o.Long == long })
	}
	for i := 1; i < len(word); i++ {
		value := find(func(o Option) bool { return o.Letter == word[i] })
		switch {
		case value.Name == "":
		case i == len(word)-1:
			return value
		default:
			return args.Value{} // the rest of the word is the value
		}
	}
	return args.Value{}
}
