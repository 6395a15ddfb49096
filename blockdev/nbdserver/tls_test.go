package nbdserver_test

import (
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// TestPeersTLS lets the programs of others encrypt, with keys of both kinds.
func TestPeersTLS(t *testing.T) {
	blockdevtest.Peer(t, "nbdinfo", "libnbd-bin")
	blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	for name, key := range map[string]func() (crypto.Signer, error){
		"ECDSA": blockdevtest.ECDSA, "RSA": blockdevtest.RSA,
	} {
		t.Run(name, func(t *testing.T) {
			dir := blockdevtest.Certificates(t, time.Now().Add(time.Hour), key)
			c := nbd.Credentials{Dir: dir, Server: true, VerifyPeer: true}
			config, err := c.ServerConfig()
			if err != nil {
				t.Fatal(err)
			}
			disk := open(t, image(t, 1<<20), blockdev.Mode{})
			path := serve(t, &nbdserver.Server{
				Exports: []nbdserver.Export{{Disk: disk}}, TLS: config,
			})
			run(t, "nbdinfo", "--size", "nbds+unix:///?socket="+path+"&tls-certificates="+dir)
			run(t, "qemu-io", "--object", "tls-creds-x509,id=t,endpoint=client,dir="+dir,
				"-c", "write -P 7 4k 8k", "-c", "read -P 7 4k 8k", "--image-opts",
				"driver=nbd,server.type=unix,server.path="+path+
					",tls-creds=t,tls-hostname=localhost")
		})
	}
}

// TestExpired wants a server to refuse a certificate that no client would take.
func TestExpired(t *testing.T) {
	dir := blockdevtest.Certificates(t, time.Now().Add(-time.Hour), blockdevtest.ECDSA)
	c := nbd.Credentials{Dir: dir, Server: true, VerifyPeer: true}
	if _, err := c.ServerConfig(); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Error(err)
	}
}
