package nbd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/raw"
)

// TestTLS opens exports of nbdkit and qemu-nbd, and is refused where it must be.
func TestTLS(t *testing.T) {
	dir := blockdevtest.Certificates(t, time.Now().Add(time.Hour),
		blockdevtest.ECDSA)
	for _, c := range []struct{ name, program, pkg, args string }{
		{"nbdkit", "nbdkit", "nbdkit", "nbdkit -f --tls=require --tls-verify-peer --tls-certificates=" + dir + " memory 8M"},
		{
			"qemu-nbd", "qemu-nbd", "qemu-utils",
			"qemu-nbd -t -f raw --object tls-creds-x509,id=t,endpoint=server,dir=" + dir +
				" --tls-creds t " + image(t, 8<<20),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			blockdevtest.Peer(t, c.program, c.pkg)
			testTLS(t, dir, c.args)
		})
	}
	t.Run("refused", func(t *testing.T) {
		blockdevtest.Peer(t, "nbdkit", "nbdkit")
		_, err := openTLS(t, dir, "nbdkit -f --tls=off memory 8M", "tls-creds", "client",
			"tls-hostname", "localhost")
		if err == nil || err.Error() != "Denied by server for option 5 (starttls)" {
			t.Error(err)
		}
	})
}

func testTLS(t *testing.T, dir, command string) {
	d, err := openTLS(t, dir, command, "tls-creds", "client", "tls-hostname", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	data := make([]byte, 3<<20+5)
	_, _ = rand.Read(data)
	got := make([]byte, len(data))
	if err := d.Write(ctx, driver.Vec{bytes.Clone(data)}, 1000, 0); err != nil {
		t.Error(err)
	}
	if err := d.Read(ctx, driver.Vec{got}, 1000, 0); err != nil || !bytes.Equal(got, data) {
		t.Errorf("what was written does not come back: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	_, err = openTLS(t, dir, command, "tls-creds", "nobody", "tls-hostname", "localhost")
	var adviser driver.Adviser
	if !errors.As(err, &adviser) || !strings.Contains(adviser.Advice(), "client-cert.pem") {
		t.Errorf("who shows no certificate is told %v", err)
	}
	for _, c := range []struct {
		name, want string
		options    []string
	}{
		{"no credentials", "TLS negotiation required before option 7 (go)", nil},
		{"wrong name", "Certificate does not match the hostname wrong.example", []string{"tls-creds", "client", "tls-hostname", "wrong.example"}},
		{"no name", "No hostname for certificate validation", []string{"tls-creds", "client"}},
		{"unknown id", "No TLS credentials with id 'nosuch'", []string{"tls-creds", "nosuch"}},
		{"empty id", "No TLS credentials with id ''", []string{"tls-creds", ""}},
		{"server's", "Expected TLS credentials for a client endpoint", []string{"tls-creds", "server"}},
		{"other authority", "The certificate hasn't got a known issuer", []string{"tls-creds", "other", "tls-hostname", "localhost"}},
		{"other object", "Object with id 'secret' is not TLS credentials", []string{"tls-creds", "secret"}},
	} {
		if _, err := openTLS(t, dir, command, c.options...); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// TestSecure opens an export by a name that asks for TLS.
func TestSecure(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	dir := blockdevtest.Certificates(t, time.Now().Add(time.Hour),
		blockdevtest.ECDSA)
	server, err := nbd.StartServer([]string{
		"nbdkit", "-f", "--tls=require", "--tls-certificates=" + dir, "memory", "8M",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	socket := "nbds+unix:///?socket=" + server.Address().Path
	cfg := blockdev.OpenConfig{
		Drivers: []driver.Driver{nbd.Driver, nbd.Secure, raw.Driver},
		Format:  "raw",
	}
	for name, want := range map[string]string{
		socket + "&tls-certificates=" + dir + "&tls-hostname=localhost": "",
		socket + "&tls-certificates=" + dir +
			"&tls-hostname=other": "Certificate does not match the hostname other",
		socket + "&tls-certificates=" +
			dir: "No hostname for certificate validation",
		socket: "a server on a socket needs tls-hostname to prove who it is",
	} {
		d, err := blockdev.Open(context.Background(), name, cfg)
		if err == nil {
			if d.Info().Size != 8<<20 || want != "" {
				t.Errorf("%s: %d bytes, want %s", name, d.Info().Size, want)
			}
			err = d.Close()
		}
		if err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// otherAuthority is a directory of credentials that have nothing to do with others.
func otherAuthority(t *testing.T) string {
	return blockdevtest.Certificates(t, time.Now().Add(time.Hour), blockdevtest.ECDSA)
}

// onlyAuthority is a directory with the authority of another one, and no certificate of a client.
func onlyAuthority(t *testing.T, dir string) string {
	const file = "ca-cert.pem"
	ca, err := os.ReadFile(filepath.Join(dir, file))
	alone := t.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(alone, file), ca, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return alone
}

// TestUntrusted has QEMU's words for a certificate that no longer holds, where all is as in QEMU.
func TestUntrusted(t *testing.T) {
	blockdevtest.Peer(t, "nbdkit", "nbdkit")
	dir := blockdevtest.Certificates(t, time.Now().Add(-time.Hour), blockdevtest.ECDSA)
	server, err := nbd.StartServer([]string{
		"nbdkit", "-f", "--tls=require", "--tls-certificates=" + dir, "memory", "8M",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for likeQEMU, want := range map[bool]string{
		true: "The certificate is not trusted", false: "The certificate does not verify: x509",
	} {
		var o driver.Options
		o.Set("driver", "nbd")
		o.Set("path", server.Address().Path)
		o.Set("tls-creds", "c")
		o.Set("tls-hostname", "localhost")
		_, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
			Drivers: []driver.Driver{nbd.Driver, raw.Driver}, Options: &o, LikeQEMU: likeQEMU,
			Object: func(string) any { return &nbd.Credentials{Dir: dir, VerifyPeer: true} },
		})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// openTLS starts a server and opens its export with options, in pairs of key and value.
func openTLS(t *testing.T, dir, command string, options ...string) (*blockdev.Device, error) {
	t.Helper()
	var o driver.Options
	o.Set("driver", "nbd-command")
	o.Set("command", command)
	for i := 0; i < len(options); i += 2 {
		o.Set(options[i], options[i+1])
	}
	objects := map[string]any{
		"client": &nbd.Credentials{Dir: dir, VerifyPeer: true},
		"server": &nbd.Credentials{Dir: dir, VerifyPeer: true, Server: true},
		"secret": driver.Secret("x"),
		"other":  &nbd.Credentials{Dir: otherAuthority(t), VerifyPeer: true},
		"nobody": &nbd.Credentials{Dir: onlyAuthority(t, dir), VerifyPeer: true},
	}
	return blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{nbd.Command, raw.Driver}, Options: &o,
		Object: func(id string) any { return objects[id] },
	})
}

// TestIrregularCredentials waits for nobody and reads no device in place of a file.
func TestIrregularCredentials(t *testing.T) {
	good := blockdevtest.Certificates(t, time.Now().Add(time.Hour), blockdevtest.ECDSA)
	fifo := func(path string) error { return unix.Mkfifo(path, 0o600) }
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	zero := func(path string) error { return os.Symlink("/dev/zero", path) }
	for _, file := range []string{"ca-cert", "ca-crl", "server-cert", "server-key"} {
		for _, c := range []struct {
			want string
			put  func(path string) error
		}{
			{"it is no regular file", fifo},
			{"it is no regular file", zero},
			{"Is a directory", folder},
		} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, file+".pem")
			_ = os.Remove(path) // a list of those taken back is not there
			if err := c.put(path); err != nil {
				t.Fatal(err)
			}
			want := "Unable to access credentials " + path + ": " + c.want
			credentials := nbd.Credentials{Dir: dir, Server: true}
			if err := credentials.Check(); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}
