package commands_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/commands/session"
)

// TestBytesToStdout wants nothing but the bytes there, and none where the output is made of
// objects.
func TestBytesToStdout(t *testing.T) {
	name := raw(t, 40<<20)
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := newShell(t, "native")
	s.dialogue(t, "open -o driver=raw "+name)
	for _, r := range []struct {
		line    string
		off, n  int
		comment string
	}{
		{"read -o - 7 1000", 7, 1000, ""},
		{"read -o - 5..30M", 5, 30<<20 - 5, ""},
		{"read -o - -P 0 30M..31M", 30 << 20, 1 << 20, "!Pattern verification failed at offset 31457280, 1048576 bytes\n"},
		{"read -o -", 0, 40 << 20, ""},
	} {
		got := s.dialogue(t, r.line)
		want := string(content[r.off:][:r.n]) + r.comment
		if !strings.HasPrefix(got, want) || len(got) != len(want) && r.comment == "" {
			t.Errorf("%s: %d bytes, want %d", r.line, len(got), len(want))
		}
	}
	objects := newShell(t, "native", func(c *session.Config) { c.NoBytes = true })
	objects.dialogue(t, "open -o driver=raw "+raw(t, 1024))
	if got := objects.dialogue(t, "read -o - 0 1"); !strings.HasPrefix(got, "!") ||
		!strings.Contains(got, "--json") || objects.Status() != 2 {
		t.Errorf("%q, status %d", got, objects.Status())
	}
}

// TestSave writes a file that is sparse where the image is, and as long as what was read; what was
// in it before is gone.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	name, saved := filepath.Join(dir, "disk"), filepath.Join(dir, "saved")
	if err := os.WriteFile(name, bytes.Repeat([]byte{9}, 70000), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(saved, bytes.Repeat([]byte("old "), 20<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, "native")
	got := s.dialogue(t, "open -o driver=raw "+name, "read -q -o "+saved+" 65000 40M",
		"read -q -o /dev/null", "read -q -o "+dir, "read -q -o "+name)
	if want := "!qemu-io: " + dir + ": Is a directory\n!qemu-io: " + name +
		": is open in this shell; nothing was written to it\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b, err := os.ReadFile(saved)
	if err != nil || len(b) != 40<<20 || !bytes.Equal(b[:5000], bytes.Repeat([]byte{9}, 5000)) ||
		bytes.Count(b, []byte{0}) != 40<<20-5000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestLongWrites are checked by reading the file.
func TestLongWrites(t *testing.T) {
	dir := t.TempDir()
	name, source := filepath.Join(dir, "disk"), filepath.Join(dir, "source")
	text := bytes.Repeat([]byte("0123456789"), 100_000)
	if err := errors.Join(os.WriteFile(name, nil, 0o666), os.Truncate(name, 64<<20),
		os.WriteFile(source, text, 0o666)); err != nil {
		t.Fatal(err)
	}
	pipe, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		in.Write(text[:777_777])
		in.Close()
	}()
	s := newShell(t, "native", func(c *session.Config) { c.Stdin = pipe })
	got := s.dialogue(t, "open -o driver=raw "+name,
		"write -q -P random:5 1 30M", "read -q -P random:5 1 30M", "write -q -s "+source+" 100 20M",
		"write -q -s - 32M",
		"write -q -zu 40M..60M", "discard -q 50M 14M", "write -q -P 1 60M 5M",
		"write -qf -P 7 0 64M", "read -q -P 7", "write -q -s "+source+" 3 20M")
	if want := "!qemu-io: write: out of range: the image ends at 67108864 (64 MiB); at 62914560 there are 4194304 bytes left\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range b {
		want := byte(7)
		if i >= 3 && i < 3+20<<20 {
			want = text[(i-3)%len(text)]
		}
		if c != want {
			t.Fatalf("byte %d is %d, want %d", i, c, want)
		}
	}
}

