package job

import (
	"strings"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// A range is cut between the blocks that are in it, and a place within a block is known as such.
func TestCut(t *testing.T) {
	const size = 1 << 20
	for name, c := range map[string]struct {
		change func(*fio.Options)
		unit   int64
		err    string
		across map[int64]int64 // where the block begins that goes over an offset; 0 is none
	}{
		"blocks of 4 KiB": {func(*fio.Options) {}, 4096, "", map[int64]int64{4096: 0, 8192: 0, 12288: 0}},
		"blocks of 12 KiB": {
			func(o *fio.Options) { o.MinBlock = 12288 },
			12288, "",
			map[int64]int64{12288: 0, 16384: 12288, 65536: 61440},
		},
		"headers within": {
			func(o *fio.Options) { o.MinBlock, o.HeaderOffset, o.Verify = 16384, 600, "sha512" },
			16384, "",
			map[int64]int64{16384: 0, 16384 + 512: 16384, 20480: 16384},
		},
		"of several lengths": {
			func(o *fio.Options) { o.MinBlock, o.MaxBlock, o.BSUnaligned = 1000, 9000, true },
			0, "several lengths", nil,
		},
		"elsewhere": {
			func(o *fio.Options) { o.MinBlock, o.Offset = 12288, 4096 },
			0, "do not begin where the range does", nil,
		},
		"none": {func(o *fio.Options) { o.Size = 0 }, 0, "", map[int64]int64{4096: 0}},
	} {
		o := fio.DefaultOptions()
		o.Verify, o.Size = "crc32c", size-4096
		c.change(&o)
		img := make([]byte, size)
		if o.Size > 0 {
			copy(img, imageOf(t, o, noClock))
		}
		j := testJob(t, anyBlocks(size))
		unit, err := j.Unit(t.Context(), openMemory(img))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %d, %v", name, unit, err)
			}
			continue
		}
		if err != nil || unit != c.unit {
			t.Errorf("%s: blocks of %d bytes, not %d: %v", name, unit, c.unit, err)
		}
		for off, want := range c.across {
			at, n, err := j.Across(t.Context(), openMemory(img), off)
			if err != nil || at != want || (n > 0) != (want > 0) {
				t.Errorf("%s: over %d goes one of %d bytes at %d, not at %d: %v", name, off, n, at,
					want, err)
			}
		}
	}
}
