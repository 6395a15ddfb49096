package manual

import (
	"bytes"
	"strings"

	"github.com/blksh/blksh/commands/session"
)

// bash makes the script for bash. The line is split at blanks by the script itself, since bash
// would split at colons too, which names of images have.
func (m *Manual) bash() []byte {
	var b bytes.Buffer
	b.WriteString(origin + `
# What the value of the option $prev may be.
_blksh_value() {
	case $prev in
`)
	m.bashValues(&b, m.Options)
	b.WriteString(`	esac
}

# What may follow behind a command.
_blksh_operands() {
	case $1 in
`)
	for _, row := range m.Table.Rows() {
		m.bashCommand(&b, row)
	}
	lines(&b, bashMain, strings.Join(m.commands(), " "), alternatives(valued(m.Options)),
		strings.Join(allSpellings(m.Options), " "))
	return b.Bytes()
}

// bashCommand writes the arm of a command.
func (m *Manual) bashCommand(b *bytes.Buffer, row *session.Row) {
	of := m.operands(row)
	lines(b, "\t%s)\n\t\tflags='%s' words='%s' files=%s\n", alternatives(called(row)),
		strings.Join(allSpellings(row.Options()), " "), strings.Join(of.words, " "), yes(of.files))
	if len(valued(row.Options())) > 0 {
		b.WriteString("\t\tcase $prev in\n")
		m.bashValues(b, row.Options())
		b.WriteString("\t\tesac\n")
	}
	b.WriteString("\t\t;;\n")
}

// bashValues writes what the values of options may be.
func (m *Manual) bashValues(b *bytes.Buffer, options []session.Option) {
	for _, o := range options {
		if o.Value.Name != "" {
			of := m.candidates(o.Value)
			lines(b, "\t%s) flags= words='%s' files=%s ;;\n", alternatives(o.Spellings()),
				strings.Join(of.words, " "), yes(of.files))
		}
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

const bashMain = `	esac
	[[ $cur == -* && $flags ]] && words=$flags files=
}

_blksh() {
	local line=${COMP_LINE:0:COMP_POINT} typed cur prev i value= file= command= flags= words= files=
	read -ra typed <<<"$line"
	[[ $line == *[[:blank:]] ]] && typed+=('')
	cur=${typed[-1]} prev=${typed[-2]}
	for ((i = 1; i < ${#typed[@]} - 1; i++)); do
		case ${typed[i]} in
		--*=*) ;;
		%[2]s) ((++i == ${#typed[@]} - 1)) && value=yes ;;
		-*) ;;
		*)
			if [[ $file ]]; then
				command=${typed[i]}
				break
			fi
			file=${typed[i]}
			;;
		esac
	done
	if [[ $cur == --*=* ]]; then
		prev=${cur%%%%=*} cur=${cur#*=} value=yes
	fi
	if [[ $command ]]; then
		_blksh_operands "$command"
	elif [[ $value ]]; then
		_blksh_value
	elif [[ $cur == -* ]]; then
		words='%[3]s'
	elif [[ $file ]]; then
		words='%[1]s'
	else
		files=yes
	fi
	COMPREPLY=()
	if [[ $files ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -F _blksh blksh
`
