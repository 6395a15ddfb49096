package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/repl"
)

// look is how results and failures appear on two streams.
func look(when colour.When, stdout, stderr *os.File) print.Look {
	return print.Look{
		Out:  colour.For(when, repl.IsTerminal(stdout), os.Getenv),
		Err:  colour.For(when, repl.IsTerminal(stderr), os.Getenv),
		UTF8: speaksUTF8(os.Getenv),
		Width: func() int {
			if repl.IsTerminal(stdout) {
				return repl.Width(stdout)
			}
			n, err := strconv.Atoi(os.Getenv("COLUMNS"))
			if err != nil || n <= 0 {
				return usualWidth
			}
			return n
		},
	}
}

// usualWidth is the width of lines where there is no terminal, and COLUMNS does not say.
const usualWidth = 80

// speaksUTF8 says whether the locale is one of UTF-8: of the variables that name it the first that
// is set counts.
func speaksUTF8(getenv func(string) string) bool {
	locale := strings.ToUpper(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.HasSuffix(locale, ".UTF-8") || strings.HasSuffix(locale, ".UTF8")
}

// checkColour refuses what is no time to paint.
func checkColour(when string) error {
	if when == "" || slices.Contains(colour.Choices(), when) {
		return nil
	}
	return event.Conflictf("--color takes %s, not '%s'", args.Alternatives(colour.Choices()), when)
}
