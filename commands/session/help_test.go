package session

import (
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/args"
)

// described is a command with flags in every spelling.
func described() Command {
	return Command{
		Name: "copy", Group: GroupImages, Short: "copies",
		Long: " Example:\n copy 0 1k   with two words\n copy -vP 1 0 1k   with flags\n copy --all   everything\n copy 0..1k\n open a; copy\n\n More.\n",
		New: func(f *Flags) Run {
			var verbose, all, sure bool
			var pattern string
			f.Bool(&all, 0, "all", "everything")
			f.Bool(&verbose, 'v', "verbose", "say more")
			f.Text(&pattern, 'P', "pattern", args.Text("PATTERN"), "what to look for")
			f.Bool(&sure, 'V', "", "be sure")
			return nil
		},
	}
}

func helpOf(t *testing.T, specs *Specs) string {
	t.Helper()
	c := described()
	table := NewTable([]*Command{&c}, specs)
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	return table.Find("copy").Help()
}

func TestHelp(t *testing.T) {
	want := described().Long + `
 -P, --pattern PATTERN  what to look for
 -V                     be sure
 -v, --verbose          say more
 --all                  everything
`
	if got := helpOf(t, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestHelpOfDialect wants nothing to be told that the dialect does not have.
func TestHelpOfDialect(t *testing.T) {
	want := ` Example:
 copy 0 1k   with two words
 copy -vP 1 0 1k   with flags
 open a; copy

 -P PATTERN  what to look for
 -v          say more
`
	if got := helpOf(t,
		&Specs{Specs: []Spec{{
			Name: "copy", Short: "copies", Min: 2, Max: -1,
			Letters: "P:v",
		}}}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckHelp(t *testing.T) {
	for name, long := range map[string]string{
		"none":           "",
		"no example":     " It copies.\n",
		"no newline":     " Example:\n copy",
		"no blank":       " Example:\ncopy\n",
		"a flag by hand": " Example:\n copy\n\n -v  say more\n",
		"too wide":       " Example:\n " + strings.Repeat("x", widestHelp) + "\n",
	} {
		c := described()
		c.Long = long
		table := NewTable([]*Command{&c}, nil)
		if table.Check() == nil {
			t.Errorf("%s: %q passes", name, long)
		}
	}
}
