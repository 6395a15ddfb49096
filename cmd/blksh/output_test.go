package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
)

// TestStandard writes more than a pipe takes at once, and then to a pipe without a reader.
func TestStandard(t *testing.T) {
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	got := make(chan []byte)
	go func() {
		b := make([]byte, len(want))
		_, _ = io.ReadFull(from, b)
		got <- b
	}()
	out := &standard{program: &program{}, file: to}
	if n, err := out.Write(want); n != len(want) || err != nil {
		t.Errorf("%d bytes, %v; want %d", n, err, len(want))
	}
	if !bytes.Equal(<-got, want) {
		t.Error("the reader got something else")
	}
	from.Close()
	if n, err := out.Write(want); n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("without a reader: %d bytes, %v; want EPIPE", n, err)
	}
}
