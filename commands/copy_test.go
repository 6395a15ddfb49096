package commands_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/commands/session"
)

// qemuImg runs the reference, or skips the test.
func qemuImg(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(blockdevtest.Peer(t, "qemu-img", "qemu-utils"),
		args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in runs lines in a folder, and returns what they said and the status.
func in(t *testing.T, dir string, changes func(*session.Config),
	lines ...string,
) (said string, status int) {
	t.Helper()
	t.Chdir(dir)
	if changes == nil {
		changes = func(*session.Config) {}
	}
	s := newShell(t, "native", changes)
	said = s.dialogue(t, lines...)
	s.Finish(context.Background())
	s.Printer.Flush()
	return said + s.out.String() + s.errs.String(), s.Status()
}

// sources are images of 5 MiB with data, holes, zeroes and a partly filled last cluster.
var sources = map[string][]string{
	"raw":   {"create src.raw 5121k", "open src.raw"},
	"qcow2": {"create -o cluster_size=4k src.qcow2 5121k", "open src.qcow2"},
	"overlay": {
		"create base.raw 2M", "open base.raw", "write -q -P 7 0 2M", "close",
		"create -f qcow2 -b base.raw -F raw src.overlay 5121k", "open src.overlay",
		"write -q -z 512k 256k",
	},
	"subclusters": {"create -f qcow2 -o extended_l2=on src.subclusters 5121k", "open src.subclusters"},
	"vdi":         {"create src.vdi 5121k", "open src.vdi"},
}

var content = []string{
	"write -q -P 1 64k 100k", "write -q -P random:3 1M 700k",
	"write -q -P 9 5120k 1k", "write -q -P 5 3000k 512", "write -q -z 1200k 64k", "close",
}

// TestCopy: every format to every other, as qemu-img has it, and the same when it is copied once
// more.
func TestCopy(t *testing.T) {
	targets := []struct{ name, flags string }{
		{"new.raw", ""},
		{"new.qcow2", ""},
		{"new.vdi", ""},
		{"new.img", "-f qcow2 -o cluster_size=512,compat=0.10"},
		{"big.qcow2", "-o cluster_size=2M"},
		{"sub.qcow2", "-o extended_l2=on"},
		{"full.qcow2", "-o preallocation=metadata"},
		{"z.qcow2", "-c"},
		{"zstd.qcow2", "-c -o compression_type=zstd,cluster_size=4k"},
		{"bigz.qcow2", "-c -o cluster_size=2M"},
	}
	for source, made := range sources {
		t.Run(source, func(t *testing.T) {
			dir := t.TempDir()
			if said, status := in(t, dir, nil,
				append(append([]string{}, made...), content...)...); status != 0 {
				t.Fatal(said)
			}
			for i, to := range targets {
				if i%3 != 0 && source != "raw" {
					continue
				}
				src := "src." + source
				said, status := in(t, dir, nil,
					fmt.Sprintf("copy --verify %s %s %s", to.flags, src, to.name))
				if status != 0 || !strings.HasPrefix(said, "copied 5.001 MiB") ||
					!strings.Contains(said, "read back") {
					t.Errorf("%s: status %d, %s", to.name, status, said)
					continue
				}
				qemuImg(t, "compare", src, to.name)
				if strings.HasSuffix(to.name, "qcow2") {
					qemuImg(t, "check", to.name)
				}
				if source != "raw" {
					continue
				}
				again := "again-" + to.name
				if said, status := in(t, dir, nil,
					fmt.Sprintf("copy %s %s %s", to.flags, src, again)); status != 0 {
					t.Error(said)
				}
				if one, two := contents(t, to.name), contents(t, again); one != two &&
					!strings.HasSuffix(to.name, "vdi") {
					t.Errorf("%s: two copies differ", to.name)
				}
			}
			left, err := filepath.Glob(filepath.Join(dir, "*.part*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

// contents are those of a file.
func contents(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCopySparse: a copy takes no more space than that of qemu-img, and of a hole nothing is read.
func TestCopySparse(t *testing.T) {
	dir := t.TempDir()
	said, status := in(t, dir, nil, "create src.raw 8T", "open src.raw", "write -q -P 1 0 64k",
		"write -q -P 2 5T 64k", "close",
		"copy src.raw a.qcow2", "copy a.qcow2 b.raw", "compare b.raw a.qcow2")
	if status != 0 && !strings.Contains(said, "no file open") {
		t.Fatal(said)
	}
	for _, name := range []string{"a.qcow2", "b.raw"} {
		qemuImg(t, "compare", "src.raw", name)
	}
	qemuImg(t, "convert", "-O", "qcow2", "src.raw", "theirs.qcow2")
	ours, err := os.Stat("a.qcow2")
	theirs, err2 := os.Stat("theirs.qcow2")
	if err != nil || err2 != nil || ours.Size() > theirs.Size() {
		t.Errorf("%v, %v: %d bytes, theirs has %d", err, err2, ours.Size(), theirs.Size())
	}
}

// TestCopyInPlace writes into images that are there, of other lengths, whose contents show nowhere.
func TestCopyInPlace(t *testing.T) {
	dir := t.TempDir()
	said, status := in(t, dir, nil, append(append([]string{}, sources["raw"]...), content...)...)
	for _, name := range []string{"longer.raw", "longer.qcow2", "longer.vdi"} {
		more, bad := in(t, dir, nil, "create "+name+" 8M", "open "+name, "write -q -P 0x77 0 8M",
			"close",
			"copy -n --verify src.raw "+name, "open "+name, "read -q -P 0x77 5121k 3071k",
			"map --totals 0 5M")
		if bad != 0 || !strings.Contains(more, "behind them 3.001 MiB") &&
			!strings.Contains(more, "behind them 2.999 MiB") {
			t.Errorf("%s: status %d, %s", name, bad, more)
		}
	}
	more, bad := in(t, dir, nil, "create short.raw 1M", "copy -n src.raw short.raw")
	if bad != 2 || !strings.Contains(more, "too short") {
		t.Errorf("too short: %d, %s", bad, more)
	}
	more, bad = in(t, dir, nil, "create -o preallocation=metadata z.qcow2 5121k",
		"copy -c -n --verify src.raw z.qcow2")
	if bad != 0 || status != 0 {
		t.Errorf("%s%s", said, more)
	}
	qemuImg(t, "check", "z.qcow2")
	more, bad = in(t, dir, nil, "open -a two longer.raw", "copy -n src.raw two",
		"read -q -P 1 64k 100k", "copy -n two two")
	if bad != 2 || !strings.Contains(more, "copied") || !strings.Contains(more, "into itself") {
		t.Errorf("an open image: %d, %s", bad, more)
	}
}

// TestCopyRefused: nothing is overwritten that nobody asked for, and what is there stays.
func TestCopyRefused(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create src.raw 1M", "create there.qcow2 1M")
	if err := os.Link("src.raw", "linked.raw"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"begun.raw.part": "mine", "notes.json": "mine", "empty.raw.part": "mine",
		"empty.raw.part.json": "",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"copy src.raw there.qcow2":                   {2, "--force"},
		"copy src.raw src.raw":                       {2, "src.raw"},
		"copy src.raw -":                             {2, "read -o -"},
		"copy -n src.raw -":                          {2, "read -o -"},
		"copy --force src.raw src.raw":               {2, "open in this shell"},
		"copy --force src.raw linked.raw":            {2, "open in this shell"},
		"copy src.raw begun.raw":                     {2, "and no begun.raw.part.json says"},
		"copy --resume src.raw begun.raw":            {2, "--force"},
		"copy src.raw empty.raw":                     {2, "and no empty.raw.part.json says"},
		"copy --resume src.raw empty.raw":            {2, "--force"},
		"copy -f nothing src.raw new.raw":            {2, "Unknown file format"},
		"copy -o nothing=1 src.raw new.raw":          {2, "nothing"},
		"copy src.raw new.vmdk":                      {2, "vmdk"},
		"copy missing.raw new.raw":                   {3, "missing.raw"},
		"copy src.raw none/new.raw":                  {2, "No such file"},
		"copy --resume src.raw new.raw":              {2, "new.raw.part"},
		"copy -n --resume src.raw there.qcow2":       {2, "--journal"},
		"copy -n -o cluster_size=4k src.raw new.raw": {2, "-n"},
		"copy -c src.raw new.raw":                    {2, "not compressed"},
		"copy --journal notes.json src.raw new2.raw": {2, "no journal"},
		"copy src.raw":                               {2, "no file open"},
	} {
		said, status := in(t, dir, nil, line)
		if status != want.status || !strings.Contains(said, want.says) ||
			strings.Contains(said, "copied") {
			t.Errorf("%s: status %d, want %d: %s", line, status, want.status, said)
		}
		for _, name := range []string{"begun.raw.part", "notes.json", "empty.raw.part"} {
			if contents(t, name) != "mine" {
				t.Errorf("%s: %s was written", line, name)
			}
		}
		for _, name := range []string{"new.raw", "new.vmdk"} {
			if _, err := os.Stat(name); err == nil {
				t.Errorf("%s: %s is there", line, name)
			}
		}
		if left, _ := filepath.Glob("new*"); len(left) > 0 {
			t.Errorf("%s: %v are left", line, left)
		}
	}
	if said, status := in(t, dir, nil, "copy --force src.raw there.qcow2",
		"copy --force src.raw begun.raw"); status != 0 {
		t.Error(said)
	}
}

// TestWriteApart: what is open in the shell, under whatever name and for whatever reason, is not
// written to by a command that opens its target itself.
func TestWriteApart(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create base.raw 1M", "open -f raw base.raw", "write -q -P 1 0 1M", "close",
		"create -b base.raw -F raw top.qcow2", "create -b base.raw -F raw beside.qcow2",
		"create other.raw 1M")
	if err := os.Link("base.raw", "linked.raw"); err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{
		{"open top.qcow2", "write -q -P 2 0 64k", "copy -n -f raw base.raw"},
		{"open -r top.qcow2", "copy -n -f raw other.raw linked.raw"},
		{"copy -n -f raw top.qcow2 base.raw"},
		{"open -r -f raw base.raw", "commit beside.qcow2"},
		{"open top.qcow2", "commit beside.qcow2"},
	} {
		said, status := in(t, dir, nil, lines...)
		if status != 4 || !strings.Contains(said, "is open in this shell") {
			t.Errorf("%q: status %d, %s", lines, status, said)
		}
		said, status = in(t, dir, nil, "open -r -f raw base.raw", "read -q -P 1 0 1M")
		if status != 0 {
			t.Errorf("%q: it was written to: %s", lines, said)
		}
	}
}

// stopAt has the command be interrupted when it has done so many bytes.
func stopAt(at int64, stop context.CancelFunc) func(*session.Config) {
	return func(c *session.Config) {
		c.Progress = func(session.Work) (func(int64), func()) {
			done := int64(0)
			return func(n int64) {
				if done += n; done >= at {
					stop()
				}
			}, func() {}
		}
	}
}

// TestCopyResume: a copy that was stopped goes on, but only as the one that was begun.
func TestCopyResume(t *testing.T) {
	for _, flags := range []string{
		"-f raw", "-f qcow2", "-c -f qcow2",
		"-c -f qcow2 -o compat=0.10",
	} {
		t.Run(flags, func(t *testing.T) {
			dir := t.TempDir()
			in(t, dir, nil, "create src 40M", "open -f raw src", "write -q -P random:1 0 40M",
				"close")
			line := "copy --source-format raw " + flags + " src new"
			stop := func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := newShell(t, "native", stopAt(8<<20, cancel))
				_ = s.Run(ctx, session.Line{Text: line + " --force"})
				s.Printer.Flush()
				said := s.out.String() + s.errs.String()
				if strings.Contains(said, "copied") || !strings.Contains(said, "interrupted") ||
					!strings.Contains(said, "--resume") {
					t.Fatalf("%s", said)
				}
				if _, err := os.Stat("new"); err == nil {
					t.Fatal("there is an image that is not whole")
				}
			}
			stop()
			for _, other := range []string{
				"-f raw -o preallocation=off", "-f vdi",
				"-c -f qcow2 -o cluster_size=4k",
			} {
				said, status := in(t, dir, nil, "copy --source-format raw --resume "+other+
					" src new")
				if status != 2 || !strings.Contains(said, "other options") {
					t.Errorf("%s: %d, %s", other, status, said)
				}
			}
			said, status := in(t, dir, nil, line+" --resume")
			if status != 0 || !strings.Contains(said, "copied") {
				t.Fatalf("%d, %s", status, said)
			}
			qemuImg(t, "compare", "-f", "raw", "src", "new")
			if strings.Contains(flags, "qcow2") {
				qemuImg(t, "check", "new")
			}
			if err := os.Remove("new"); err != nil {
				t.Fatal(err)
			}
			stop()
			in(t, dir, nil, "open -f raw src", "write -q -P 3 1M 512", "close")
			if said, status := in(t, dir, nil, line+" --resume"); status != 1 ||
				!strings.Contains(said, "different at 1048576") {
				t.Errorf("a source that has changed: %d, %s", status, said)
			}
			if err := os.Rename("new.part", "other"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("new.part", []byte(contents(t, "other")), 0o600); err != nil {
				t.Fatal(err)
			}
			if said, status := in(t, dir, nil, line+" --resume"); status != 2 ||
				!strings.Contains(said, "another file") {
				t.Errorf("another file: %d, %s", status, said)
			}
			if contents(t, "new.part") != contents(t, "other") {
				t.Error("it was written to")
			}
		})
	}
}

// TestCopyFails: whatever fails, no success is said, and words tell what stands where.
func TestCopyFails(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create src.raw 4M", "open src.raw", "write -q -P 1 0 4M", "close",
		"create there.raw 4M", "create there.qcow2 4M")
	bad := func(name, driver, fault string) string {
		return `json:{"driver":"` + driver +
			`","file":{"driver":"blkdebug","inject-error":[{"event":"none",` + fault +
			`,"errno":28}],"image":{"driver":"file","filename":"` + name + `"}}}`
	}
	for _, c := range []struct{ from, to, kept string }{
		{bad("src.raw", "raw", `"iotype":"read","sector":4096`), "new.raw", "2 MiB"},
		{"src.raw", bad("there.raw", "raw", `"iotype":"write","sector":4096`), "2 MiB"},
		{"src.raw", bad("there.raw", "raw", `"iotype":"flush"`), "0 bytes"},
		{"src.raw", bad("there.qcow2", "qcow2", `"iotype":"flush"`), "0 bytes"},
	} {
		flags := ""
		if strings.HasPrefix(c.to, "json") {
			flags = "-n "
		}
		said, status := in(t, dir, nil, "copy "+flags+"'"+c.from+"' '"+c.to+"'")
		if status != 5 || strings.Contains(said, "copied") ||
			!strings.Contains(said, c.kept+" of 4 MiB are in ") ||
			!strings.Contains(said, "No space left") {
			t.Errorf("%s to %s: %d, %s", c.from, c.to, status, said)
		}
	}
}
