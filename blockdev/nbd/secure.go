package nbd

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/url"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// Secure is the protocol driver for names that ask for an encrypted connection: nbds://HOST/EXPORT
// and nbds+unix:///EXPORT?socket=PATH, with tls-certificates=DIR and tls-hostname=NAME as in
// libnbd. QEMU has credentials in objects only.
var Secure = driver.Driver{
	Name:      "nbds",
	Doc:       "an export of an NBD server, over TLS",
	Kind:      driver.Protocol,
	Config:    secureConfig{},
	Native:    true,
	Schemes:   []string{"nbds", "nbds+tcp", "nbds+unix"},
	ParseName: parseSecure,
	Open:      openSecure,
}

// secureConfig are the options of Secure.
type secureConfig struct {
	Certificates string `option:"tls-certificates" help:"directory with ca-cert.pem; the system's without it"`
	config
}

// parseSecure takes what is about TLS out of a name, which then is one without it.
func parseSecure(name string, o *driver.Options) error {
	u, err := url.Parse(name)
	if err != nil || !isURI(name) {
		return refuseURL()
	}
	query, err := parameters(u.RawQuery)
	if err != nil {
		return refuseURL()
	}
	rest := url.Values{}
	psk := u.User != nil
	for _, q := range query {
		switch q.name {
		case "tls-certificates", "tls-hostname":
			if q.value == "" { // no reason to trust whom the system trusts
				return driver.Refuse("'%s' is empty", q.name)
			}
			o.Set(q.name, q.value)
		case "socket":
			rest.Add(q.name, q.value)
		case "tls-psk-file":
			psk = true
		default:
			return driver.Refuse("'%s' is not known; tls-certificates, tls-hostname and socket are", q.name)
		}
	}
	if psk {
		return driver.Refuse("a server that knows users by keys (PSK) cannot be reached; " +
			"one with certificates can")
	}
	u.Scheme = strings.Replace(u.Scheme, "nbds", "nbd", 1)
	u.RawQuery = strings.ReplaceAll(rest.Encode(), "+", "%20")
	return parseURI(u.String(), o)
}

func openSecure(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*secureConfig)
	cfg, err := c.settle(o)
	if err == nil && cfg.TLS == nil {
		cfg.TLS, err = c.encryption(cfg.Address)
	}
	if err != nil {
		return nil, err
	}
	return dialNode(ctx, o, cfg)
}

// encryption trusts who signed the certificates in a directory, or whom the system trusts.
func (c *secureConfig) encryption(a Address) (*tls.Config, error) {
	hostname := cmp.Or(c.Hostname, a.Host)
	if c.Certificates != "" {
		return (&Credentials{Dir: c.Certificates, VerifyPeer: true}).ClientConfig(hostname)
	}
	if hostname == "" {
		return nil, driver.Refuse("a server on a socket needs tls-hostname to prove who it is")
	}
	return &tls.Config{ServerName: hostname, MinVersion: tls.VersionTLS12}, nil
}
