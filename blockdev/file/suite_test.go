package file_test

import (
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
)

func TestSuite(t *testing.T) {
	for _, c := range []struct {
		name string
		mode driver.Mode
		aio  string
	}{
		{"buffered", driver.Mode{}, "threads"},
		{"direct", driver.Mode{Direct: true, NoFlush: true}, "threads"},
		{"direct native", driver.Mode{Direct: true, NoFlush: true}, "native"},
		{"io_uring", driver.Mode{NoFlush: true}, "io_uring"},
	} {
		t.Run(c.name, func(t *testing.T) {
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: file.Driver, Mode: c.mode, Persistent: true,
				Options: func(t testing.TB, size int64) *driver.Options {
					return options("filename", temp(t, size), "aio", c.aio)
				},
			})
		})
	}
}
