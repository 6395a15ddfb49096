package nbd

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev/driver"
)

// TestCommandName has the words of a command come back out of its name.
func TestCommandName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.StringMatching(`[ -~ä\n]{0,9}`), 1, 4).Draw(t, "words")
		name := CommandName(want)
		var o driver.Options
		if probeCommand(name) == 0 {
			t.Fatalf("%q is no name of a command", name)
		}
		if err := Command.ParseName(name, &o); err != nil {
			t.Fatal(err)
		}
		got, err := commandWords(o.String("command"))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q became %s, and that %q, %v", want, name, got, err)
		}
	})
}
