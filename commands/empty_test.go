package commands_test

import (
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/dialect"
)

// TestEmptyNames gives each flag and operand that names something an empty word, as a variable
// without a value leaves it. That is refused, and never taken for the flag or the operand that is
// not there.
func TestEmptyNames(t *testing.T) {
	const refused = "takes a value, not an empty one"
	dir := t.TempDir()
	native, _ := dialect.Find("native")
	for _, r := range native.Table().Rows() {
		for _, o := range r.Options() {
			flag := "--" + o.Long
			if o.Long == "" {
				flag = "-" + string(rune(o.Letter))
			}
			own := r.Name == "rebase" && o.Letter == 'b' || // an image that stands on nothing
				r.Name == "write" && o.Letter == 's' // a name that qemu-io knows, too
			if !o.Value.Type.Names() && o.Value.Type != args.TypeFormat || own {
				continue
			}
			line := r.Name + " " + flag + " ''"
			said, status := in(t, dir, nil, "open mem:1M", line)
			if status != 2 || !strings.Contains(said, refused) {
				t.Errorf("%s: status %d: %s", line, status, said)
			}
		}
		operands := r.Operands()
		for i, o := range operands {
			if !o.Type.Names() {
				continue
			}
			line := r.Name + strings.Repeat(" x", i) + " ''" +
				strings.Repeat(" x", len(operands)-i-1)
			if said, status := in(t, dir, nil, "open mem:1M", line); status != 2 {
				t.Errorf("%s: status %d: %s", line, status, said)
			}
		}
	}
}
