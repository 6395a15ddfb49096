package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// tourReport is the part of a report that depends on the machine.
var tourReport = regexp.MustCompile(`(?m)( ops; | in )\S+(?: sec \(.*\)|, \S+ \S+/s)$`)

// A step is a command of the tour and what it prints, both streams together.
type step struct {
	line          int // in the README
	command, want string
}

// tour reads the shell sessions between the README's marks. A command stands behind "$ ", its further lines behind "> ".
func tour(t *testing.T) []step {
	t.Helper()
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	inTour, inSession := false, false
	line := 0
	for text := range strings.Lines(string(readme)) {
		line++
		command, isCommand := strings.CutPrefix(text, "$ ")
		more, isMore := strings.CutPrefix(text, "> ")
		last := len(steps) - 1
		switch {
		case strings.HasPrefix(text, "<!-- tour:"):
			inTour = strings.HasPrefix(text, "<!-- tour:begin")
		case strings.HasPrefix(text, "```"):
			inSession = inTour && !inSession
		case !inSession:
		case isCommand:
			steps = append(steps, step{line: line, command: command})
		case isMore && steps[last].want == "":
			steps[last].command += more
		default:
			steps[last].want += text
		}
	}
	if len(steps) == 0 {
		t.Fatal("there is no tour")
	}
	return steps
}

// TestTour runs the README's tour as printed, in an empty directory.
func TestTour(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blank := func(s string) string { return tourReport.ReplaceAllString(s, "${1}<TIME>") }
	for _, s := range tour(t) {
		cmd := exec.Command("sh", "-c", s.command)
		cmd.Dir = dir
		cmd.Env = append(asBlksh.environ(), "PATH="+filepath.Dir(asBlksh.path)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s:%d: %s: %v", readmeFile, s.line, s.command, err)
		}
		if got := string(out); blank(got) != blank(s.want) {
			t.Errorf("%s:%d: %s\ngot\n%s\nwant\n%s", readmeFile, s.line, s.command, got, s.want)
		}
	}
}

// nobody is the user that owns nothing.
const nobody = 65534

// TestReadmeCommands runs the main job as README's first block has it, and as somebody without privileges if there are any to drop.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```\n")
	block, _, _ = strings.Cut(block, "```")
	main, tests, _ := strings.Cut(block, "\n")
	if tests != "go test ./...\n" {
		t.Errorf("the second command is %q", tests)
	}
	words, ok := strings.CutPrefix(main, "go run ./cmd/blksh ")
	if !ok {
		t.Fatalf("the first command is %q", main)
	}
	if testing.Short() {
		t.Skip("go run takes a while")
	}
	t.Run("go run", func(t *testing.T) {
		cmd := exec.Command("sh", "-c", main)
		cmd.Dir = ".."
		checkMainJob(t, cmd)
	})
	t.Run("unprivileged", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("whoever runs this has no privileges to drop")
		}
		dir, err := os.MkdirTemp("", "blksh-nobody.") // one that others may enter
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		program, err := os.ReadFile(asBlksh.path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "blksh"), program, 0o755)
		}
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", "./blksh "+words)
		cmd.Dir, cmd.Env = dir, asBlksh.environ()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		checkMainJob(t, cmd)
	})
}

// checkMainJob runs a command that writes a pattern and finds it again.
func checkMainJob(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for _, want := range []string{"wrote 1048576/1048576 bytes at offset 0\n", "read 1048576/1048576 bytes at offset 0\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
