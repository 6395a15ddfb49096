package manual

import (
	"bytes"
	"strings"

	"github.com/blksh/blksh/commands/session"
)

// fish makes the script for fish.
func (m *Manual) fish() []byte {
	var b bytes.Buffer
	lines(&b, fishMain, strings.Join(valued(m.Options), " "))
	m.fishFlags(&b, "not __blksh_in", m.Options)
	b.WriteByte('\n')
	for _, row := range m.Table.Rows() {
		lines(&b, "complete -c blksh -n '__blksh_after_image' -f -a %s -d %s\n", row.Name,
			fishQuote(row.Short))
	}
	for _, row := range m.Table.Rows() {
		condition := "__blksh_in " + strings.Join(called(row), " ")
		if row.Alias == "?" {
			condition = "__blksh_in " + row.Name
		}
		b.WriteByte('\n')
		lines(&b, "complete -c blksh -n %s%s\n", fishQuote(condition),
			fishArgument(m.operands(row), " -f"))
		m.fishFlags(&b, condition, row.Options())
	}
	return b.Bytes()
}

func (m *Manual) fishFlags(b *bytes.Buffer, condition string, options []session.Option) {
	for _, o := range options {
		spelled := ""
		if o.Letter != 0 {
			spelled += " -s " + string(rune(o.Letter))
		}
		if o.Long != "" {
			spelled += " -l " + o.Long
		}
		if o.Value.Name != "" {
			spelled += fishArgument(m.candidates(o.Value), " -x")
		}
		lines(b, "complete -c blksh -n %s%s -d %s\n", fishQuote(condition), spelled,
			fishQuote(o.Help))
	}
}

// fishArgument says what may be given: files, words, or nothing that is known, for which none is
// the flag.
func fishArgument(of candidates, none string) string {
	switch {
	case of.files:
		return " -r -F"
	case len(of.words) > 0:
		return none + " -a " + fishQuote(strings.Join(of.words, " "))
	}
	return none
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

const fishMain = origin + `
# The image, and the command behind it, as far as they are typed.
function __blksh_operands
    set -l value no
    set -l found
    for word in (commandline -opc)[2..-1]
        if test $value = yes
            set value no
            continue
        end
        switch $word
            case '--*=*'
            case %s
                set value yes
            case '-*'
            case '*'
                set -a found $word
                test (count $found) = 2; and break
        end
    end
    string join -- \n $found
end

function __blksh_after_image
    test (count (__blksh_operands)) = 1
end

# Whether the command is one of the words; without words, whether there is one.
function __blksh_in
    set -l found (__blksh_operands)
    test (count $found) = 2; or return 1
    test (count $argv) = 0; or contains -- $found[2] $argv
end

`
