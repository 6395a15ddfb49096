//go:build rbd

package rbd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/raw"
	"github.com/blksh/blksh/blockdev/rbd"
)

// TestRBD runs all on one cluster.
func TestRBD(t *testing.T) {
	ceph := blockdevtest.StartCeph(t)
	for name, test := range map[string]func(*testing.T, *blockdevtest.Ceph){
		"refused": testRefused, "keys": testKeys, "snapshot": testSnapshot, "status": testStatus,
		"clone": testClone, "create": testCreate, "resize": testResize, "cancel": testCancel,
		"odd names": testOddNames, "shrunk": testShrunk,
	} {
		t.Run(name, func(t *testing.T) { test(t, ceph) })
	}
	var images atomic.Int64
	t.Run("suite", func(t *testing.T) {
		blockdevtest.Run(t, blockdevtest.Subject{
			Driver: rbd.Driver,
			Options: func(t testing.TB, size int64) *driver.Options {
				name := fmt.Sprint("suite", images.Add(1))
				ceph.Image(t, name, size)
				var o driver.Options
				o.Set("pool", "rbd")
				o.Set("image", name)
				o.Set("conf", ceph.Conf)
				return &o
			},
			Persistent: true,
		})
	})
}

func config(readOnly bool) blockdev.OpenConfig {
	return blockdev.OpenConfig{
		Drivers: []driver.Driver{rbd.Driver, raw.Driver}, Format: "raw",
		Mode: driver.Mode{ReadOnly: readOnly, Unmap: true},
	}
}

