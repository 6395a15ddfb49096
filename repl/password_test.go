package repl

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
)

// TestSecretLine takes one line and nothing of the next.
func TestSecretLine(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // only read
	if _, err := w.WriteString("first\nsecond"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	line, err := ReadSecretLine(context.Background(), r)
	if err != nil || string(line) != "first" {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := ReadSecretLine(context.Background(), r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without a newline: %q, %v", line, err)
	}
}

// TestSecretLineEnds: whoever is asked no longer is not waited for.
func TestSecretLineEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ReadSecretLine(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
