package qcow2_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// keyRun is a change of key slots on a disk that records it: "other" comes into newSlot, then "s"
// goes from slot 0.
type keyRun struct {
	crashRun
	added, removed int    // how many events there were when that was told to be done
	data           []byte // what the guest reads at 0, whatever its key
}

// newSlot lies in both sectors of the header.
const newSlot = 6

func recordKeys(t *testing.T, deaf string) *keyRun {
	t.Helper()
	ctx := context.Background()
	path := newEncrypted(t, "luks", 1<<20)
	r := &keyRun{data: bytes.Repeat([]byte("data"), 1024)}
	d := openEncrypted(t, keyed(path))
	must(t, d.Write(ctx, driver.Vec{bytes.Clone(r.data)}, 0, 0))
	must(t, d.Close())
	contents, err := os.ReadFile(path)
	must(t, err)
	r.name = filepath.Base(t.Name())
	var o *driver.Options
	r.disk, o = newDisk(r.name, contents)
	r.disk.deaf = deaf
	t.Cleanup(func() { disks.Delete(r.name) })
	d, err = openKeys(o, "s", false)
	must(t, err)
	_, err = d.AddKey(ctx, driver.NewKey{
		Slot: newSlot, Passphrase: driver.Secret("another one"), Time: time.Millisecond,
	})
	must(t, err)
	r.added = len(r.disk.log)
	must(t, d.RemoveKey(ctx, 0))
	r.removed = len(r.disk.log)
	must(t, d.Close())
	return r
}

func openKeys(o *driver.Options, secret string, locked bool) (*blockdev.Device, error) {
	o = o.Clone()
	o.Set("encrypt.key-secret", secret)
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver, file.Driver}, Format: "qcow2",
		Options: o, Object: passphrases, Mode: driver.Mode{ReadOnly: locked, NoIO: locked},
	})
}

// judge says what is wrong with what a crash left, "" for nothing: a slot that is in use opens the
// image, and they are in use as was told.
func (r *keyRun) judge(image []byte, cut int) string {
	name := r.name + "-crashed"
	_, o := newDisk(name, image)
	defer disks.Delete(name)
	slots, err := slotsOf(o)
	if err != nil {
		return err.Error()
	}
	for slot, secret := range map[int]string{0: "s", newSlot: "other"} {
		err := r.read(o, secret)
		if opens := err == nil; opens != slots[slot].Active {
			return fmt.Sprintf("slot %d: in use %v, but %v", slot, slots[slot].Active, err)
		}
	}
	switch {
	case cut < r.added && !slots[0].Active:
		return "the first passphrase is gone before the second was told to be there"
	case cut >= r.added-1 && !slots[newSlot].Active:
		return "the new passphrase is lost"
	case cut >= r.removed-1 && slots[0].Active:
		return "the old passphrase is back"
	}
	return ""
}

// slotsOf lists the slots of an image whose metadata is sound.
func slotsOf(o *driver.Options) ([]driver.KeySlot, error) {
	ctx := context.Background()
	d, err := openKeys(o, "s", true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, err := d.Check(ctx, 0)
	if err == nil && found.Corruptions+found.CheckErrors > 0 {
		err = fmt.Errorf("check: %+v", found)
	}
	if err != nil {
		return nil, err
	}
	return d.KeySlots(ctx)
}

// read opens the image by a secret and looks at its data.
func (r *keyRun) read(o *driver.Options, secret string) error {
	d, err := openKeys(o, secret, false)
	if err != nil {
		return err
	}
	defer d.Close()
	got := make([]byte, len(r.data))
	err = d.Read(context.Background(), driver.Vec{got}, 0, 0)
	if err == nil && !bytes.Equal(got, r.data) {
		err = fmt.Errorf("the data is another")
	}
	return err
}

// TestKeyCrash cuts the power behind every write of a change of slots.
func TestKeyCrash(t *testing.T) {
	r := recordKeys(t, "")
	r.crashes(rand.New(rand.NewPCG(1, 1)), 4, func(image []byte, cut int) bool {
		if wrong := r.judge(image, cut); wrong != "" {
			t.Errorf("cut behind event %d of %d: %s", cut, len(r.disk.log), wrong)
		}
		return !t.Failed()
	})
}

// TestKeyCrashJudgement removes one barrier after the other: each must be missed.
func TestKeyCrashJudgement(t *testing.T) {
	for name, barrier := range map[string]string{
		"add":   "luksheader.(*header1).SetSlot",  // material before the slot is in use
		"state": "luksheader.(*header1).setState", // out of use before its material is wiped
	} {
		t.Run(name, func(t *testing.T) {
			r := recordKeys(t, barrier)
			sound := r.crashes(rand.New(rand.NewPCG(2, 2)), 20,
				func(image []byte, cut int) bool { return r.judge(image, cut) == "" })
			if sound {
				t.Errorf("nobody misses the flush in %s", barrier)
			}
		})
	}
}
