package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// askBash answers like bash at a Tab: the script, where it stands in the line, and what may follow.
// compopt works in a real completion only.
const askBash = `
compopt() { :; }
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_blksh
printf '%s\n' "${COMPREPLY[@]}"
`

// completionOf asks the program for the script of a shell, and returns the file it is in.
func completionOf(t *testing.T, shell string) string {
	t.Helper()
	got, err := asBlksh.run(run{args: []string{"--completion", shell}})
	if err != nil || got.status != "exit 0" || got.stdout == "" {
		t.Fatalf("--completion %s: %v, %v", shell, got, err)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(completionFiles[shell]))
	if err := os.WriteFile(file, []byte(got.stdout), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestBashCompletion asks the script for words in a real bash.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	script := completionOf(t, "bash")
	completions(t, "bash", func(line string) *exec.Cmd {
		return exec.Command("bash", "-uc", askBash, "bash", script, line)
	})
}

// TestFishCompletion asks fish itself.
func TestFishCompletion(t *testing.T) {
	t.Parallel()
	script := completionOf(t, "fish")
	completions(t, "fish", func(line string) *exec.Cmd {
		return exec.Command("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]",
			script, line)
	})
}

// callZsh runs the script in a zsh whose completion system does nothing but show what it is asked
// for.
const callZsh = `
_arguments() { print -rl -- "$@" }
_describe() { print -rl -- "${(P@)4}" }
_files() { }
words=(${=2}) CURRENT=$#words
source "$1"
if (( $# > 2 )); then _blksh_command; fi
`

// TestZshCompletion looks at what the script tells zsh.
func TestZshCompletion(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("zsh"); err != nil {
		without(t, "zsh")
	}
	script := completionOf(t, "zsh")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"blksh"}, "(-t --cache)--cache=[cache mode]:MODE:(none writeback writethrough directsync unsafe)"},
		{[]string{"blksh"}, "*:::command:_blksh_command"},
		{[]string{"r", "command"}, "readv:reads a number of bytes at a specified offset"},
		{[]string{"read -", "command"}, "(-v --verbose)-v[show the bytes]"},
		{[]string{"open -", "command"}, "*: :_files"},
		{[]string{"? s", "command"}, " status)"},
	} {
		args := append([]string{"-fc", callZsh, "zsh", script}, tt.args...)
		out, err := exec.Command("zsh", args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want+"\n") {
			t.Errorf("%q: %v, no %q in\n%s", tt.args, err, tt.want, out)
		}
	}
}

// completions asks a shell for what may follow several lines.
func completions(t *testing.T, shell string, ask func(line string) *exec.Cmd) {
	if _, err := exec.LookPath(shell); err != nil {
		without(t, shell)
	}
	for _, tt := range []struct{ line, has, lacks string }{
		{"blksh --f", "--format --force-share", "--read-only read"},
		{"blksh -f ", "raw qcow2", "read"},
		{"blksh --cache=w", "writeback writethrough", "none"},
		{"blksh -c wri", "write writev", "read"},
		{"blksh --completion ", "bash zsh fish", "read"},
		{"blksh docs_t", "docs_test.go", "read"},
		{"blksh -t none disk.img re", "read readv reopen", "write"},
		{"blksh mem:64M re", "read readv reopen", "write"},
		{"blksh disk.img -r re", "read readv", "write"},
		{"blksh disk.img read --pat", "--pattern", "--read-only --path"},
		{"blksh disk.img help si", "sigraise sizes", "read"},
		{"blksh disk.img open -t un", "unsafe", "none"},
		{"blksh disk.img read --style ", "qemu xxd c", "read or"},
		{"blksh disk.img source docs_t", "docs_test.go", "read"},
	} {
		out, err := ask(tt.line).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", tt.line, err, out)
		}
		var words []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			_, value, ok := strings.Cut(word, "=") // fish repeats the option
			if !ok {
				value = word
			}
			words = append(words, value)
		}
		for want := range strings.FieldsSeq(tt.has) {
			if !slices.Contains(words, want) {
				t.Errorf("%q: no %s in %q", tt.line, want, words)
			}
		}
		for bad := range strings.FieldsSeq(tt.lacks) {
			if slices.Contains(words, bad) {
				t.Errorf("%q: %s in %q", tt.line, bad, words)
			}
		}
	}
}
