//go:build !race

package fio

import (
	"testing"

	"github.com/blksh/blksh/verify"
)

// The race detector allocates.
func TestSumsAllocateNothing(t *testing.T) {
	s := NewHasher()
	p := make([]byte, 4096)
	verify.Random(1).Fill(p, 0)
	for i := range sums {
		k := &sums[i]
		dst := make([]byte, k.Size)
		if n := testing.AllocsPerRun(10, func() { k.Compute(s, dst, p) }); n > 0 {
			t.Errorf("%s: %v allocations", k.Name, n)
		}
	}
}
