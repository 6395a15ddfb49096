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
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotAfter: until,
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

// Revoke adds a list to the directory in which the authority of another one takes back the
// certificate of that name, "" for none. It is to be replaced at the time that is given.
func Revoke(t testing.TB, dir, authority, name string, next time.Time) {
	t.Helper()
	load := func(dir, file string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, file))
		block, _ := pem.Decode(text)
		if err != nil || block == nil {
			t.Fatal(file, err)
		}
		return block.Bytes
	}
	ca, err := x509.ParseCertificate(load(authority, "ca-cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(load(authority, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: next,
	}
	if name != "" {
		cert, err := x509.ParseCertificate(load(dir, name+"-cert.pem"))
		if err != nil {
			t.Fatal(err)
		}
		list.RevokedCertificateEntries = []x509.RevocationListEntry{
			{SerialNumber: cert.SerialNumber, RevocationTime: list.ThisUpdate},
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca, key.(crypto.Signer))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "ca-crl.pem"),
			pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
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
