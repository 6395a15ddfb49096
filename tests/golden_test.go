package tests

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

var dialects = []string{"qemu", "qemu-7.2", "qemu-2.4"}

// TestGolden compares the program with every recorded answer. Most cases are in several dialects:
// tier 1 takes those with an odd number in one, and those with an even number in the next.
func TestGolden(t *testing.T) {
	t.Parallel()
	for d, dialect := range dialects {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			p := asQemuIO.as(dialect)
			f, err := newFilter(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range readScripts(t, dialect) {
				for _, c := range s.cases {
					digit := int(c.id[len(c.id)-1] - '0')
					if *programFlag == "" && !blockdevtest.Sampled(digit+d, 2) {
						continue
					}
					t.Run(c.id, func(t *testing.T) {
						t.Parallel()
						checkCase(t, p, f, dialect, c)
					})
				}
			}
		})
	}
}

func checkCase(t *testing.T, p program, f filter, dialect string, c *goldenCase) {
	got, err := p.answer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := settledDiff(dialect, c.id, c.want, f.apply(c, got)); diff != "" {
		t.Errorf("%s\n$ qemu-io %q <<< %q\n%s", c.label, c.args, c.stdin, diff)
	}
}

// answer runs a case in a fresh directory.
func (p program) answer(t *testing.T, c *goldenCase) (answer, error) {
	dir := workDir(t, c.images...)
	if c.before != nil {
		if _, err := p.run(run{dir: dir, args: c.before}); err != nil {
			return answer{}, err
		}
	}
	if c.hold != nil {
		release, err := p.hold(dir, c.hold)
		if err != nil {
			return answer{}, err
		}
		defer release()
	}
	var a answer
	var err error
	if c.keys != nil {
		a, err = p.typed(t, dir, c.args, c.keys)
	} else {
		a, err = p.run(run{dir: dir, args: c.args, stdin: c.stdin, merged: c.merged})
	}
	for _, line := range c.want.after {
		name, _, _ := strings.Cut(line, ":")
		a.after = append(a.after, afterLine(dir, name))
	}
	return a, err
}

// hold starts another program that has an image open, and returns when it
// has. release ends it.
func (p program) hold(dir string, args []string) (release func(), err error) {
	cmd := exec.Command(p.path, args...)
	cmd.Env, cmd.Dir = p.environ(), dir
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release = func() {
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
	}
	// Locks of pages not yet touched may be taken with the first request, so
	// one is made; the second prompt says that it is done.
	io.WriteString(in, "write -q 0 512\n")
	r := bufio.NewReader(out)
	for range 2 {
		if _, err := r.ReadString('>'); err != nil {
			release()
			return nil, fmt.Errorf("holding %q: %w", args, err)
		}
	}
	return release, nil
}

// afterLine describes a file as scripts do.
func afterLine(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return name + ": absent"
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%s: %d bytes, sha256 %x", name, len(b), sum[:8])
}

// diff tells how got differs from a; it is empty if it does not.
func (a answer) diff(got answer) string {
	got.stdout = forgiveDelay(a.stdout, got)
	var b strings.Builder
	for _, part := range []struct{ name, want, got string }{
		{"status", a.status + "\n", got.status + "\n"},
		{"stdout", a.stdout, got.stdout},
		{"stderr", a.stderr, got.stderr},
		{"files", afterLines(a.after), afterLines(got.after)},
	} {
		b.Write(diff.Diff("want "+part.name, []byte(part.want), "got "+part.name, []byte(part.got)))
	}
	return b.String()
}
