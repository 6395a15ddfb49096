package nbd_test

import (
	"strings"
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
	for _, name := range []string{
		"nbdx://host/disk", "http://host", "disk", "", "nbds://host/a b",
		"nbds://host/disk?tls-hostname=", "nbds://host/disk?tls-certificates=",
		"nbds://host?tls-certificates",
	} {
		if cfg, err := nbd.ParseName(name); err == nil {
			t.Errorf("%q is %+v", name, cfg)
		}
	}
}

// FuzzParseName reads any name. The URI of what a URI says means the same, if it is one: hosts may
// have bytes, and the ports of names of the old form letters, with which it is none.
func FuzzParseName(f *testing.F) {
	for _, name := range []string{
		"nbd:unix:/a b:exportname=x", "nbd:[::1]:10809", "nbd://[::1%25lo]:7/a%2fb",
		"nbd+unix:///x?socket=%2fs",
		"nbd:/2nbd://h:7/a",
		"nbds://host/disk?tls-hostname=other", "nbds+unix:///?socket=s&tls-certificates=dir", "nbd+tcp://h",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c, err := nbd.ParseName(name)
		if err != nil {
			return
		}
		if secure := strings.HasPrefix(name, "nbds"); secure != (c.TLS != nil) {
			t.Errorf("%q: encrypted: %t", name, !secure)
		}
		if _, rest, _ := strings.Cut(name, ":"); !strings.HasPrefix(rest, "//") {
			return
		}
		uri := c.Address.URI(c.Export, false)
		again, err := nbd.ParseName(uri)
		if err == nil && (again.Address != c.Address || again.Export != c.Export) {
			t.Errorf("%q is %+v, %q, and its own name %q %+v, %q", name, c.Address, c.Export, uri,
				again.Address, again.Export)
		}
	})
}
