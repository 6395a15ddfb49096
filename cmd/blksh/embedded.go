package main

import (
	"cmp"
	"embed"

	"github.com/blksh/blksh/commands/session"
)

// The files of this package that are no Go are computed: "go test ./tests -run Docs -update" writes
// them.

//go:embed licenses.txt
var licenses string

// completions holds scripts under the names under which they are installed.
//
//go:embed all:completions
var completions embed.FS

// completionFiles are those names, beside the shell that wants them.
var completionFiles = [...]struct{ shell, file string }{
	{"bash", "blksh.bash"},
	{"fish", "blksh.fish"},
	{"zsh", "_blksh"},
}

// completion prints the script for a shell.
func (p *program) completion(shell string) error {
	var shells []string
	for _, c := range completionFiles {
		if c.shell == shell {
			script, err := completions.ReadFile("completions/" + c.file)
			p.tell(string(script))
			return cmp.Or(err, error(exit(0)))
		}
		shells = append(shells, c.shell)
	}
	return session.BadChoice("--completion", shells, shell)
}
