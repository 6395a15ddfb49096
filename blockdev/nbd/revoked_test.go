package nbd_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/nbd"
)

// handshake has a client and a server meet whose credentials are in two directories, and returns
// what the two have to say about it.
func handshake(t *testing.T, client, server string) (clients, servers error) {
	t.Helper()
	ours := nbd.Credentials{Dir: server, Server: true, VerifyPeer: true}
	listening, err := ours.ServerConfig()
	if err != nil {
		return nil, err
	}
	theirs := nbd.Credentials{Dir: client, VerifyPeer: true}
	connecting, err := theirs.ClientConfig("localhost")
	if err != nil {
		return err, nil
	}
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		err := tls.Server(far, listening).Handshake()
		done <- errors.Join(err, far.Close())
	}()
	clients = tls.Client(near, connecting).Handshake()
	_ = near.Close()
	return clients, <-done
}

// TestRevoked: who has a certificate that the authority took back is refused, by both sides, and so
// is a list that does not tell what was taken back.
func TestRevoked(t *testing.T) {
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	first := blockdevtest.Certificates(t, later, blockdevtest.ECDSA)
	other := blockdevtest.Certificates(t, later, blockdevtest.ECDSA)
	for _, c := range []struct {
		name           string
		change         func(client, server string)
		client, server string // what they say, "" for nothing, "*" for anything
	}{
		{"nothing revoked", func(client, server string) {
			blockdevtest.Revoke(t, client, first, "", later)
			blockdevtest.Revoke(t, server, first, "", later)
		}, "", ""},
		{"the other's own", func(client, server string) {
			blockdevtest.Revoke(t, client, first, "client", later)
			blockdevtest.Revoke(t, server, first, "server", later)
		}, "", ""},
		{"client", func(_, server string) {
			blockdevtest.Revoke(t, server, first, "client", later)
		}, "*", "The certificate has been revoked"},
		{"server", func(client, _ string) {
			blockdevtest.Revoke(t, client, first, "server", later)
		}, "The certificate has been revoked", "*"},
		{"by another authority", func(_, server string) {
			blockdevtest.Revoke(t, server, other, "client", later)
		}, "", "it is by no authority that is trusted"},
		{"old", func(_, server string) {
			blockdevtest.Revoke(t, server, first, "", before)
		}, "", "it was to be replaced on "},
		{"junk", func(_, server string) {
			write(t, server, "ca-crl.pem", []byte("junk"))
		}, "", "ca-crl.pem': there is none in it"},
		{"cut", func(_, server string) {
			write(t, server, "ca-crl.pem",
				[]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
		}, "", "Cannot load CRL '"},
		{"not for a server", func(_, server string) {
			for _, kind := range []string{"-cert.pem", "-key.pem"} {
				text, err := os.ReadFile(filepath.Join(server, "client"+kind))
				if err != nil {
					t.Fatal(err)
				}
				write(t, server, "server"+kind, text)
			}
		}, "", "server-cert.pem is not for a server"},
	} {
		client, server := t.TempDir(), t.TempDir()
		for _, dir := range []string{client, server} {
			if err := os.CopyFS(dir, os.DirFS(first)); err != nil {
				t.Fatal(err)
			}
		}
		c.change(client, server)
		clients, servers := handshake(t, client, server)
		for _, side := range []struct {
			name, want string
			err        error
		}{{"client", c.client, clients}, {"server", c.server, servers}} {
			if side.want == "*" {
				continue
			}
			if said := fmt.Sprint(side.err); (side.err == nil) != (side.want == "") ||
				!strings.Contains(said, side.want) {
				t.Errorf("%s: the %s says %v, and not %q", c.name, side.name, side.err, side.want)
			}
		}
	}
}

func write(t *testing.T, dir, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