// TestStdin writes what comes from a pipe, up to its end.
func TestStdin(t *testing.T) {
	name := raw(t, 1<<20)
	pipe, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 1000 {
			in.WriteString("one piece after the other\n")
		}
		in.Close()
	}()
	s := newShell(t, "native", func(c *session.Config) { c.Stdin = pipe })
	got := s.dialogue(t, "open -o driver=raw "+name, "write -s - 3")
	if !strings.HasPrefix(got, "wrote 26000/26000 bytes at offset 3\n") {
		t.Error(got)
	}
	b, err := os.ReadFile(name)
	if want := strings.Repeat("one piece after the other\n", 1000); err != nil ||
		string(b[3:26003]) != want || b[26003] != 26003%251 {
		t.Errorf("%q, %v", b[:80], err)
	}
}

// TestInterruptedSum says how far it came.
func TestInterruptedSum(t *testing.T) {
	name := raw(t, 1<<20)
	s := newShell(t, "native")
	s.dialogue(t, "open -o driver=raw "+name)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(session.ErrInterrupted)
	for _, line := range []string{
		"sum", "iszero", "read -P 1 0 1M", "map", "compare " + name,
		"find --text a", "write -P 1 0 512", "discard 0 1M",
	} {
		err := s.Run(ctx, session.Line{Text: line})
		if got := s.dialogue(t); !errors.Is(err, session.ErrInterrupted) ||
			!strings.HasPrefix(got, "!qemu-io: interrupted") {
			t.Errorf("%s: %v, %q", line, err, got)
		}
	}
	if s.Status() != 130 {
		t.Errorf("status %d", s.Status())
	}
}

// TestProgress counts every byte of the range, read or not, once.
func TestProgress(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(name, bytes.Repeat([]byte{1}, 20<<20), 0o666),
		os.Truncate(name, 80<<20)); err != nil {
		t.Fatal(err)
	}
	type work struct {
		what        string
		total, done int64
	}
	var all []*work
	counts := make(chan func(), 1000)
	s := newShell(t, "native", func(c *session.Config) {
		c.Progress = func(begun session.Work) (func(int64), func()) {
			w := &work{what: begun.What, total: begun.Total}
			all = append(all, w)
			return func(n int64) { counts <- func() { w.done += n } }, func() {
				for len(counts) > 0 {
					(<-counts)()
				}
			}
		}
	})
	s.dialogue(t, "open -o driver=raw "+name, "read -q -P 1 0 20M", "iszero", "sum", "compare disk",
		"write -q -P 1 0 20M", "write -q -zu 0 80M")
	if len(all) != 6 {
		t.Fatalf("%d works", len(all))
	}
	for _, w := range all {
		if w.done != w.total || w.total < 20<<20 {
			t.Errorf("%s: %d of %d", w.what, w.done, w.total)
		}
	}
}

// TestLocksAreGone: who closes an image after a long read has let go of it.
func TestLocksAreGone(t *testing.T) {
	name := raw(t, 20<<20)
	s := newShell(t, "native", func(c *session.Config) { c.Now = time.Now })
	for range 10 {
		if got := s.dialogue(t, "open -o driver=raw "+name, "iszero --first",
			"close"); strings.Contains(got, "lock") {
			t.Fatal(got)
		}
	}
}

// TestStandstillOfLongCommands: one of several requests stands at a breakpoint, and nobody will let
// it go.
func TestStandstillOfLongCommands(t *testing.T) {
	name := raw(t, 40<<20)
	for _, test := range []struct{ event, line, want string }{
		{"read_aio", "read -P 1 0 40M", "read failed"},
		{"read_aio", "sum", "sum failed"},
		{"pwritev", "write -q 0 40M", "write failed"},
	} {
		s := newShell(t, "native")
		s.dialogue(t,
			"open -o driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename="+
				name, "break "+test.event+" A")
		want := "blkdebug: Suspended request 'A'\n!qemu-io: " + test.want +
			": Resource deadlock avoided\n!  every request stands still, at a breakpoint or " +
			"behind one that does; 'resume TAG' lets it go\n"
		if got := s.dialogue(t, test.line); got != want {
			t.Errorf("%s: %q, want %q", test.line, got, want)
		}
		s.Finish(context.Background())
	}
}
