package nbd_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// TestCeph reaches images of a cluster by name.
func TestCeph(t *testing.T) {
	blockdevtest.Peer(t, "qemu-nbd", "qemu-utils")
	ceph := blockdevtest.StartCeph(t)
	t.Run("names", func(t *testing.T) { testCephNames(t, ceph) })
	t.Run("keys", func(t *testing.T) { testCephKeys(t, ceph) })
	var images atomic.Int64
	t.Run("suite", func(t *testing.T) {
		blockdevtest.Run(t, blockdevtest.Subject{
			Driver: nbd.Remote,
			Options: func(t testing.TB, size int64) *driver.Options {
				var o driver.Options
				o.Set("url", ceph.Image(t, fmt.Sprint("suite", images.Add(1)), size))
				return &o
			},
			Row:        blockdevtest.Row{Truncate: blockdevtest.Refused},
			Persistent: true,
		})
	})
}

func testCephNames(t *testing.T, ceph *blockdevtest.Ceph) {
	name := ceph.Image(t, "one", 1<<20)
	conf := ":conf=" + ceph.Conf
	expectWritten(t, name, remote(false))
	ceph.Run(t, "rbd", "snap", "create", "rbd/one@then")
	old := make([]byte, 1<<20)
	readAll(t, name, old)
	snapshot := "rbd:rbd/one@then" + conf
	expectWritten(t, name, remote(false))
	expectRead(t, snapshot, remote(true), old)
	expectRefusal(t, snapshot, remote(false), "with -r it is only read")

	ceph.Run(t, "rbd", "namespace", "create", "rbd/room")
	ceph.Run(t, "rbd", "create", "--size", "1M", "rbd/room/it's, \"two\"")
	expectWritten(t, `rbd:rbd/room/it's, "two"`+conf, remote(false))
	expectRefusal(t, `rbd:rbd/it's, "two"`+conf, remote(false), "No such file or directory")
	for n, want := range map[string]string{
		"rbd:rbd/nosuch" + conf:       "error reading header from nosuch: No such file or directory",
		"rbd:nopool/one" + conf:       "error opening pool nopool: No such file or directory",
		"rbd:rbd/one@never" + conf:    "No such file or directory",
		"rbd:rbd/one:conf=/nowhere":   "error reading conf file /nowhere: No such file or directory",
		"rbd:rbd/one" + conf + ":a=b": "invalid conf option a: No such file or directory",
	} {
		expectRefusal(t, n, remote(true), want)
	}
}

// readAll fills p from the beginning of a storage.
func readAll(t *testing.T, name string, p []byte) {
	t.Helper()
	ctx := context.Background()
	d, err := blockdev.Open(ctx, name, remote(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Read(ctx, driver.Vec{p}, 0, 0); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// testCephKeys gives the key of a user in the name and as a secret, right and wrong.
func testCephKeys(t *testing.T, ceph *blockdevtest.Ceph) {
	ceph.Image(t, "keyed", 1<<20)
	ceph.Run(t, "ceph", "auth", "get-or-create", "client.me",
		"mon", "profile rbd", "osd", "profile rbd")
	key := strings.TrimSpace(ceph.Run(t, "ceph", "auth", "print-key", "client.me"))
	name := "rbd:rbd/keyed:id=me:conf=" + ceph.Conf
	expectWritten(t, name+":key="+key, remote(false))
	cfg := remote(false)
	cfg.Options = new(driver.Options)
	cfg.Options.Set("file.password-secret", "key")
	cfg.Object = func(string) any { return driver.Secret(key) }
	expectWritten(t, name, cfg)
	d, err := blockdev.Open(context.Background(), name+":key="+key, remote(true))
	if err != nil {
		t.Fatal(err)
	}
	expectHidden(t, key)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	expectRefusal(t, "rbd:rbd/keyed:id=nobody:key="+key+":conf="+ceph.Conf, remote(false),
		"error connecting: Permission denied")
}
