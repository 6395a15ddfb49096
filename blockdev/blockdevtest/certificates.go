package blockdevtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ECDSA and RSA make keys for Certificates.
func ECDSA() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// RSA makes a key as certtool and openssl do unless they are told otherwise.
func RSA() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// Certificates makes a directory of credentials under QEMU's names: an authority, a server called
// localhost, a client. They hold until the time that is given.
func Certificates(
	t testing.TB, until time.Time, key func() (crypto.Signer, error),
) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ca := sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: until,
	}, nil, key)
	ca.store(t, dir, "ca")
	for name, usage := range map[string]x509.ExtKeyUsage{
		"server": x509.ExtKeyUsageServerAuth, "client": x509.ExtKeyUsageClientAuth,
	} {
		sign(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
			NotAfter: until,
		}, ca, key).store(t, dir, name)
	}
	return dir
}

type signed struct {
	cert *x509.Certificate
	der  []byte
	key  crypto.Signer
}

// sign makes a certificate that ca has signed, or it itself.
func sign(
	t testing.TB, template *x509.Certificate, ca *signed, newKey func() (crypto.Signer, error),
) *signed {
	t.Helper()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	s := &signed{template, nil, key}
	if ca == nil {
		ca = s
	}
	if s.der, err = x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(),
		ca.key); err != nil {
		t.Fatal(err)
	}
	if s.cert, err = x509.ParseCertificate(s.der); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *signed) store(t testing.TB, dir, name string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + "-cert.pem": {Type: "CERTIFICATE", Bytes: s.der},
		name + "-key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
}
