package print

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
)

// full takes some bytes, and then no more until it is emptied.
type full struct {
	bytes.Buffer
	room int
}

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room-f.Len())
	f.Buffer.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// TestStdoutKeepsItsFirstError tells of it once, and writes nothing behind a gap.
func TestStdoutKeepsItsFirstError(t *testing.T) {
	disk := &full{room: 5000}
	told := 0
	s := NewStdout(disk, false)
	s.Failed = func(err error) {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("told of %v", err)
		}
		told++
	}
	for range 3 {
		if _, err := s.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
			t.Errorf("Write: %v", err)
		}
	}
	disk.room = 1 << 20
	if _, err := s.Write([]byte("late")); err != nil {
		t.Errorf("Write: %v", err)
	}
	s.Flush()
	if !errors.Is(s.Err(), syscall.ENOSPC) || told != 1 || disk.Len() != 5000 {
		t.Errorf("%v, told %d times, %d bytes", s.Err(), told, disk.Len())
	}
}

// TestStdoutAsInC tries each write where nobody wants to be told.
func TestStdoutAsInC(t *testing.T) {
	disk := &full{}
	s := NewStdout(disk, true)
	_, _ = s.Write([]byte("lost\n"))
	disk.room = 1 << 20
	_, _ = s.Write([]byte("there\n"))
	if got := disk.String(); !strings.HasPrefix(got, "there") || s.Err() == nil {
		t.Errorf("%q, %v", got, s.Err())
	}
}
