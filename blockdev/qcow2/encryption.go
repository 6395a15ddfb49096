package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
	"github.com/blksh/blksh/blockdev/internal/luksheader"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// Guest data may be encrypted, sector by sector, in one of two ways. The older one (aes) makes a
// key of the passphrase itself and tells sectors apart by where they are for the guest; nothing
// notices a wrong passphrase. The newer one (luks) keeps a whole LUKS header of version 1 in
// clusters of the image and tells sectors apart by where they are in the file. Metadata is not
// encrypted, nor are compressed clusters.

// The ways to encrypt, as the header has them.
const (
	cryptNone = 0
	cryptAES  = 1
	cryptLUKS = 2
)

// cryptName is what options call one of them, "" if there is none.
func cryptName(crypt uint32) string {
	switch crypt {
	case cryptAES:
		return "aes"
	case cryptLUKS:
		return "luks"
	}
	return ""
}

// encryptConfig opens an encrypted image.
type encryptConfig struct {
	Format string `option:"format" known:"aes,luks" help:"how the image is encrypted; it must be so"`
	luksheader.UnlockOptions
}

// encryptCreate has the options of encryption of a new image.
type encryptCreate struct {
	Format string `option:"format" values:"aes,luks" help:"encrypt the image"`
	luksheader.CreateOptions
}

const encryptPrefix = "encrypt."

// encryption is what an open image knows of its key.
type encryption struct {
	cipher *sectorcipher.Cipher // nil if the image was opened without its key (Mode.NoIO)
	byHost bool                 // sectors are told apart by where they are in the file
	volume *luksheader.Volume   // of luks
}

var _ format.Transform = (*encryption)(nil)

// Encode encrypts.
func (e *encryption) Encode(dst, src []byte, guest, host int64) error {
	if e.cipher == nil {
		return luksheader.ErrLocked
	}
	e.cipher.Encrypt(dst, src, e.sector(guest, host))
	return nil
}

// Decode decrypts.
func (e *encryption) Decode(p []byte, guest, host int64) error {
	if e.cipher == nil {
		return luksheader.ErrLocked
	}
	e.cipher.Decrypt(p, p, e.sector(guest, host))
	return nil
}

func (e *encryption) sector(guest, host int64) uint64 {
	if e.byHost {
		return uint64(host / driver.SectorSize)
	}
	return uint64(guest / driver.SectorSize)
}

// Wipe forgets the key.
func (e *encryption) Wipe() {
	if e.volume != nil {
		e.volume.Wipe()
	}
	e.cipher.Wipe()
}

// unlocker opens encrypted images by the options of one.
type unlocker struct {
	o *driver.Opening
	c *encryptConfig
}

// checkFormat refuses an image that is encrypted otherwise than the options say.
func (u *unlocker) checkFormat(h *header) error {
	is, want := cryptName(h.Crypt), u.c.Format
	switch {
	case want == "" || is == want:
		return nil
	case is == "":
		return invalid("No encryption in image header, but options specified format '%s'", want)
	}
	return invalid("Header reported '%s' encryption format but options specify '%s'", is, want)
}

// unlock finds the key of an image.
func (u *unlocker) unlock(ctx context.Context, file driver.Node, h *header) (*encryption, error) {
	passphrase, err := u.c.Passphrase(u.o, encryptPrefix)
	if err != nil {
		return nil, err
	}
	defer passphrase.Wipe()
	if h.Crypt == cryptLUKS {
		return u.unlockLUKS(ctx, file, h, passphrase)
	}
	if u.o.Mode.NoIO {
		return &encryption{}, nil
	}
	if passphrase == nil {
		if passphrase, err = u.o.Ask(ctx,
			driver.Question{Image: u.o.Filename, Legacy: true}); err != nil {
			return nil, err
		}
		defer passphrase.Wipe()
	}
	u.o.Notify(driver.LegacyEncryption{})
	return newAES(passphrase)
}

func (u *unlocker) unlockLUKS(
	ctx context.Context, file driver.Node, h *header, passphrase driver.Secret,
) (*encryption, error) {
	l, err := luksheader.ReadLikeQEMU(ctx, h.cryptoStore(file))
	if err != nil {
		return nil, err
	}
	v, err := u.c.Unlock(ctx, u.o, l, passphrase)
	if err != nil {
		return nil, err
	}
	return &encryption{cipher: v.Cipher, byHost: true, volume: v}, nil
}

// cryptoStore is where the LUKS header is.
func (h *header) cryptoStore(file driver.Node) luksheader.NodeStore {
	return luksheader.NodeStore{Node: file, Off: h.crypto.Off, Len: h.crypto.Len}
}

// newAES is the older way: the key is the first 16 bytes of the passphrase.
func newAES(passphrase driver.Secret) (*encryption, error) {
	var key [16]byte
	defer clear(key[:])
	copy(key[:], passphrase)
	c, err := sectorcipher.New(sectorcipher.SplitSpec("aes-cbc-plain64"), key[:], driver.SectorSize)
	return &encryption{cipher: c}, err
}

// cryptoExtensionLen is the length of the extension that says where the LUKS header is.
const cryptoExtensionLen = 16

