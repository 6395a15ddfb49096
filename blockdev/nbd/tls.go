package nbd

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
)

// Credentials are an object of QEMU's type tls-creds-x509: a directory with certificates under
// fixed names, and, if it is there, a list of those that were revoked.
type Credentials struct {
	Dir string
	// Server: for who listens, otherwise for who connects.
	Server bool
	// VerifyPeer checks the certificate of the other side. A server then asks for one.
	VerifyPeer bool
}

const authorityFile = "ca-cert.pem"

// credentials are what the files hold.
type credentials struct {
	roots   *x509.CertPool
	revoked revoked
	own     []tls.Certificate // one, or none for a client
}

// load reads the files. The client's or server's own certificate is optional for a client.
func (c *Credentials) load() (l credentials, err error) {
	ca, err := c.read(authorityFile)
	if err != nil {
		return l, err
	}
	l.roots = x509.NewCertPool()
	if !l.roots.AppendCertsFromPEM(ca) {
		return l, driver.Refuse("Unable to import certificate %s", c.path(authorityFile))
	}
	if l.revoked, err = c.revoked(ca); err != nil {
		return l, err
	}
	side := "client"
	if c.Server {
		side = "server"
	}
	cert, err := c.read(side + "-cert.pem")
	if errors.Is(err, os.ErrNotExist) && !c.Server {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	key, err := c.read(side + "-key.pem")
	if err != nil {
		return l, err
	}
	name := c.path(side + "-cert.pem")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		if bytes.Contains(key, []byte("ENCRYPTED")) {
			err = errEncryptedKey
		}
		return l, driver.Refuse("Cannot load certificate '%s' & key '%s': %w", name,
			c.path(side+"-key.pem"), err)
	}
	l.own = []tls.Certificate{pair}
	if c.Server {
		err = serves(pair.Leaf, name)
	}
	return l, err
}

var errEncryptedKey = errors.New("it is encrypted, which only QEMU can read; " +
	"'openssl pkey -in KEY' decrypts it")

// serves says why no client would take a certificate from a server.
func serves(cert *x509.Certificate, name string) error {
	now := time.Now()
	switch {
	case now.After(cert.NotAfter):
		return driver.Refuse("The certificate %s has expired, on %s", name,
			cert.NotAfter.Format(time.DateOnly))
	case now.Before(cert.NotBefore):
		return driver.Refuse("The certificate %s is not valid yet, but from %s on", name,
			cert.NotBefore.Format(time.DateOnly))
	case len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny):
		return driver.Refuse("The certificate %s is not for a server", name)
	}
	return nil
}

func (c *Credentials) path(name string) string { return filepath.Join(c.Dir, name) }

// mostCredentials bounds each file, in bytes: lists of certificates that were taken back are long.
const mostCredentials = 64 << 20

func (c *Credentials) read(name string) ([]byte, error) {
	b, err := target.ReadRegular(c.path(name), mostCredentials)
	if err != nil {
		return nil, driver.Refuse("Unable to access credentials %s: %w", c.path(name), spoken(err))
	}
	return b, nil
}

// Check loads the files, so that what is wrong with them shows when the object is made.
func (c *Credentials) Check() error {
	_, err := c.load()
	return err
}

// ClientConfig is for a connection to a server whose certificate is for hostname.
func (c *Credentials) ClientConfig(hostname string) (*tls.Config, error) {
	l, err := c.load()
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{
		RootCAs: l.roots, Certificates: l.own, MinVersion: tls.VersionTLS12, ServerName: hostname,
		// Checked below, in words of our own.
		InsecureSkipVerify: true,
	}
	if c.VerifyPeer {
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			return l.verifyServer(s, hostname)
		}
	}
	return cfg, nil
}

// ServerConfig is for connections of clients.
func (c *Credentials) ServerConfig() (*tls.Config, error) {
	l, err := c.load()
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{ClientCAs: l.roots, Certificates: l.own, MinVersion: tls.VersionTLS12}
	if !c.VerifyPeer {
		return cfg, nil
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		return l.revoked.check(s.VerifiedChains)
	}
	// In what crypto/tls asks for by TLS 1.3, GnuTLS 3.7 finds no use for a certificate with a key
	// of RSA, and QEMU and libnbd then send none. Keys of clients are of the kind that the server's
	// is, as a rule.
	if _, ok := l.own[0].PrivateKey.(*rsa.PrivateKey); ok {
		cfg.MaxVersion = tls.VersionTLS12
	}
	return cfg, nil
}

// verifyServer checks the chain of a server's certificates, and its name.
func (l *credentials) verifyServer(s tls.ConnectionState, hostname string) error {
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: l.roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return driver.RefuseAs(err, "The certificate hasn't got a known issuer")
	case err != nil:
		return &unverified{err}
	case hostname == "":
		return driver.RefuseAs(errCertificate, "No hostname for certificate validation")
	case leaf.VerifyHostname(hostname) != nil && !namedAlone(leaf, hostname):
		return driver.RefuseAs(errCertificate, "Certificate does not match the hostname %s",
			hostname)
	}
	return l.revoked.check(chains)
}

// unverified is a certificate that does not hold.
type unverified struct{ err error }

func (e *unverified) Error() string { return "The certificate does not verify: " + e.err.Error() }

func (e *unverified) Unwrap() error { return e.err }

var errCertificate = errors.New("certificate refused")

// namedAlone says whether a certificate without alternative names is for hostname, as GnuTLS has
// it.
func namedAlone(cert *x509.Certificate, hostname string) bool {
	return len(cert.DNSNames)+len(cert.IPAddresses) == 0 && cert.Subject.CommonName == hostname
}

// UnusableCredentials are an object of a type of TLS credentials that is not to be had here.
type UnusableCredentials struct{ Type string }

// untrusted is verify in the words of QEMU, which does not say what is wrong with a certificate.
func untrusted(
	verify func(tls.ConnectionState) error,
) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		err := verify(s)
		if errors.As(err, new(*unverified)) {
			err = driver.RefuseAs(err, "The certificate is not trusted")
		}
		return err
	}
}

// tls is how the connection to a is encrypted, nil for not at all.
func (c *exportConfig) tls(o *driver.Opening, a Address) (*tls.Config, error) {
	if c.Credentials == nil {
		return nil, nil
	}
	id := *c.Credentials
	switch object := o.Object(id).(type) {
	case nil:
		return nil, driver.Refuse("No TLS credentials with id '%s'", id)
	case *UnusableCredentials:
		return nil, driver.Refuse("%s cannot be used; tls-creds-x509 can", object.Type)
	case *Credentials:
		if object.Server {
			return nil, driver.Refuse("Expected TLS credentials for a client endpoint")
		}
		cfg, err := object.ClientConfig(cmp.Or(c.Hostname, a.Host))
		if err == nil && o.LikeQEMU() && cfg.VerifyConnection != nil {
			cfg.VerifyConnection = untrusted(cfg.VerifyConnection)
		}
		return cfg, err
	}
	return nil, driver.Refuse("Object with id '%s' is not TLS credentials", id)
}
