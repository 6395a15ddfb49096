package tests

import (
	"os"
	"regexp"
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

// examples are the calls among the example lines of a help text.
func examples(text string, isCommand func(name string) bool) []string {
	var calls []string
	for line := range strings.Lines(text) {
		if line == "\n" {
			break
		}
		call, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if name, _, _ := strings.Cut(call, " "); isCommand(name) {
			calls = append(calls, call)
		}
	}
	return calls
}

// misused are the kinds of complaints about what was typed.
var misused = regexp.MustCompile(`"kind":"(usage|unknown_command|bad_count|bad_number|bad_value|conflict|unaligned|too_long)"`)

// nothing is a disk on which no example takes long.
const nothing = `json:{"driver": "null-co", "size": 4194304, "read-zeroes": true}`

// TestExamples types the examples of all help texts. They need not succeed, but they must be understood.
func TestExamples(t *testing.T) {
	t.Parallel()
	m, err := manual.New()
	if err != nil {
		t.Fatal(err)
	}
	isCommand := func(name string) bool {
		row := m.Table.Find(name)
		return row != nil && row.Name == name
	}
	try := func(of, text string, least int) {
		calls := examples(text, isCommand)
		if len(calls) < least {
			t.Errorf("%s: no example", of)
		}
		for _, call := range calls {
			t.Run(call, func(t *testing.T) {
				t.Parallel()
				if strings.HasPrefix(call, "bench") && os.Getenv("BLKSH_TIER") < "2" {
					t.Skip("takes seconds")
				}
				got, err := asBlksh.run(run{dir: t.TempDir(), args: []string{"--json", "-c", call, nothing}})
				if err != nil {
					t.Fatal(err)
				}
				if wrong := misused.FindString(got.stdout); wrong != "" || got.status == hangs {
					t.Errorf("%s: %s", got.status, got.stdout)
				}
			})
		}
	}
	for _, row := range m.Table.Rows() {
		try(row.Name, row.Long, 1)
	}
	for _, topic := range m.Topics {
		try(topic.Name, topic.Text, 0)
	}
}
