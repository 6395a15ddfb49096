package nbd_test

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// TestSuite runs the suite of all drivers over servers of others.
func TestSuite(t *testing.T) {
	for _, c := range []struct {
		name, program, pkg string
		command            func(t testing.TB, size int64) string
	}{
		{
			name: "nbdkit memory", program: "nbdkit", pkg: "nbdkit",
			command: func(_ testing.TB, size int64) string { return "nbdkit -f memory " + strconv.FormatInt(size, 10) },
		},
		{
			name: "qemu-nbd", program: "qemu-nbd", pkg: "qemu-utils",
			command: func(t testing.TB, size int64) string {
				return "qemu-nbd -t -e 0 -f raw --discard=unmap " + image(t, size)
			},
		},
		{
			name: "nbdkit blocksize-policy", program: "nbdkit", pkg: "nbdkit",
			command: func(_ testing.TB, size int64) string {
				return "nbdkit -f --filter=blocksize-policy memory " + strconv.FormatInt(size, 10) +
					" blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=64k blocksize-error-policy=error"
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			blockdevtest.Peer(t, c.program, c.pkg)
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: nbd.Command,
				Options: func(t testing.TB, size int64) *driver.Options {
					var o driver.Options
					o.Set("command", c.command(t, size))
					return &o
				},
				Row: blockdevtest.Row{Truncate: blockdevtest.Refused},
			})
		})
	}
}

// image is a raw image of size bytes, all zeroes.
func image(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command("truncate", "-s", strconv.FormatInt(size, 10),
		name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return name
}
