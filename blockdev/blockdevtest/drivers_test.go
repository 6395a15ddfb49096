package blockdevtest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	. "github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
)

// over gives options with values for the driver under test, and memory of the size asked for as its
// child.
func over(child string, kv ...any) func(testing.TB, int64) *driver.Options {
	return func(_ testing.TB, size int64) *driver.Options {
		var o driver.Options
		o.Set(child+".driver", MemoryDriver.Name)
		o.Set(child+".size", size)
		for i := 0; i < len(kv); i += 2 {
			o.Set(kv[i].(string), kv[i+1])
		}
		return &o
	}
}

func sized(_ testing.TB, size int64) *driver.Options {
	var o driver.Options
	o.Set("size", size)
	return &o
}

func sizedZeroes(t testing.TB, size int64) *driver.Options {
	o := sized(t, size)
	o.Set("read-zeroes", "on")
	return o
}

func onDisk(t testing.TB, size int64) *driver.Options {
	name := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	var o driver.Options
	o.Set("filename", name)
	return &o
}

// inFormat is an image of a format in a file.
func inFormat(format string) func(testing.TB, int64) *driver.Options {
	return func(t testing.TB, size int64) *driver.Options {
		name := filepath.Join(t.TempDir(), "image")
		err := blockdev.Create(context.Background(), name,
			blockdev.CreateConfig{Drivers: drivers.All(), Format: format, Size: size})
		if err != nil {
			t.Fatal(err)
		}
		var o driver.Options
		o.Set("file.driver", "file")
		o.Set("file.filename", name)
		return &o
	}
}

var (
	passes = Row{
		Read: Passed, Write: Passed, Zero: Passed, Discard: Passed, Status: Passed,
		Truncate: Passed, Flush: Passed,
	}
	stateless = Row{Zero: Refused, Discard: Refused, Truncate: Refused}
	// shifted is a row of a driver that decides itself how long it is.
	shifted = Row{
		Read: Passed, Write: Passed, Zero: Passed, Discard: Passed, Status: Passed,
		Truncate: Refused, Flush: Passed,
	}
)

// quick spares the disk the many syncs of the suite, which prove nothing to it.
var quick = driver.Mode{NoFlush: true}

// table says what every driver does with every kind of request. A driver may stand in it several
// times.
var table = []struct {
	driver, variant string
	subject         Subject
}{
	{"blkdebug", "", Subject{Options: over("image"), Child: "image", Row: passes}},
	{"blkdebug", "limits", Subject{Options: over("image", "align", "4096", "max-transfer", "65536", "max-write-zero", "65536", "opt-discard", "8192"), Child: "image", Row: passes}},
	{"copy-on-read", "", Subject{Options: over("file"), Child: "file", Row: passes}},
	{"faults", "", Subject{Options: over("file"), Child: "file", Row: passes}},
	{"file", "", Subject{Options: onDisk, Mode: quick, Persistent: true}},
	{"mem", "", Subject{Options: sized}},
	{"null-aio", "", Subject{Options: sizedZeroes, Volatile: true, Row: stateless}},
	{"null-co", "", Subject{Options: sized, Volatile: true, Row: stateless}},
	{"qcow2", "", Subject{Options: inFormat("qcow2"), Mode: quick, More: drivers.All(), Child: "file", Persistent: true}},
	{"raw", "", Subject{Options: over("file"), Child: "file", Row: passes}},
	{"raw", "window", Subject{Options: func(t testing.TB, size int64) *driver.Options {
		return over("file", "offset", int64(4096+512), "size", size)(t, size+8192)
	}, Child: "file", Row: shifted}},
	{"vdi", "", Subject{Options: inFormat("vdi"), Mode: quick, More: drivers.All(), Child: "file", Persistent: true, Row: stateless}},
}

// elsewhere are the drivers whose suite needs more than this package has.
var elsewhere = map[string]string{
	"compress":    "needs a format that compresses; package compress runs it on one",
	"host_cdrom":  "needs a drive; its refusals are tested in package hostdevice",
	"luks":        "needs a secret; package luks runs it",
	"host_device": "needs a loop device; package hostdevice runs it",
	"nbd":         "is what nbd-command opens once it has started a server",
	"nbd-command": "needs servers to start; package nbd runs it on several",
	"nbd-remote":  "is nbd-command once it has found out which server to start",
	"nbds":        "is nbd over TLS, which package nbd tests",
	"rbd":         "needs a cluster; package rbd starts one",
}

func TestDrivers(t *testing.T) {
	listed := map[string]bool{}
	for _, row := range table {
		listed[row.driver] = true
	}
	for _, d := range drivers.All() {
		if !listed[d.Name] && elsewhere[d.Name] == "" {
			t.Errorf("driver %s is not in the table", d.Name)
		}
		for _, row := range table {
			if row.driver != d.Name {
				continue
			}
			t.Run(row.driver+row.variant, func(t *testing.T) {
				s := row.subject
				s.Driver = d
				Run(t, s)
			})
		}
	}
}
