package blkdebug

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/raw"
)

// openOnFile opens raw over blkdebug over a file of 1 MiB. rule is the event and the kind of
// request that fail with EIO.
func openOnFile(t *testing.T, event, iotype string, through, noFlush bool) *blockdev.Device {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var o driver.Options
	for key, value := range map[string]string{
		"driver": "raw", "file.driver": "blkdebug", "file.image.driver": "file",
		"file.image.filename":       name,
		"file.inject-error.0.event": event, "file.inject-error.0.iotype": iotype,
		"file.inject-error.0.errno": "5",
	} {
		o.Set(key, value)
	}
	d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{Driver, raw.Driver, file.Driver}, Options: &o,
		WriteThrough: through,
		Mode:         driver.Mode{Unmap: true, NoFlush: noFlush},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // its flush may be meant to fail
	return d
}

// Which flush reaches the rules, and which fires the event, was measured with qemu-io 7.2.22: the
// one that stands in for FUA fires none, and none reaches anything in a device opened never to
// sync.
func TestWhichFlushFails(t *testing.T) {
	write := func(ctx context.Context, d *blockdev.Device, f driver.Flags) error {
		return d.Write(ctx, driver.Vec{make([]byte, 4096)}, 0, f)
	}
	flushed := func(ctx context.Context, d *blockdev.Device) error {
		return errors.Join(write(ctx, d, 0), d.Flush(ctx))
	}
	ways := map[string]func(context.Context, *blockdev.Device) error{
		"write": func(ctx context.Context, d *blockdev.Device) error { return write(ctx, d, 0) },
		"fua":   func(ctx context.Context, d *blockdev.Device) error { return write(ctx, d, driver.FUA) },
		"zero":  func(ctx context.Context, d *blockdev.Device) error { return d.Zero(ctx, 0, 65536, driver.FUA) },
		"flush": flushed,
	}
	for _, c := range []struct {
		name             string
		through, noFlush bool
		fail             []string
	}{
		{"writethrough", true, false, []string{"write", "fua", "zero", "flush"}},
		{"writeback", false, false, []string{"fua", "zero", "flush"}},
		{"unsafe", false, true, nil},
	} {
		for way, do := range ways {
			d := openOnFile(t, "none", "flush", c.through, c.noFlush)
			err := do(t.Context(), d)
			if slices.Contains(c.fail, way) != errors.Is(err, syscall.EIO) {
				t.Errorf("%s, %s: %v", c.name, way, err)
			}
		}
	}
	// The event activates a rule for writes, which fails the second write.
	for way, fails := range map[string]bool{"write": false, "fua": false, "flush": true} {
		d := openOnFile(t, "flush_to_disk", "write", false, false)
		if err := ways[way](t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if err := write(t.Context(), d, 0); fails != errors.Is(err, syscall.EIO) {
			t.Errorf("a write after %s: %v", way, err)
		}
	}
}

// A stack with rules is reopened; the rules stay, and cannot change. What cannot be flushed cannot
// be reopened.
func TestReopenWithRules(t *testing.T) {
	ctx := t.Context()
	reopen := func(d *blockdev.Device, key, value string) error {
		var o driver.Options
		o.Set(key, value)
		return d.Reopen(ctx, &o)
	}
	d := openOnFile(t, "none", "write", false, false)
	for _, c := range []struct{ key, value, want string }{
		{"file.inject-error.0.errno", "7", "Cannot change the option 'inject-error.0.errno'"},
		{"file.inject-error.1.errno", "5", "Cannot change the option 'inject-error.1.errno'"},
		{"file.align", "512", "Cannot change the option 'align'"},
	} {
		if err := reopen(d, c.key, c.value); err == nil || err.Error() != c.want {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
	}
	for _, readOnly := range []string{"on", "off"} {
		if err := reopen(d, "read-only", readOnly); err != nil {
			t.Errorf("read-only=%s: %v", readOnly, err)
		}
	}
	if err := d.Write(ctx, driver.Vec{{1}}, 0, 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("the rule is gone: %v", err)
	}

	d = openOnFile(t, "none", "flush", false, false)
	if err := d.Write(ctx, driver.Vec{{1}}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := reopen(d, "read-only", "on"); err == nil ||
		err.Error() != "Error flushing drive: Input/output error" || d.ReadOnly() {
		t.Errorf("reopened without a flush: %v", err)
	}
}

// What a filter leaves open of the limits is that of the image, so that a discard is cut where the
// clusters are.
func TestInheritedLimits(t *testing.T) {
	below := driver.Info{Limits: driver.Limits{
		DiscardAlign: 4096, MaxTransfer: 1 << 20,
		MemAlign: 512, LostOff: 7, LostEnd: 9,
	}}
	f := &filter{
		Filter: driver.Filter{Next: limited{info: below}},
		limits: driver.Limits{MaxDiscard: 16384},
	}
	got := f.Info()
	if got.DiscardAlign != 4096 || got.MaxTransfer != 1<<20 || got.MemAlign != 512 ||
		got.LostEnd != 9 || got.MaxDiscard != 16384 {
		t.Errorf("%+v", got.Limits)
	}
	f.limits = driver.Limits{DiscardAlign: 8192, MaxTransfer: 4096}
	if got := f.Info(); got.DiscardAlign != 8192 || got.MaxTransfer != 4096 {
		t.Errorf("those asked for: %+v", got.Limits)
	}
}

// limited is a node that only has limits.
type limited struct {
	driver.Leaf
	info driver.Info
}

func (l limited) Info() driver.Info { return l.info }
