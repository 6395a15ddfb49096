package raw

import (
	"strconv"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

func TestSuite(t *testing.T) {
	const passed = blockdevtest.Passed
	const offset = 12345
	row := blockdevtest.Row{
		Read: passed, Write: passed, Zero: passed, Discard: passed,
		Status: passed, Truncate: passed, Flush: passed,
	}
	fixed := row
	fixed.Truncate = blockdevtest.Refused
	memory := func(size int64) *driver.Options {
		return options("file.driver", blockdevtest.MemoryDriver.Name, "file.size",
			strconv.FormatInt(size, 10))
	}
	for name, c := range map[string]struct {
		row     blockdevtest.Row
		options func(size int64) *driver.Options
	}{
		"whole": {row, memory},
		"offset": {row, func(size int64) *driver.Options {
			o := memory(offset + size)
			o.Set("offset", int64(offset))
			return o
		}},
		"window": {fixed, func(size int64) *driver.Options {
			o := memory(2*offset + size)
			o.Set("offset", int64(offset))
			o.Set("size", size)
			return o
		}},
	} {
		t.Run(name, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver:  Driver,
				Options: func(_ testing.TB, size int64) *driver.Options { return c.options(size) },
				Row:     c.row,
			})
		})
	}
}
