// Package arena is memory for requests: page aligned, as O_DIRECT and rings want it, and cut into
// slots of one size. It never moves, and it is not the garbage collector's, so its address may be
// given to the kernel for longer than a call. Where there is much of it, it is in huge pages: to
// copy a long request into 4 KiB pages takes a tenth longer.
//
// The race detector cannot see into mapped memory; under it arenas come from the heap instead.
package arena

import (
	"fmt"
	"math"
	"os"
)

// Arena is a number of slots of memory.
type Arena struct {
	mem    []byte
	mapped []byte // what mem is a part of
	size   int    // of a slot
	stride int    // from one slot to the next: size, rounded up to pages
	slots  int
}

// New makes slots of size bytes each.
func New(slots, size int) (*Arena, error) {
	page := os.Getpagesize()
	if slots <= 0 || size <= 0 || size > math.MaxInt-page {
		return nil, fmt.Errorf("no arena of %d slots of %d bytes", slots, size)
	}
	stride := (size + page - 1) / page * page
	if slots > math.MaxInt/stride {
		return nil, fmt.Errorf("no arena of %d slots of %d bytes", slots, size)
	}
	mem, mapped, err := allocate(slots * stride)
	if err != nil {
		return nil, fmt.Errorf("arena of %d slots of %d bytes: %w", slots, size, err)
	}
	return &Arena{mem: mem, mapped: mapped, size: size, stride: stride, slots: slots}, nil
}

// Slots is the number of slots.
func (a *Arena) Slots() int { return a.slots }

// Slot is the memory of slot i, which starts at a page.
func (a *Arena) Slot(i int) []byte {
	at := i * a.stride
	return a.mem[at : at+a.size : at+a.size]
}

// Free gives the memory back. No slot may be used afterwards, by the kernel neither.
func (a *Arena) Free() {
	release(a.mapped)
	a.mem, a.mapped, a.slots = nil, nil, 0
}
