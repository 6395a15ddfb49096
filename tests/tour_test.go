package tests

import (
	"fmt"
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

// A step is a command of a session and what it prints, both streams together.
type step struct {
	where         string // file and line
	command, want string
}

// sessions reads the shell sessions of a page that stand between two marks. A command stands behind
// "$ ", its further lines behind "> ".
func sessions(t *testing.T, path, mark string) []step {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	marked, inSession := false, false
	line := 0
	for text := range strings.Lines(string(page)) {
		line++
		command, isCommand := strings.CutPrefix(text, "$ ")
		more, isMore := strings.CutPrefix(text, "> ")
		last := len(steps) - 1
		switch {
		case strings.HasPrefix(text, "<!-- "+mark+":"):
			marked = strings.HasPrefix(text, "<!-- "+mark+":begin")
		case strings.HasPrefix(text, "```"):
			inSession = marked && !inSession
		case !inSession:
		case isCommand:
			steps = append(steps, step{where: fmt.Sprintf("%s:%d", path, line), command: command})
		case isMore && steps[last].want == "":
			steps[last].command += more
		default:
			steps[last].want += text
		}
	}
	if len(steps) == 0 {
		t.Fatalf("%s has no session between marks of %s", path, mark)
	}
	return steps
}

// inShell runs a command with the program on the path, and gives both streams together.
func inShell(dir, command string) (string, error) {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	cmd.Env = append(asBlksh.environ(), "PATH="+filepath.Dir(asBlksh.path)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// runSession wants each step to print what the page says.
func runSession(t *testing.T, dir string, steps []step) {
	t.Helper()
	blank := func(s string) string { return tourReport.ReplaceAllString(s, "${1}<TIME>") }
	for _, s := range steps {
		got, err := inShell(dir, s.command)
		if err != nil {
			t.Errorf("%s: %s: %v", s.where, s.command, err)
		}
		if blank(got) != blank(s.want) {
			t.Errorf("%s: %s\ngot\n%s\nwant\n%s", s.where, s.command, got, s.want)
		}
	}
}

// TestTour runs the sessions of README and of pages as printed, in an empty directory each.
func TestTour(t *testing.T) {
	t.Parallel()
	for _, path := range []string{readmeFile, pagesFolder + "tour.md", shardsPage} {
		runSession(t, t.TempDir(), sessions(t, path, "tour"))
	}
}

// TestReadmePeers damages a disk as README tells and has its three programs look at it. The words
// of fio are those of 3.33, which wrote the page's.
func TestReadmePeers(t *testing.T) {
	t.Parallel()
	for _, peer := range []struct{ program, debian string }{
		{"qemu-io", "qemu-utils"},
		{"fio", "fio"},
	} {
		if _, err := exec.LookPath(peer.program); err != nil {
			without(t, peer.debian)
		}
	}
	if version, err := exec.Command("fio", "--version").Output(); string(version) != "fio-3.33\n" {
		t.Skipf("another fio words it in another way: %s %v", version, err)
	}
	dir := t.TempDir()
	for _, command := range []string{
		"blksh -c 'create -f raw disk.img 8M'",
		"blksh -f raw -t writeback disk.img verify_write --fio 3.33",
		"blksh -f raw disk.img -c 'read -q -o block 1M 4k' -c 'write -q -s block 3M 4k' -c 'write -q -z 5M 4k'",
		`printf '\001' | blksh -f raw disk.img write -s - 6292956 1`,
	} {
		if out, err := inShell(dir, command); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	runSession(t, dir, sessions(t, readmeFile, "peers"))
}

// mostReadmeLines keep README a first page.
const mostReadmeLines = 150

// TestReadmeIsShort wants README to leave to the pages what is not for a first reader, and every
// page that it names to be there.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(readme), "\n"); n > mostReadmeLines {
		t.Errorf("README has %d lines, more than %d", n, mostReadmeLines)
	}
	links := regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(readme), -1)
	if len(links) == 0 {
		t.Error("README names no page")
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("..", link[1])); err != nil {
			t.Errorf("README names what is not there: %v", err)
		}
	}
}

// TestReadmeInstall installs as README says, below another folder and with the program that is
// tested: everything is where it belongs, on a machine where nobody made the folders before.
func TestReadmeInstall(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "## Install\n\n```\n")
	block, _, _ = strings.Cut(block, "```")
	build, block, _ := strings.Cut(block, "\n")
	if !strings.HasPrefix(build, "CGO_ENABLED=0 go build ./cmd/blksh ") {
		t.Errorf("the first line builds no program: %s", build)
	}
	dir, prefix := t.TempDir(), filepath.Join(t.TempDir(), "local")
	repository, err := filepath.Abs("..")
	if err == nil {
		err = os.Symlink(filepath.Join(repository, "cmd"), filepath.Join(dir, "cmd"))
	}
	if err != nil {
		t.Fatal(err)
	}
	copyProgram(t, dir)
	block = strings.ReplaceAll(strings.ReplaceAll(block, "sudo ", ""), "/usr/local", prefix)
	if out, err := inShell(dir, "set -e\n"+block); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, has := range map[string]string{
		"share/man/man1/blksh.1":                     ".TH",
		"share/bash-completion/completions/blksh":    "complete ",
		"share/zsh/site-functions/_blksh":            "#compdef blksh",
		"share/fish/vendor_completions.d/blksh.fish": "complete -c blksh",
	} {
		if b, err := os.ReadFile(filepath.Join(prefix, name)); !strings.Contains(string(b), has) {
			t.Errorf("%s has no %q: %v", name, has, err)
		}
	}
	out, err := exec.Command(filepath.Join(prefix, "bin", "qemu-io"), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "qemu-io version") {
		t.Errorf("qemu-io: %s, %v", out, err)
	}
}

// nobody is the user that owns nothing.
const nobody = 65534

// TestReadmeCommands runs the main job as README's first block has it, and as somebody without
// privileges if there are any to drop.
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
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		copyProgram(t, dir)
		cmd := exec.Command("sh", "-c", "./blksh "+words)
		cmd.Dir, cmd.Env = dir, asBlksh.environ()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: nobody,
			Gid: nobody,
		}}
		checkMainJob(t, cmd)
	})
}

// copyProgram puts blksh into a directory. A process of its own does: what another test starts may
// inherit a file that is written here, and what is open for writing cannot be run.
func copyProgram(t *testing.T, dir string) {
	t.Helper()
	must(t, exec.Command("cp", asBlksh.path, filepath.Join(dir, "blksh")))
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
	for _, want := range []string{
		"wrote 1048576/1048576 bytes at offset 0\n",
		"read 1048576/1048576 bytes at offset 0\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
