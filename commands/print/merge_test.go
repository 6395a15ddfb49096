package print

import (
	"testing"

	"github.com/blksh/blksh/commands/event"
)

// TestMerged is what merge says of a run, to the last blank.
func TestMerged(t *testing.T) {
	whole := event.Merged{
		Range: event.Range{Len: 1024}, Op: "sum", N: 2, Done: 2, Complete: true,
	}
	summed, disputed, damaged, found := whole, whole, whole, whole
	summed.Algorithm, summed.Sum = "tree-sha256", []byte{1, 2}
	disputed.Status = 1
	disputed.Overlaps = []event.MergeOverlap{
		{K: 2, Files: []string{"2", "3"}, Differ: true}, {K: 1, Files: []string{"1", "4"}},
	}
	damaged.Op, damaged.Wrong, damaged.RangeCount, damaged.Status = "iszero", 3, 2, 1
	damaged.Ranges = []event.MergeRange{{Off: 16, Len: 2}, {Off: 512, Len: 1, Class: "zeroed"}}
	found.Op, found.Matches, found.More = "find", 3, true
	for want, e := range map[string]event.Event{
		"sum by 2 shards: complete: 1 KiB (1024 bytes) at offset 0\n" +
			"  there is no sum of all: only those of sum --tree can be joined\n": whole,
		"sum by 2 shards: complete: 1 KiB (1024 bytes) at offset 0\n" +
			"0102  tree-sha256 of 1 KiB (1024 bytes) at offset 0\n": summed,
		"sum by 2 shards: 2 were done more than once: 1 KiB (1024 bytes) at offset 0\n" +
			"  shard 2 was done more than once, with other results: 2, 3\n" +
			"  shard 1 was done more than once: 1, 4\n": event.MergeFailed{Merged: disputed},
		"iszero by 2 shards: not zero: 1 KiB (1024 bytes) at offset 0\n" +
			"  3 bytes in 2 ranges\n" +
			"  16 (0x10): 2 bytes\n" +
			"  512 (0x200): 1 byte zeroed\n": event.MergeFailed{Merged: damaged},
		"find by 2 shards: complete: 1 KiB (1024 bytes) at offset 0\n" +
			"  3 matches, and perhaps more\n": found,
	} {
		if got := nativeOf(event.Where{}, e); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
}
