package commands_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/commands/dialect"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/report"
	"github.com/blksh/blksh/commands/session"
)

// shell is a session whose output is kept. Its clock goes a millisecond at each look, so that every
// report is the same in every run.
type shell struct {
	*session.Session
	out, errs bytes.Buffer
}

func newShell(t *testing.T, name string, changes ...func(*session.Config)) *shell {
	t.Helper()
	d, ok := dialect.Find(name)
	if !ok {
		t.Fatalf("no dialect %s", name)
	}
	table := d.Table()
	s := &shell{}
	var clock atomic.Int64 // requests in the background look at it too
	stdout := print.NewStdout(&s.out, false)
	voice := d.Printer(stdout, &s.errs, "qemu-io")
	cfg := session.Config{
		Table: table, Policy: d.Policy, Printer: voice, Drivers: drivers.All(), Step: true,
		Now:   func() time.Time { return time.UnixMilli(clock.Add(1)) },
		Raise: func(int) {}, Abort: func() {},
		About: func() event.Version { return event.Version{} },
	}
	cfg.Reports = report.Pages(cfg.About)
	for _, change := range changes {
		change(&cfg)
	}
	s.Session = session.New(cfg)
	return s
}

// dialogue runs lines and returns what they said: stdout, then stderr with each line behind "!".
func (s *shell) dialogue(t *testing.T, lines ...string) string {
	t.Helper()
	for _, line := range lines {
		_ = s.Run(context.Background(), session.Line{Text: line})
	}
	s.Printer.Flush()
	var b strings.Builder
	b.WriteString(s.out.String())
	for line := range strings.Lines(s.errs.String()) {
		b.WriteString("!" + line)
	}
	s.out.Reset()
	s.errs.Reset()
	return b.String()
}

// raw makes an image whose byte at n is n%251, and returns its name.
func raw(t *testing.T, size int) string {
	t.Helper()
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i % 251)
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, p, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// tick is the second line of the report of a request of 512 bytes.
const tick = "512 bytes, 1 ops; 00.00 sec (500 KiB/sec and 1000.0000 ops/sec)\n"

// check compares dialogues: each is lines separated by newlines, and what they say.
func check(t *testing.T, dialect string, tests []dialogue) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newShell(t, dialect)
			image := "null-co://"
			if test.size > 0 {
				image = raw(t, test.size)
				s.dialogue(t, "open -o driver=raw "+image)
			}
			lines := strings.Split(strings.TrimSpace(test.lines), "\n")
			got := strings.ReplaceAll(s.dialogue(t, lines...), image, "IMAGE")
			if got != test.want {
				t.Errorf("%s\n--- got\n%s--- want\n%s", test.lines, got, test.want)
			}
			if s.Status() != test.status {
				t.Errorf("status %d, want %d", s.Status(), test.status)
			}
			s.Finish(context.Background())
		})
	}
}

// dialogue is lines typed over a raw image of size bytes (0: none is open) and what comes of them.
type dialogue struct {
	name   string
	size   int
	lines  string
	want   string
	status int
}
