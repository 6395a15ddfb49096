//go:build !race

package main

import (
	"os"
	"testing"
)

// mostAllocations is how often the program may allocate from its first statement to the end of a
// command that does nothing.
const mostAllocations = 100

// TestStartAllocates wants nothing to be made that the command at hand does not need. With the race
// detector more things allocate.
func TestStartAllocates(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	start := func() {
		if status := run([]string{"blksh", "-c", "quit"}, null, null, null); status != 0 {
			t.Fatal("status", status)
		}
	}
	if n := testing.AllocsPerRun(20, start); n > mostAllocations {
		t.Errorf("%v allocations, want at most %d", n, mostAllocations)
	} else {
		t.Logf("%v allocations", n)
	}
}
