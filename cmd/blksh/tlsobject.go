package main

import (
	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// tlsKeys are the properties of objects with TLS credentials of one type. ok is false for a type
// that has none.
func tlsKeys(kind string) (keys []string, ok bool) {
	keys = []string{"dir", "endpoint", "verify-peer", "priority"}
	switch kind {
	case "tls-creds-x509":
		return append(keys, "sanity-check", "passwordid"), true
	case "tls-creds-psk":
		return append(keys, "username"), true
	case "tls-creds-anon":
		return keys, true
	}
	return nil, false
}

// credentials makes an object of one of the types of tlsKeys. Certificates are what can be used;
// the others are taken, and refused by the driver that is to use them. A key that needs a password
// is refused, too.
func (p *program) credentials(kind string, opts *blockdev.Options) (any, error) {
	keys, _ := tlsKeys(kind)
	if err := onlyKeys(opts, keys...); err != nil {
		return nil, err
	}
	c := &nbd.Credentials{Dir: opts.String("dir"), VerifyPeer: true}
	switch endpoint := opts.String("endpoint"); endpoint {
	case "server":
		c.Server = true
	case "client", "":
	default:
		return nil, driver.Refuse("Parameter 'endpoint' does not accept value '%s'", endpoint)
	}
	if opts.Has("verify-peer") {
		var known bool
		if c.VerifyPeer, known = driver.Truth(opts.String("verify-peer")); !known {
			return nil, driver.Refuse("Parameter 'verify-peer' expects 'on' or 'off'")
		}
	}
	if kind != "tls-creds-x509" {
		return &nbd.UnusableCredentials{Type: kind}, nil
	}
	if c.Dir == "" {
		return nil, driver.Refuse("Missing 'dir' property value")
	}
	if id := opts.String("passwordid"); id != "" {
		if _, err := p.secretCalled(id); err != nil {
			return nil, err
		}
	}
	return c, c.Check()
}
