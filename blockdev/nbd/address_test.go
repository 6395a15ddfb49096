package nbd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// TestAddressOfSocket connects to sockets whose names are more to the package net than a path.
func TestAddressOfSocket(t *testing.T) {
	t.Chdir(t.TempDir())
	own := fmt.Sprintf("blksh-test-%d", os.Getpid())
	full := strings.Repeat("l", LongestPath)
	long := full[1:]
	padded := "@" + own + strings.Repeat("\x00", LongestPath-1-len(own)) // as by tight=off
	for _, c := range []struct {
		listen string
		a      Address
	}{
		{"@file", Address{Path: "@file"}},
		{long, Address{Path: long}},
		{full, Address{Path: full}},
		{"@" + own, Address{Path: own, Abstract: true}},
		{padded, Address{Path: padded[1:], Abstract: true}},
	} {
		c.a.Network = "unix"
		l, err := ListenUnix(c.listen)
		if c.a.Abstract {
			l, err = net.ListenUnix("unix", &net.UnixAddr{Name: c.listen, Net: "unix"})
		}
		if err != nil {
			t.Fatal(err)
		}
		conn, err := c.a.dial(context.Background())
		if err != nil {
			t.Errorf("%+v: %v", c.a, err)
		} else {
			_ = conn.Close()
		}
		_ = l.Close()
	}
	if _, err := ListenUnix(full); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second time: %v", err)
	}
	gone := Address{Network: "unix", Path: "m" + long}
	if _, err := gone.dial(context.Background()); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no socket: %v", err)
	}
	tooLong := Address{Network: "unix", Path: full + "l"}
	_, err := Dial(context.Background(), Config{Address: tooLong})
	var hint driver.Hinter
	if err == nil || err.Error() != "UNIX socket path '"+full+"l' is too long" ||
		!errors.Is(err, syscall.ENAMETOOLONG) || !errors.As(err, &hint) ||
		hint.Hint() != "Path must be less than 108 bytes\n" {
		t.Error(err)
	}
	_, err = Dial(context.Background(), Config{Address: Address{Network: "unix"}})
	if err == nil || err.Error() != "Failed to connect to '': Connection refused" {
		t.Error(err)
	}
}

// TestServerOptions reads what is said of a socket besides its path.
func TestServerOptions(t *testing.T) {
	for said, want := range map[string]string{
		"abstract=on":            "",
		"abstract=on,tight=on":   "",
		"tight=off":              "",
		"abstract=on,tight=off":  "",
		"abstract=perhaps":       "Parameter 'abstract' expects 'on' or 'off'",
		"abstract=off,tight=yep": "Parameter 'tight' expects 'on' or 'off'",
	} {
		o := &driver.Options{}
		o.Set("type", "unix")
		o.Set("path", "s")
		for option := range strings.SplitSeq(said, ",") {
			key, value, _ := strings.Cut(option, "=")
			o.Set(key, value)
		}
		a, err := serverAddress(o)
		abstract := strings.HasPrefix(said, "abstract=on")
		switch {
		case want == "" && (err != nil || o.Len() > 0 || a.Abstract != abstract):
			t.Errorf("%s: %+v, %v, left %v", said, a, err, o.Keys())
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, expected %s", said, err, want)
		}
	}
}
