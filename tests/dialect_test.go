package tests

import (
	"strings"
	"testing"
)

// TestDialectChoice asks for a command that one dialect alone has: the name
// chooses, the environment overrules the name, and --dialect both. Under the
// name of qemu-io it must be written in full, so that no option of qemu-io is
// abbreviated otherwise.
func TestDialectChoice(t *testing.T) {
	t.Parallel()
	const (
		ancient = "multiwrite" // 2.4 only
		recent  = "aio_discard"
	)
	tests := []struct {
		name    string
		p       program
		option  string
		command string
		has     bool
	}{
		{"named qemu-io", asQemuIO, "", ancient, false},
		{"named qemu-io", asQemuIO, "", recent, true},
		{"environment", asQemuIO.as("qemu-2.4"), "", ancient, true},
		{"environment", asQemuIO.as("qemu-2.4"), "", recent, false},
		{"named blksh", asBlksh, "", ancient, true},
		{"named blksh", asBlksh, "", recent, true},
		{"blksh with option", asBlksh, "qemu-2.4", recent, false},
		{"blksh with environment", asBlksh.as("qemu-2.4"), "", recent, false},
		{"option over environment", asBlksh.as("qemu-2.4"), "qemu", ancient, false},
		{"option over environment", asBlksh.as("qemu-2.4"), "qemu", recent, true},
		{"back to native", asBlksh.as("qemu-2.4"), "native", recent, true},
		{"named qemu-io with option", asQemuIO, "qemu-2.4", ancient, true},
		{"named qemu-io with both", asQemuIO.as("qemu-7.2"), "qemu-2.4", ancient, true},
	}
	for _, tt := range tests {
		args := []string{"-c", "help " + tt.command}
		if tt.option != "" {
			args = append([]string{"--dialect", tt.option}, args...)
		}
		got, err := tt.p.run(run{dir: t.TempDir(), args: args})
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.HasPrefix(got.stdout, tt.command+" ") &&
			strings.Contains(got.stdout, " -- "); has != tt.has {
			t.Errorf("%s, --dialect %q: help %s: found %v, want %v; %s, %q, %q", tt.name, tt.option,
				tt.command, has, tt.has, got.status, got.stdout, got.stderr)
		}
	}
}

// TestUnknownDialect wants the name in the complaint.
func TestUnknownDialect(t *testing.T) {
	t.Parallel()
	for _, p := range []program{asBlksh, asBlksh.as("qemu-0.1")} {
		args := []string{"-c", "quit"}
		if len(p.env) == 0 {
			args = append(args, "--dialect", "qemu-0.1")
		}
		got, err := p.run(run{dir: t.TempDir(), args: args})
		if err != nil {
			t.Fatal(err)
		}
		if got.status == "exit 0" || !strings.Contains(got.stderr, "qemu-0.1") {
			t.Errorf("%q: %s, %q", p.env, got.status, got.stderr)
		}
	}
}
