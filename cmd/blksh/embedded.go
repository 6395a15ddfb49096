package main

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The files of this package that are no Go are computed: "go test ./tests -run Docs -update" writes them.

//go:embed licenses.txt
var licenses string

// completions holds scripts under the names under which they are installed.
//
//go:embed completions
var completions embed.FS

// completionFiles are those names, by the shell that wants them.
var completionFiles = map[string]string{"bash": "blksh.bash", "fish": "blksh.fish", "zsh": "_blksh"}

// completion prints the script for a shell.
func (p *program) completion(shell string) error {
	script, err := completions.ReadFile("completions/" + completionFiles[shell])
	if err != nil {
		return wrongOptions(fmt.Sprintf("there is no completion for %s, only for %s", shell, strings.Join(slices.Sorted(maps.Keys(completionFiles)), ", ")))
	}
	p.tell(string(script))
	return exit(0)
}
