package nbd_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/raw"
)

// TestRemote reads a file from a web server, by way of nbdkit.
func TestRemote(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	content := bytes.Repeat([]byte("over the web "), 10_000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader(content))
	}))
	defer web.Close()
	cfg := blockdev.OpenConfig{
		Drivers: []driver.Driver{nbd.Driver, nbd.Command, nbd.Remote, raw.Driver}, Format: "raw",
	}
	ctx := context.Background()
	if _, err := blockdev.Open(ctx, web.URL+"/disk", cfg); err == nil ||
		!strings.Contains(err.Error(), "-r") {
		t.Errorf("for writing: %v", err)
	}
	cfg.Mode.ReadOnly = true
	d, err := blockdev.Open(ctx, web.URL+"/disk", cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(content))
	if err := d.Read(ctx, driver.Vec{got}, 0, 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("not what the web server has: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"ssh://host":          "'ssh://host' is not like ssh://user@host/path",
		"https:host":          "'https:host' names no storage",
		"rbd:":                "'rbd:' names no storage",
		"[ no-such-program ]": `starting the server: exec: "no-such-program": executable file not found in $PATH`,
		"[ 'half ]":           "''half' is no command with arguments",
	} {
		if _, err := blockdev.Open(ctx, name, cfg); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	_, err = blockdev.Open(ctx, "[ nbdkit -f nosuchplugin ]", cfg)
	if err == nil || !strings.Contains(err.Error(), "nosuchplugin") {
		t.Errorf("a server that ends: %v", err)
	}
	cfg.LikeQEMU = true
	if _, err := blockdev.Open(ctx, web.URL+"/disk", cfg); err == nil ||
		err.Error() != "Unknown protocol 'http'" {
		t.Errorf("like QEMU: %v", err)
	}
}
