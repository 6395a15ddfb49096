package luksheader

import (
	"strconv"
	"strings"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// UnlockOptions open an encrypted image.
type UnlockOptions struct {
	KeySecret    string       `option:"key-secret" help:"id of the secret with the passphrase"`
	UnlockMemory driver.Bytes `option:"unlock-memory" default:"1G" help:"the most memory that making a key of the passphrase may take (LUKS2)"`
	UnlockTime   int64        `option:"unlock-time" default:"600" help:"the longest that looking for the key may take, in seconds"`
}

// CreateOptions say how an image that is to be made is encrypted. The hashes that QEMU knows come
// first.
type CreateOptions struct {
	KeySecret    string `option:"key-secret" help:"id of the secret with the passphrase"`
	CipherAlg    string `option:"cipher-alg" default:"aes-256" values:"aes-128,aes-192,aes-256,des,3des,cast5-128,serpent-128,serpent-192,serpent-256,twofish-128,twofish-192,twofish-256" help:"the cipher and how many bits of key it has"`
	CipherMode   string `option:"cipher-mode" default:"xts" values:"xts,cbc,ctr,ecb" help:"how blocks of a sector hang together"`
	IVGenAlg     string `option:"ivgen-alg" default:"plain64" values:"plain,plain64,essiv" help:"how sectors are told apart"`
	IVGenHashAlg string `option:"ivgen-hash-alg" values:"md5,sha1,sha224,sha256,sha384,sha512,ripemd160,whirlpool,sha3-256,sha3-512,blake2s-256,blake2b-512" help:"hash of essiv; sha256 if not given"`
	HashAlg      string `option:"hash-alg" default:"sha256" values:"md5,sha1,sha224,sha256,sha384,sha512,ripemd160,whirlpool,sha3-256,sha3-512,blake2s-256,blake2b-512" help:"hash that makes keys of passphrases"`
	IterTime     int64  `option:"iter-time" default:"2000" help:"how long opening is to take, in milliseconds"`
}

// MoreCreateOptions are what only a format of its own can choose.
type MoreCreateOptions struct {
	Version     string       `option:"version" default:"1" values:"1,2" help:"of LUKS; QEMU reads 1 only"`
	PBKDF       string       `option:"pbkdf" values:"pbkdf2,argon2i,argon2id" help:"what makes keys of passphrases; argon2id for version 2 if not given"`
	PBKDFMemory driver.Bytes `option:"pbkdf-memory" default:"64M" help:"memory that opening takes (argon2)"`
	SectorSize  string       `option:"sector-size" default:"512" values:"512,1024,2048,4096" help:"bytes that are encrypted together (version 2)"`
}

// Config is the configuration that the options ask for, but for the passphrase. It can be made.
func (o CreateOptions) Config() (Config, error) {
	c, err := o.config()
	if err == nil {
		err = c.Check()
	}
	return c, err
}

// Config is CreateOptions.Config with more of a choice.
func (m MoreCreateOptions) Config(o CreateOptions) (Config, error) {
	c, err := o.config()
	if err != nil {
		return c, err
	}
	if m.Version == "2" {
		c.Version, c.Cost.Type = 2, Argon2id
	}
	if m.PBKDF != "" {
		c.Cost.Type = m.PBKDF
	}
	c.Cost.Memory = m.PBKDFMemory.Int()
	if c.Cost.Memory > maxMemory {
		return c, driver.Refuse("pbkdf-memory must be at most %d MiB", maxMemory>>20)
	}
	if c.Unit, err = strconv.Atoi(m.SectorSize); err != nil {
		return c, err
	}
	return c, c.Check()
}

// maxMemory is the most that a new slot may ask for, in bytes.
const maxMemory = 4 << 30

// maxTime is the longest that opening may be asked to take.
const maxTime = time.Hour

func (o CreateOptions) config() (Config, error) {
	c := Config{Version: 1, Unit: sectorLen, Hash: o.HashAlg}
	name, bits, _ := strings.Cut(o.CipherAlg, "-")
	if bits == "" {
		return c, driver.Refuse("Algorithm '%s' not supported", name)
	}
	n, err := strconv.Atoi(bits)
	if err != nil {
		return c, err
	}
	c.KeyLen = n / 8
	c.Spec = sectorcipher.Spec{
		Cipher: name, Mode: o.CipherMode, IV: o.IVGenAlg,
		IVHash: o.IVGenHashAlg,
	}
	if c.Spec.Mode == "xts" {
		c.KeyLen *= 2
	}
	if c.Spec.IV == "essiv" && c.Spec.IVHash == "" {
		c.Spec.IVHash = "sha256"
	}
	c.Cost = Cost{Type: PBKDF2, Hash: c.Hash}
	c.Cost.Time, err = iterTime(o.IterTime)
	return c, err
}