// cryptoExtension reads where the LUKS header is.
func (c *firstCluster) cryptoExtension(at format.Span) error {
	h := c.h
	switch {
	case h.Crypt != cryptLUKS:
		return invalid("CRYPTO header extension only expected with LUKS encryption method")
	case at.Len != cryptoExtensionLen:
		return invalid("CRYPTO header extension size %d, but expected size %d",
			at.Len,
			cryptoExtensionLen)
	}
	data, err := c.read(at, "Unable to read CRYPTO header extension")
	if err != nil {
		return err
	}
	off, n := binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
	if off%uint64(c.size()) != 0 {
		return invalid(
			"Encryption header offset '%d' is not a multiple of cluster size '%d'", off, c.size())
	}
	if off == 0 || off > maxHostOffset || n > maxHostOffset-off || n == 0 {
		return invalid("The encryption header cannot be at %d, %d bytes long", off,
			n)
	}
	h.crypto = format.Span{Off: int64(off), Len: int64(n)}
	return nil
}

// unlock makes guest data of an encrypted image readable. An image that is only checked needs no
// key, since its metadata is not encrypted.
func (q *image) unlock(ctx context.Context) error {
	h := q.hdr
	switch {
	case h.Crypt == cryptNone || q.checking && !q.likeQEMU:
		return nil
	case h.Crypt == cryptLUKS && h.crypto.Len == 0:
		return invalid("Missing CRYPTO header for crypt method %d", h.Crypt)
	}
	e, err := q.unlocker.unlock(ctx, q.file, h)
	if err != nil {
		return err
	}
	q.encryption, q.Transform = e, e
	return nil
}

// Keeper is the LUKS header, nil if there is none.
func (q *image) Keeper() driver.Keeper {
	if q.encryption == nil || q.encryption.volume == nil {
		return nil
	}
	return q.encryption.volume
}

// encryptionDetails tells of encryption what QEMU's info does, nil if there is none.
func (q *image) encryptionDetails() []driver.Detail {
	switch {
	case q.hdr.Crypt == cryptNone:
		return nil
	case q.encryption == nil || q.encryption.volume == nil:
		return []driver.Detail{{Key: "format", Value: cryptName(q.hdr.Crypt)}}
	}
	return q.encryption.volume.Describe(cryptName(cryptLUKS))
}

// wanted is how a new image is to be encrypted.
func (c *createConfig) wanted() (crypt uint32, err error) {
	switch {
	case c.Encrypt.Format != "" && c.Encryption != nil:
		return 0, invalid(
			"'encrypt.format' and its alias 'encryption' can't be used at the same time")
	case c.Encrypt.Format == cryptName(cryptLUKS):
		return cryptLUKS, nil
	case c.Encrypt.Format != "" || or(c.Encryption, false):
		return cryptAES, nil
	}
	return cryptNone, nil
}

// checkEncryption decides whether a new image can be encrypted as wanted.
func checkEncryption(c *driver.Creating) error {
	v := c.Config.(*createConfig)
	crypt, err := v.wanted()
	if err != nil || crypt == cryptNone {
		return err
	}
	if crypt == cryptLUKS {
		if _, err := v.Encrypt.Config(); err != nil {
			return err
		}
	}
	return luksheader.CheckPassphrase(c, v.Encrypt.KeySecret, encryptPrefix)
}

// encrypt makes a new image, without data yet, an encrypted one.
func (q *image) encrypt(ctx context.Context, c *driver.Creating) error {
	v := c.Config.(*createConfig)
	crypt, err := v.wanted()
	if err != nil || crypt == cryptNone {
		return err
	}
	var at format.Span
	if crypt == cryptLUKS {
		if at, err = q.makeLUKS(ctx, c); err != nil {
			return err
		}
	}
	return q.changeHeader(ctx, func(h *header) { h.Crypt, h.crypto = crypt, at })
}

// makeLUKS writes a LUKS header into clusters of its own.
func (q *image) makeLUKS(ctx context.Context, c *driver.Creating) (at format.Span, err error) {
	v := c.Config.(*createConfig)
	cfg, err := v.Encrypt.Config()
	if err != nil {
		return at, err
	}
	passphrase, err := luksheader.NewPassphrase(ctx, c, v.Encrypt.KeySecret)
	if err != nil {
		return at, err
	}
	defer passphrase.Wipe()
	cfg.Passphrase = passphrase
	at.Len = cfg.HeaderLen()
	if at.Off, err = q.allocate(ctx, at.Len); err != nil {
		return at, refuseWith(err, "Cannot allocate cluster for LUKS header size "+
			fmt.Sprint(at.Len))
	}
	// no byte of it may be what was in the file before
	if err := q.writeFile(ctx, make([]byte, q.roundUp(at.Len)), at.Off); err != nil {
		return at, refuseWith(err, "Could not write LUKS header")
	}
	_, key, err := luksheader.Create(ctx,
		luksheader.NodeStore{Node: q.file, Off: at.Off, Len: at.Len}, cfg)
	clear(key)
	return at, err
}

// encryptionLen is the room that the header of an encryption takes in a new image, in bytes.
func (c *createConfig) encryptionLen(g *geometry) (int64, error) {
	crypt, err := c.wanted()
	if err != nil || crypt != cryptLUKS {
		return 0, err
	}
	cfg, err := c.Encrypt.Config()
	return g.roundUp(cfg.HeaderLen()), err
}
