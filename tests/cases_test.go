package tests

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// casesVariable names a folder of cases for TestCases: each is a folder with a script run.sh that
// gets the program in BLKSH and ends with status 0 if all is right, with 77 if it cannot tell here,
// and with another one if not.
const casesVariable = "BLKSH_CASES"

// notRun are cases that are left out, with the reason.
var notRun = map[string]string{}

// TestCases runs the cases of a folder, at any depth.
func TestCases(t *testing.T) {
	root := os.Getenv(casesVariable)
	if root == "" {
		t.Skipf("%s names no folder", casesVariable)
	}
	found := 0
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		dir := filepath.Dir(path)
		if err != nil || filepath.Base(path) != "run.sh" || dir == filepath.Clean(root) {
			return err
		}
		name, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		found++
		t.Run(name, func(t *testing.T) { runCase(t, name, path) })
		return nil
	})
	if err != nil || found == 0 {
		t.Fatalf("%s: %d cases, %v", root, found, err)
	}
}

func runCase(t *testing.T, name, script string) {
	t.Helper()
	if why := notRun[name]; why != "" {
		t.Skip(why)
	}
	ctx, cancel := context.WithDeadline(t.Context(), hangsAt())
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", script)
	cmd.Env = append(os.Environ(), "BLKSH="+asBlksh.path)
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &ended) && ended.ExitCode() == 77:
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		t.Skip(lines[len(lines)-1])
	default:
		t.Errorf("%v\n%s", err, said)
	}
}
