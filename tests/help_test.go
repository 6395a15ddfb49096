package tests

import (
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/manual"
)

// TestHelpList wants help without a word to name every command and every topic, and the dialects of QEMU to know no topic.
func TestHelpList(t *testing.T) {
	t.Parallel()
	m, err := manual.New()
	if err != nil {
		t.Fatal(err)
	}
	list := func(p program) []string {
		got, err := p.run(run{dir: t.TempDir(), args: []string{"-c", "help"}})
		if err != nil || got.status != "exit 0" {
			t.Fatal(got, err)
		}
		return strings.Split(strings.TrimSpace(got.stdout), "\n")
	}
	lines := list(asBlksh)
	for _, row := range m.Table.Rows() {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, row.Name+" ") }) {
			t.Errorf("help does not list %s", row.Name)
		}
	}
	last := lines[len(lines)-1]
	for _, topic := range m.Topics {
		if !strings.Contains(last, " "+topic.Name) {
			t.Errorf("help does not list the topic %s: %q", topic.Name, last)
		}
		if all := strings.Join(list(asQemuIO), "\n"); strings.Contains(all, topic.Short) {
			t.Errorf("qemu-io knows the topic %s", topic.Name)
		}
	}
}
