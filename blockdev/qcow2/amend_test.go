package qcow2_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// amendments are made one after the other.
var amendments = []string{
	"lazy_refcounts=on", "refcount_bits=64", "refcount_bits=2",
	"refcount_bits=16", "lazy_refcounts=off", "compat=0.10", "compat=1.1",
}

// TestCrashOfAmend stops after each write: the image has no corruption, and its guest sees what it
// saw.
func TestCrashOfAmend(t *testing.T) {
	for _, options := range []string{"cluster_size=4k", "cluster_size=64k"} {
		if wrong := crashAmend(t, options, ""); wrong != "" {
			t.Errorf("%s: %s", options, wrong)
		}
	}
	if wrong := crashAmend(t, "cluster_size=4k", "qcow2.(*widening).write"); wrong == "" {
		t.Error("without the flush of the new refcounts nothing went wrong")
	}
}

func crashAmend(t *testing.T, options, deaf string) (wrong string) {
	path := filepath.Join(t.TempDir(), "amend.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", options, path, "1M")
	d := openImage(t, path, &driver.Options{})
	data := bytes.Repeat([]byte{7}, 300<<10)
	if err := d.Write(t.Context(), driver.Vec{data}, 10<<10, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Zero(t.Context(), 64<<10, 128<<10, 0); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 1<<20)
	if err := d.Read(t.Context(), driver.Vec{want}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	contents, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	disk, o := newDisk(t.Name()+options+deaf, contents)
	disk.deaf = deaf
	d = openDisk(t, o, shape{})
	for _, a := range amendments {
		change, err := blockdev.ParseOptionString(a, "")
		if err == nil {
			err = d.Amend(t.Context(), change)
		}
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r := &crashRun{disk: disk}
	tries := blockdevtest.Rounds(5, 20)
	r.crashes(rand.New(rand.NewPCG(5, 6)), tries, func(image []byte, _ int) bool {
		wrong = judgeAmended(t, image, want)
		return wrong == ""
	})
	return wrong
}

// judgeAmended says what is wrong with what a crash left.
func judgeAmended(t *testing.T, image, want []byte) string {
	const name = "amend-crashed"
	_, o := newDisk(name, image)
	defer disks.Delete(name)
	d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2",
		Options: o,
	})
	if err != nil {
		return err.Error()
	}
	defer d.Close()
	res, err := d.Check(t.Context(), 0)
	if err != nil || res.Corruptions > 0 {
		return fmt.Sprintf("%v, %v", err, res.Messages)
	}
	got := make([]byte, len(want))
	if err := d.Read(t.Context(), driver.Vec{got}, 0, 0); err != nil || !bytes.Equal(got, want) {
		return fmt.Sprintf("the guest sees something else: %v", err)
	}
	return ""
}
