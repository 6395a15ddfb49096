package commands_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// TestRoom: one request more waits until those that are under way leave room for its memory, and is
// refused if they cannot.
func TestRoom(t *testing.T) {
	const much = 1 << 40
	ctx := t.Context()
	s := newShell(t, "native", func(c *session.Config) { c.Step = false })
	s.dialogue(t,
		"open -o driver=raw,file.driver=blkdebug,file.image.driver=mem,file.image.size=1M")
	if s.Image() == nil {
		t.Fatal(s.errs.String())
	}
	if err := s.Room(ctx, much); err != nil {
		t.Errorf("nothing is under way: %v", err)
	}
	ended, leave := 0, make(chan struct{})
	s.Go(ctx, s.Image(), event.Range{}, time.Now(), much,
		func(context.Context) error { <-leave; return nil }, func(err error) error {
			ended++
			return err
		})
	close(leave)
	if err := s.Room(ctx, 1); err != nil || ended != 1 {
		t.Errorf("%v, %d requests ended", err, ended)
	}
	s.dialogue(t, "break read_aio A", "aio_read 0 512")
	if err := s.Room(ctx, much); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("behind a breakpoint: %v", err)
	}
	stopped, stop := context.WithCancelCause(ctx)
	stop(session.ErrInterrupted)
	if err := s.Room(stopped, much); !errors.Is(err, session.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	s.dialogue(t, "resume A", "aio_flush")
	if err := s.Room(ctx, much); err != nil {
		t.Errorf("all have ended: %v", err)
	}
}

// TestImagesByName opens and closes images beside each other.
func TestImagesByName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(name, nil, 0o666), os.Truncate(name, 1<<20)); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, "native")
	s.dialogue(t, "open -r -f raw -a first "+name, "open -a second mem:2M", "open -a third mem:3M",
		"close second", "open -a second mem:4M", "use third", "close first")
	if got := s.dialogue(t, "images"); strings.Count(got, "\n") != 2 ||
		!strings.Contains(got, "* third") || !strings.Contains(got, "second: raw, 4 MiB") {
		t.Errorf("%s", got)
	}
	if got := s.dialogue(t, "close", "length",
		"close"); got != "closed mem:3M\n4 MiB\nclosed mem:4M\n" || s.Image() != nil ||
		s.Status() != 0 {
		t.Errorf("%q, status %d", got, s.Status())
	}
}

// TestRunsInTheWay has a write meet another that is under way in its middle: what lies before that
// is written and no longer in anybody's way while it waits.
func TestRunsInTheWay(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk")
	s := newShell(t, "native")
	got := s.dialogue(t, "create -f qcow2 -o cluster_size=4k "+name+" 1M",
		"open -o driver=qcow2,file.driver=blkdebug,file.image.driver=file,file.image.filename="+name,
		"write -q 4k 4k", "break write_aio A", "aio_write -q -P 1 8k 4k", "aio_write -P 2 0 24k",
		"aio_write -P 3 0 4k", "length", "resume A", "aio_flush",
		"read -q -P 3 0 4k", "read -q -P 2 4k 20k", "check")
	third := strings.Index(got, "wrote 4096/4096 bytes at offset 0\n")
	resumed := strings.Index(got, "Resuming request 'A'\n")
	second := strings.Index(got, "wrote 24576/24576 bytes at offset 0\n")
	if third < 0 || third > resumed || resumed > second || s.Status() != 0 {
		t.Errorf("status %d\n%s", s.Status(), got)
	}
	s.Finish(t.Context())
}
