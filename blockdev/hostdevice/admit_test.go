package hostdevice_test

import (
	"errors"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/hostdevice"
)

// Whoever opens a device is asked first, and again when it becomes writable; what was admitted is
// given back exactly once.
func TestAdmit(t *testing.T) {
	path := blockdevtest.Loop(t, 1<<20, 512, false)
	refused := errors.New("refused")
	var refuse bool
	var asked []bool
	held := 0
	d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{hostdevice.Driver}, Options: options(path), Format: "host_device",
		Mode: driver.Mode{ReadOnly: true},
		Admit: func(f driver.HostFile, write bool) (func(), error) {
			if f.Name != path {
				t.Errorf("asked about %s", f.Name)
			}
			asked = append(asked, write)
			if refuse {
				return nil, refused
			}
			held++
			return func() { held-- }, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	reopen := func(readOnly bool) error {
		var change driver.Options
		change.Set("read-only", readOnly)
		return d.Reopen(t.Context(), &change)
	}
	refuse = true
	if err := reopen(false); !errors.Is(err, refused) || !d.ReadOnly() {
		t.Errorf("reopen: %v, read-only %v", err, d.ReadOnly())
	}
	refuse = false
	for _, readOnly := range []bool{false, true} {
		if err := reopen(readOnly); err != nil || d.ReadOnly() != readOnly {
			t.Errorf("reopen: %v, read-only %v", err, d.ReadOnly())
		}
		if held != 1 {
			t.Errorf("admitted %d times at once", held)
		}
	}
	if err := d.Close(); err != nil || held != 0 {
		t.Errorf("close: %v, still admitted %d times", err, held)
	}
	if want := []bool{false, true, true, false}; len(asked) != len(want) || asked[1] != want[1] ||
		asked[3] != want[3] {
		t.Errorf("asked for writing: %v, want %v", asked, want)
	}
}
