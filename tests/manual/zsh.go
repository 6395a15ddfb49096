package manual

import (
	"bytes"
	"strings"

	"github.com/blksh/blksh/commands/session"
)

// zsh makes the script for zsh, whose function _arguments does most of the work.
func (m *Manual) zsh() []byte {
	var b bytes.Buffer
	b.WriteString("#compdef blksh\n" + origin + `
_blksh_command() {
	if (( CURRENT == 1 )); then
		local -a commands=(
`)
	for _, row := range m.Table.Rows() {
		lines(&b, "\t\t\t%s\n", zshQuote(row.Name+":"+row.Short))
	}
	b.WriteString(`		)
		_describe -t commands command commands
		return
	fi
	case $words[1] in
`)
	for _, row := range m.Table.Rows() {
		lines(&b, "\t(%s)\n\t\t_arguments -s", strings.Join(zshPatterns(called(row)), "|"))
		m.zshFlags(&b, row.Options())
		lines(&b, " \\\n\t\t\t%s\n\t\t;;\n", zshQuote("*: :"+zshAction(m.operands(row))))
	}
	b.WriteString("\tesac\n}\n\n_blksh() {\n\t_arguments -s -A '-*'")
	m.zshFlags(&b, m.Options)
	b.WriteString(
		" \\\n\t\t\t'1:image:_files' \\\n\t\t\t'*:::command:_blksh_command'\n}\n\n_blksh \"$@\"\n")
	return b.Bytes()
}

// zshFlags writes options as _arguments wants them: those that it rules out, how it is written,
// what it does, what its value may be.
func (m *Manual) zshFlags(b *bytes.Buffer, options []session.Option) {
	for _, o := range options {
		words := o.Spellings()
		for _, w := range words {
			spec := "*" + w
			if o.Long != "cmd" && o.Long != "object" {
				spec = "(" + strings.Join(words, " ") + ")" + w
			}
			if o.Value.Name != "" && strings.HasPrefix(w, "--") {
				spec += "="
			}
			spec += "[" + strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(o.Help) + "]"
			if o.Value.Name != "" {
				spec += ":" + o.Value.Name + ":" + zshAction(m.candidates(o.Value))
			}
			lines(b, " \\\n\t\t\t%s", zshQuote(spec))
		}
	}
}

// zshAction says how values are found. A blank finds none.
func zshAction(of candidates) string {
	switch {
	case of.files:
		return "_files"
	case len(of.words) > 0:
		return "(" + strings.Join(of.words, " ") + ")"
	}
	return " "
}

func zshQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// zshPatterns makes patterns that match the words and nothing else.
func zshPatterns(words []string) []string {
	var patterns []string
	for _, w := range words {
		patterns = append(patterns, strings.ReplaceAll(w, "?", `\?`))
	}
	return patterns
}
