package qcow2_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/qcow2"
	"github.com/blksh/blksh/blockdev/raw"
)

var testDrivers = []driver.Driver{file.Driver, mem.Driver, qcow2.Driver, raw.Driver}

// fataler is a testing.TB or a rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// needPeers skips a test that has qemu-img as its judge where there is none.
func needPeers(t *testing.T) {
	t.Helper()
	blockdevtest.Peer(t, "qemu-img", "qemu-utils")
}

// qemuImg runs qemu-img and returns what it prints. Without one the test is skipped.
func qemuImg(t fataler, args ...string) string {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		needPeers(test)
	}
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// options makes options of pairs of key and value.
func options(pairs ...any) *driver.Options {
	var o driver.Options
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return &o
}

// openImage opens an image for writing.
func openImage(t fataler, path string, o *driver.Options) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", Options: o,
		Mode:   driver.Mode{Unmap: true, NoFlush: true},
		Notify: func(n driver.Notice) { t.Logf("notice: %+v", n) },
	})
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	return d
}
