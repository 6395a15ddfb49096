package nbd

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
)

// revoked are the lists of certificates that an authority has taken back. nil takes none back.
type revoked []*x509.RevocationList

const revokedFile = "ca-crl.pem"

// revoked reads the lists, which need not be there. Each has to be one of an authority that is
// trusted, and in force: with another, nobody would know what was taken back.
func (c *Credentials) revoked(authorities []byte) (revoked, error) {
	text, err := c.read(revokedFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := parseRevoked(text, certificates(authorities))
	if err != nil {
		return nil, driver.Refuse("Cannot load CRL '%s': %w", c.path(revokedFile), err)
	}
	return list, nil
}

func parseRevoked(text []byte, trusted []*x509.Certificate) (list revoked, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		signs := func(ca *x509.Certificate) bool { return crl.CheckSignatureFrom(ca) == nil }
		if !slices.ContainsFunc(trusted, signs) {
			return nil, errors.New("it is by no authority that is trusted")
		}
		if next := crl.NextUpdate; !next.IsZero() && time.Now().After(next) {
			return nil, fmt.Errorf("it was to be replaced on %s", next.Format(time.DateOnly))
		}
		list = append(list, crl)
	}
	if list == nil {
		return nil, errors.New("there is none in it")
	}
	return list, nil
}

// certificates are those of a file that can be read.
func certificates(text []byte) (list []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return list
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			list = append(list, cert)
		}
	}
}

// check refuses the other side if every chain by which it is trusted has a link that was taken
// back.
func (r revoked) check(chains [][]*x509.Certificate) error {
	if len(r) == 0 || slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
		return !slices.ContainsFunc(chain, r.holds)
	}) {
		return nil
	}
	return driver.RefuseAs(errCertificate, "The certificate has been revoked")
}

func (r revoked) holds(cert *x509.Certificate) bool {
	return slices.ContainsFunc(r, func(crl *x509.RevocationList) bool {
		return bytes.Equal(crl.RawIssuer, cert.RawIssuer) &&
			slices.ContainsFunc(crl.RevokedCertificateEntries,
				func(e x509.RevocationListEntry) bool {
					return e.SerialNumber.Cmp(cert.SerialNumber) == 0
				})
	})
}