func open(t *testing.T, name string, cfg blockdev.OpenConfig) *blockdev.Device {
	t.Helper()
	d, err := blockdev.Open(context.Background(), name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return d
}

// write fills n bytes at off with b, and flushes.
func write(t *testing.T, d *blockdev.Device, off, n int64, b byte) {
	t.Helper()
	ctx := context.Background()
	if err := d.Write(ctx, driver.Vec{bytes.Repeat([]byte{b}, int(n))}, off, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// expect wants n bytes at off to be b.
func expect(t *testing.T, d *blockdev.Device, off, n int64, b byte) {
	t.Helper()
	got := make([]byte, n)
	err := d.Read(context.Background(), driver.Vec{got}, off, 0)
	if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{b}, int(n))) {
		t.Errorf("%d bytes at %d are not all %#x: %v", n, off, b, err)
	}
}

func testRefused(t *testing.T, ceph *blockdevtest.Ceph) {
	conf := ":conf=" + ceph.Conf
	ceph.Image(t, "one", 1<<20)
	for name, want := range map[string]string{
		"rbd:rbd/nosuch" + conf:       "error reading header from nosuch: No such file or directory",
		"rbd:nopool/one" + conf:       "error opening pool nopool: No such file or directory",
		"rbd:rbd/one@never" + conf:    "error opening snapshot never: No such file or directory",
		"rbd:rbd/one:conf=/nowhere":   "error reading conf file /nowhere: No such file or directory",
		"rbd:rbd/one" + conf + ":a=b": "invalid conf option a: No such file or directory",
		"rbd:rbd":                     "'rbd:rbd' is not like rbd:pool/image[@snapshot][:option=value]",
	} {
		if _, err := blockdev.Open(context.Background(), name, config(true)); err == nil ||
			err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func testKeys(t *testing.T, ceph *blockdevtest.Ceph) {
	ceph.Image(t, "keyed", 1<<20)
	ceph.Run(t, "ceph", "auth", "get-or-create", "client.me",
		"mon", "profile rbd", "osd", "profile rbd")
	key := strings.TrimSpace(ceph.Run(t, "ceph", "auth", "print-key", "client.me"))
	name := "rbd:rbd/keyed:id=me:conf=" + ceph.Conf
	write(t, open(t, name+":key="+key, config(false)), 0, 4096, 1)
	cfg := config(false)
	cfg.Options = new(driver.Options)
	cfg.Options.Set("file.key-secret", "key")
	cfg.Object = func(string) any { return driver.Secret(key) }
	expect(t, open(t, name, cfg), 0, 4096, 1)
	cfg.Object = func(string) any { return driver.Secret("AQDm0mpnAAAAABAAxPSPFBOhC5Y5UiHiHgqUkQ==") }
	_, err := blockdev.Open(context.Background(), name, cfg)
	if err == nil || err.Error() != "error connecting: Permission denied" {
		t.Errorf("with a wrong key: %v", err)
	}
}

func testSnapshot(t *testing.T, ceph *blockdevtest.Ceph) {
	name := ceph.Image(t, "kept", 8<<20)
	d := open(t, name, config(false))
	write(t, d, 0, 8<<20, 1)
	ceph.Run(t, "rbd", "snap", "create", "rbd/kept@then")
	write(t, d, 0, 4<<20, 2)
	then := strings.Replace(name, "kept", "kept@then", 1)
	s := open(t, then, config(true))
	expect(t, s, 0, 8<<20, 1)
	expect(t, d, 0, 4<<20, 2)
	_, err := blockdev.Open(context.Background(), then, config(false))
	if err == nil || !strings.Contains(err.Error(), "with -r it is only read") {
		t.Errorf("for writing: %v", err)
	}
}

// testStatus wants to hear which objects there are, and where they end: Ceph tells of no holes in
// them.
func testStatus(t *testing.T, ceph *blockdevtest.Ceph) {
	d := open(t, ceph.Image(t, "sparse", 64<<20), config(false))
	write(t, d, 1<<20, 8192, 1)
	write(t, d, 7<<20, 2<<20, 1)
	write(t, d, 64<<20-512, 512, 1)
	var got []string
	var run driver.Extent
	for off := int64(0); off < d.Size(); {
		e, err := d.Status(context.Background(), off, d.Size()-off)
		if err != nil {
			t.Fatal(err)
		}
		// an answer may end before its run does
		if off = e.End(); run.Len > 0 && e.Data == run.Data {
			run.Len += e.Len
			got = got[:len(got)-1]
		} else {
			run = e
		}
		got = append(got, fmt.Sprintf("%d+%d %v %v", run.Off, run.Len, run.Data, run.Zero))
	}
	want := []string{
		"0+1056768 true false", "1056768+3137536 false true", "4194304+5242880 true false",
		"9437184+53477376 false true", "62914560+4194304 true false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// testClone looks through to what a clone stands on, also where it was written to.
func testClone(t *testing.T, ceph *blockdevtest.Ceph) {
	name := ceph.Image(t, "parent", 16<<20)
	write(t, open(t, name, config(false)), 5<<20, 1<<20, 1)
	ceph.Run(t, "rbd", "snap", "create", "rbd/parent@base")
	ceph.Run(t, "rbd", "snap", "protect", "rbd/parent@base")
	ceph.Run(t, "rbd", "clone", "rbd/parent@base", "rbd/child")
	d := open(t, strings.Replace(name, "parent", "child", 1), config(false))
	write(t, d, 9<<20, 1<<20, 2)
	expect(t, d, 5<<20, 1<<20, 1)
	expect(t, d, 9<<20, 1<<20, 2)
	expect(t, d, 0, 5<<20, 0)
	for off, data := range map[int64]bool{
		0: false, 5 << 20: true, 5<<20 + 4096: true, 9 << 20: true, 12 << 20: false,
	} {
		e, err := d.Status(context.Background(), off, d.Size()-off)
		if err != nil || e.Data != data {
			t.Errorf("at %d: %+v, %v", off, e, err)
		}
	}
}

func testCreate(t *testing.T, ceph *blockdevtest.Ceph) {
	ctx := context.Background()
	name := "rbd:rbd/made:conf=" + ceph.Conf
	cfg := blockdev.CreateConfig{
		Drivers: []driver.Driver{rbd.Driver, raw.Driver}, Format: "raw", Size: 3 << 20,
	}
	if err := blockdev.Create(ctx, name, cfg); err != nil {
		t.Fatal(err)
	}
	d := open(t, name, config(false))
	if d.Size() != 3<<20 {
		t.Errorf("%d bytes long", d.Size())
	}
	write(t, d, 0, 4096, 1)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	err := blockdev.Create(ctx, name, cfg)
	if !errors.Is(err, syscall.EEXIST) {
		t.Errorf("again: %v", err)
	}
	expect(t, open(t, name, config(true)), 0, 4096, 1)
	cfg.Force = true
	if err := blockdev.Create(ctx, name, cfg); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, name, config(true)), 0, 3<<20, 0)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := blockdev.Create(cancelled, strings.Replace(name, "made", "unmade", 1),
		cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if list := ceph.Run(t, "rbd", "ls", "rbd"); strings.Contains(list, ".part") ||
		strings.Contains(list, "unmade") {
		t.Errorf("left behind: %s", list)
	}
}

func testResize(t *testing.T, ceph *blockdevtest.Ceph) {
	ctx := context.Background()
	d := open(t, ceph.Image(t, "resized", 8<<20), config(false))
	write(t, d, 0, 8<<20, 1)
	for _, size := range []int64{5 << 20, 20 << 20} {
		if err := d.Truncate(ctx, size, driver.PreallocOff); err != nil {
			t.Fatal(err)
		}
		if d.Size() != size {
			t.Errorf("%d bytes long, want %d", d.Size(), size)
		}
	}
	expect(t, d, 0, 5<<20, 1)
	expect(t, d, 5<<20, 15<<20, 0)
	if err := d.Truncate(ctx, 30<<20, driver.PreallocFull); !errors.Is(err, syscall.ENOTSUP) {
		t.Errorf("preallocated: %v", err)
	}
}

// testCancel ends an opening that waits for a monitor that does not answer.
func testCancel(t *testing.T, ceph *blockdevtest.Ceph) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	name := fmt.Sprintf(`rbd:rbd/one:conf=%s:mon_host=127.0.0.1\:%d:client_mount_timeout=20`,
		ceph.Conf, blockdevtest.FreePort(t))
	if _, err := blockdev.Open(ctx, name, config(true)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func testOddNames(t *testing.T, ceph *blockdevtest.Ceph) {
	ceph.Run(t, "rbd", "namespace", "create", "rbd/room")
	ceph.Run(t, "rbd", "create", "--size", "1M", "rbd/room/it's, \"two\"")
	write(t, open(t, `rbd:rbd/room/it's, "two":conf=`+ceph.Conf, config(false)), 0, 512, 1)
	if _, err := blockdev.Open(context.Background(), `rbd:rbd/it's, "two":conf=`+ceph.Conf,
		config(true)); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("in no namespace: %v", err)
	}
}

// testShrunk reads what somebody else has cut off.
func testShrunk(t *testing.T, ceph *blockdevtest.Ceph) {
	d := open(t, ceph.Image(t, "shrunk", 8<<20), config(false)) // librbd watches what is written to
	ceph.Run(t, "rbd", "resize", "--allow-shrink", "--no-progress", "--size", "4M", "rbd/shrunk")
	p := make([]byte, 8192)
	ctx := context.Background()
	for !failsToRead(ctx, d, p, 6<<20) { // until librbd has heard of it
	}
	if !failsToRead(ctx, d, p, 4<<20-4096) {
		t.Error("reads across the end")
	}
	expect(t, d, 4<<20-8192, 8192, 0)
}

func failsToRead(ctx context.Context, d *blockdev.Device, p []byte, off int64) bool {
	return d.Read(ctx, driver.Vec{p}, off, 0) != nil
}
