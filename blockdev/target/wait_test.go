package target

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

var errStopped = errors.New("stopped")

// fifo makes one that nobody has open.
func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestWaitEnds: neither the other end of a FIFO nor what should come through it is waited for when
// ctx has ended.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	name := fifo(t)
	if _, err := OpenInput(ctx, name); !errors.Is(err, errStopped) {
		t.Errorf("nobody writes: %v", err)
	}
	for what, open := range map[string]func(string, Rule) (*File, error){
		"open": Open, "replace": Replace, "create": Create,
	} {
		if _, err := open(name, Rule{Until: ctx}); !errors.Is(err, errStopped) {
			t.Errorf("%s, and nobody reads: %v", what, err)
		}
	}
	both, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	ctx, cancel = context.WithCancelCause(t.Context())
	in, err := OpenInput(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := Open(name, Rule{Until: ctx})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	again := InputOf(ctx, both)
	defer again.Close()
	go cancel(errStopped)
	for what, f := range map[string]io.Reader{"read": in, "read again": again} {
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := out.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
}

// TestInput: what is there is read, and as long as ctx lasts FIFOs are waited for.
func TestInput(t *testing.T) {
	t.Parallel()
	name := fifo(t)
	go func() {
		if f, err := Open(name, Rule{}); err == nil {
			_, _ = f.WriteString("text")
			_ = f.Commit()
		}
	}()
	regular := filepath.Join(t.TempDir(), "regular")
	if err := os.WriteFile(regular, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{name, regular} {
		in, err := OpenInput(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil || string(text) != "text" || in.Close() != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := OpenInput(t.Context(), name+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
