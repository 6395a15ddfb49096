package tests

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/tests/manual"
)

// TestHelpList wants help without a word to name every command and every topic, and the dialects of
// QEMU to know no topic.
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
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("a line of help is longer than 80: %q", line)
		}
	}
	lists := func(name string) bool {
		return slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, name+" ")
		})
	}
	for _, row := range m.Table.Rows() {
		name := "  " + row.Name
		if row.Alias != "" {
			name += ", " + row.Alias
		}
		if !lists(name) {
			t.Errorf("help does not list %s", row.Name)
		}
	}
	for _, section := range m.Table.Sections() {
		if !slices.Contains(lines, section.Group.Title()+":") {
			t.Errorf("help has no %s", section.Group.Title())
		}
	}
	for _, topic := range m.Topics {
		if !lists("  " + topic.Name) {
			t.Errorf("help does not list the topic %s", topic.Name)
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
var misused = regexp.MustCompile(
	`"kind":"(usage|unknown_command|bad_count|bad_number|bad_value|conflict|unaligned|too_long)"`)

// lacking is what is said where a call is right, and the disk of the examples has no such thing.
var lacking = regexp.MustCompile(
	"images of the format null-co have no|'null-co' does not support option amendment")

// nothing is a disk on which no example takes long.
const nothing = `json:{"driver": "null-co", "size": 4194304, "read-zeroes": true}`

// typeExample types a call and returns what it said. One that serves is interrupted when it does.
func typeExample(t *testing.T, call string) string {
	t.Helper()
	args := []string{"--json", "--object", "secret,id=s,data=a", "--object", "secret,id=new,data=b"}
	if strings.HasPrefix(call, "next") { // which goes on with a search
		args = append(args, "-c", "find --max 1 --hex 00")
	}
	cmd := exec.CommandContext(t.Context(), asBlksh.path, append(args, "-c", call, nothing)...)
	cmd.Env, cmd.Dir = asBlksh.environ(), t.TempDir()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), `"kind":"serving"`) {
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		}
	}
	_ = cmd.Wait() // examples need not succeed
	return said.String()
}

// TestExamples types the examples of all help texts. They need not succeed, but they must be
// understood, and what they say is as the schema has it.
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
				if strings.HasPrefix(call, "bench") && blockdevtest.Tier() < 2 {
					t.Skip("takes seconds")
				}
				said := typeExample(t, call)
				for line := range strings.Lines(said) {
					if misused.MatchString(line) && !lacking.MatchString(line) {
						t.Error(said)
					}
					if err := print.Validate([]byte(line)); err != nil {
						t.Errorf("%s%v", line, err)
					}
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
