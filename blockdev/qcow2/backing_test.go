package qcow2_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// backings are what an image stands on one after the other.
var backings = []driver.Link{
	{Name: "first.img", Format: "raw"},
	{Name: "second.qcow2", Format: "qcow2"},
	{},
	{Name: strings.Repeat("long/", 200) + "name", Format: "qcow2"},
	{Name: "short", Format: "raw"},
	{Name: "x", Format: "raw"},
	{},
	{Name: strings.Repeat("n", 1023), Format: "raw"},
	{Name: strings.Repeat("m", 1023), Format: "vmdk"},
}

// TestBackingCrash changes the name of the backing file, and stops after each write: the image
// names the old one or the new.
func TestBackingCrash(t *testing.T) {
	for _, options := range []string{
		"compat=1.1", "compat=0.10", "cluster_size=4k",
		"lazy_refcounts=on",
	} {
		if wrong := crashBacking(t, options, ""); wrong != "" {
			t.Errorf("%s: %s", options, wrong)
		}
	}
	if wrong := crashBacking(t, "compat=1.1", "qcow2.(*image).writeSync"); wrong == "" {
		t.Error("without its flushes nothing went wrong")
	}
}

// crashBacking says what a crash left that is neither, "" for nothing.
func crashBacking(t *testing.T, options, deaf string) (wrong string) {
	path := filepath.Join(t.TempDir(), "o.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-u", "-o", options+
		",backing_file=old.img,backing_fmt=raw", path, "1M")
	contents, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	disk, o := newDisk(t.Name()+options+deaf, contents)
	disk.deaf = deaf
	d := openAlone(t, o)
	begins := []int{0} // of the changes, in the log
	for _, l := range backings {
		if err := d.SetBackingFile(t.Context(), l); err != nil {
			t.Fatalf("%q: %v", l.Name, err)
		}
		begins = append(begins, len(disk.log))
	}
	changes := len(disk.log)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	disk.log = disk.log[:changes]
	all := append([]driver.Link{{Name: "old.img", Format: "raw"}}, backings...)
	r := &crashRun{disk: disk}
	r.crashes(rand.New(rand.NewPCG(1, 2)), 40, func(image []byte, cut int) bool {
		change := 0
		for cut >= begins[change+1] {
			change++
		}
		got, err := backingOf(image)
		if err != nil {
			wrong = err.Error()
		} else if !sameLink(got, all[change]) && !sameLink(got, all[change+1]) {
			wrong = "it names " + got.Name
		}
		return wrong == ""
	})
	return wrong
}

func sameLink(a, b driver.Link) bool { return a.Name == b.Name && a.Format == b.Format }

func openAlone(t *testing.T, o *driver.Options) *blockdev.Device {
	t.Helper()
	d, err := openWithoutBacking(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openWithoutBacking(o *driver.Options) (*blockdev.Device, error) {
	o = o.Clone()
	o.Set("backing", nil)
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2",
		Options: o,
	})
}

// backingOf is what an image stands on by its own word.
func backingOf(image []byte) (driver.Link, error) {
	const name = "backing-crashed"
	_, o := newDisk(name, image)
	defer disks.Delete(name)
	d, err := openWithoutBacking(o)
	if err != nil {
		return driver.Link{}, err
	}
	l, _ := d.BackingFile()
	return l, d.Close()
}

// TestBackingName: QEMU reads the names, and what else the header holds stays.
func TestBackingName(t *testing.T) {
	for _, created := range []string{
		"compat=1.1", "compat=0.10", "cluster_size=512",
		"cluster_size=2M,extended_l2=on",
	} {
		path := filepath.Join(t.TempDir(), "o.qcow2")
		qemuImg(t, "create", "-q", "-f", "qcow2", "-o", created, path, "1M")
		if !strings.Contains(created, "0.10") {
			qemuImg(t, "bitmap", "--add", path, "kept")
		}
		d := openAlone(t, options("file.driver", "file", "file.filename", path))
		for _, l := range backings {
			if strings.Contains(created, "512") && len(l.Name) > 100 {
				continue
			}
			if err := d.SetBackingFile(t.Context(), l); err != nil {
				t.Fatalf("%s, %q: %v", created, l.Name, err)
			}
			if err := d.Write(t.Context(), driver.Vec{make([]byte, 512)}, 0, 0); err != nil {
				t.Fatal(err)
			}
			if err := d.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			said := qemuImg(t, "info", "-U", path)
			if got := strings.Contains(said, "backing file: "+l.Name); got != (l.Name != "") {
				t.Errorf("%s, %q: %s", created, l.Name, said)
			}
			if got := strings.Contains(said,
				"name: kept"); got != !strings.Contains(created, "0.10") {
				t.Errorf("%s, %q: %s", created, l.Name, said)
			}
		}
		if err := d.SetBackingFile(t.Context(),
			driver.Link{Name: strings.Repeat("n", 1024), Format: "raw"}); err == nil {
			t.Error("a name that is too long")
		}
		if err := d.SetBackingFile(t.Context(), driver.Link{}); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		qemuImg(t, "check", path)
	}
}
