package blkdebug

import (
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/raw"
)

func TestSuite(t *testing.T) {
	const passed = blockdevtest.Passed
	row := blockdevtest.Row{
		Read: passed, Write: passed, Zero: passed, Discard: passed,
		Status: passed, Truncate: passed, Flush: passed,
	}
	fixed := row
	fixed.Truncate = blockdevtest.Refused
	for name, c := range map[string]struct {
		row   blockdevtest.Row
		image string // where the memory is, below image.
		given map[string]any
	}{
		"plain": {row, "", nil},
		"narrow": {row, "", map[string]any{
			"align": "512", "max-transfer": "4k", "opt-write-zero": "1k", "max-write-zero": "8k",
			"opt-discard": "3k", "max-discard": "6k",
		}},
		// The length is fixed, since with such blocks it must stay a multiple of them.
		"4k": {fixed, "file.", map[string]any{"align": "4k", "image.driver": "raw"}},
	} {
		t.Run(name, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: Driver,
				More:   []driver.Driver{raw.Driver},
				Options: func(_ testing.TB, size int64) *driver.Options {
					var o driver.Options
					o.Set("image."+c.image+"driver", blockdevtest.MemoryDriver.Name)
					o.Set("image."+c.image+"size", size)
					if c.image != "" {
						o.Set("image.size", size)
					}
					for k, v := range c.given {
						o.Set(k, v)
					}
					return &o
				},
				Row: c.row,
			})
		})
	}
}
