package nbd_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev/nbd"
)

// TestURI writes names that are read as what they were written for.
func TestURI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := nbd.Address{Network: "tcp", Host: "::1", Port: "7"}
		if rapid.Bool().Draw(t, "unix") {
			a = nbd.Address{
				Network: "unix", Path: "/" + rapid.StringMatching(`[ -~ä]{1,20}`).Draw(t, "path"),
			}
		}
		export := rapid.StringMatching(`[ -~ä]{0,20}`).Draw(t, "export")
		uri := a.URI(export, false)
		got, err := nbd.ParseName(uri)
		if err != nil || got.Address != a || got.Export != export {
			t.Fatalf("%q is read as %+v, %v", uri, got, err)
		}
	})
}

// TestParseNameSecure keeps a name that asks for TLS from being taken for one that does not.
func TestParseNameSecure(t *testing.T) {
	cfg, err := nbd.ParseName("nbds://host/disk")
	if err != nil || cfg.TLS == nil || cfg.TLS.ServerName != "host" || cfg.Export != "disk" {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, name := range []string{"nbdx://host/disk", "http://host", "disk", ""} {
		if cfg, err := nbd.ParseName(name); err == nil {
			t.Errorf("%q is %+v", name, cfg)
		}
	}
}
