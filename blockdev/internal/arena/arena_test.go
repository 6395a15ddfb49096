package arena

import (
	"math"
	"os"
	"testing"
	"unsafe"
)

func TestSlots(t *testing.T) {
	a, err := New(3, 5000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Free()
	if a.Slots() != 3 {
		t.Errorf("%d slots", a.Slots())
	}
	for i := range 3 {
		s := a.Slot(i)
		if len(s) != 5000 || cap(s) != 5000 {
			t.Errorf("slot %d: %d bytes of %d", i, len(s), cap(s))
		}
		if at := uintptr(unsafe.Pointer(&s[0])); at%uintptr(os.Getpagesize()) != 0 {
			t.Errorf("slot %d is at %#x", i, at)
		}
		for j := range s {
			if s[j] != 0 {
				t.Fatalf("byte %d of slot %d belongs to another slot, or is not zero", j, i)
			}
			s[j] = byte(i + 1)
		}
	}
}

func TestTooMuch(t *testing.T) {
	for _, c := range []struct{ slots, size int }{
		{0, 1},
		{1, 0},
		{-1, 1},
		{1, math.MaxInt},
		{math.MaxInt / 2, 8192},
	} {
		if a, err := New(c.slots, c.size); err == nil {
			a.Free()
			t.Errorf("%d slots of %d bytes", c.slots, c.size)
		}
	}
}
