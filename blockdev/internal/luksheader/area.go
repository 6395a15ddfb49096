package luksheader

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// Slot is a place for the volume key: its material is encrypted with a key of the slot's own.
type Slot struct {
	Active   bool
	KDF      KDF
	Off, Len int64 // of the material, in bytes; 0 where there is no place yet
	Stripes  int

	spec     sectorcipher.Spec
	keyLen   int    // of the slot's key
	split    string // hash
	priority int    // see base.order
}

// overlaps says whether the material of two slots shares bytes.
func (s Slot) overlaps(other Slot) bool {
	return s.Off < other.Off+other.Len && other.Off < s.Off+s.Len
}

// open is the key of n bytes that the material holds, if the passphrase is right, and rubbish of
// the same length otherwise.
func (s Slot) open(
	ctx context.Context, from Store, n int, passphrase []byte, l Limits,
) ([]byte, error) {
	newHash, err := sectorcipher.Hash(s.split)
	if err != nil {
		return nil, err
	}
	c, err := s.cipher(ctx, passphrase, l)
	if err != nil {
		return nil, err
	}
	defer c.Wipe()
	material := make([]byte, materialLen(n))
	if err := from.ReadAt(ctx, material, s.Off); err != nil {
		return nil, driver.Refuse("Failed to read key material: %w", err)
	}
	material = material[:n*stripes]
	c.Decrypt(material, material, 0)
	defer clear(material)
	return merge(newHash, material, n), nil
}

// seal puts a key into the slot, as costly as wanted, on stable storage.
func (s *Slot) seal(ctx context.Context, to Store, cost Cost, key, passphrase []byte) (err error) {
	if s.KDF, err = cost.choose(ctx, len(key)); err != nil {
		return err
	}
	newHash, err := sectorcipher.Hash(cost.Hash)
	if err != nil {
		return err
	}
	c, err := s.cipher(ctx, passphrase, Limits{})
	if err != nil {
		return err
	}
	defer c.Wipe()
	material := make([]byte, materialLen(len(key)))
	plain := split(newHash, key)
	c.Encrypt(material[:len(plain)], plain, 0)
	clear(plain)
	return put(ctx, to, material, s.Off, "Unable to write key material")
}

// put writes p on stable storage. failed is for the error.
func put(ctx context.Context, to Store, p []byte, off int64, failed string) error {
	err := to.WriteAt(ctx, p, off)
	if err == nil {
		err = to.Flush(ctx)
	}
	if err != nil {
		return driver.Refuse("%s: %w", failed, err)
	}
	return nil
}

// cipher is that of the material. Its sectors count from the beginning of the material.
func (s Slot) cipher(ctx context.Context, passphrase []byte, l Limits) (
	*sectorcipher.Cipher, error,
) {
	key, err := s.KDF.derive(ctx, passphrase, s.keyLen, l)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return sectorcipher.New(s.spec, key, sectorcipher.Unit)
}

// wipe overwrites a range with what nobody can guess.
func wipe(ctx context.Context, s Store, off, n int64) error {
	const piece = 64 << 10
	for done := int64(0); done < n; done += piece {
		if err := s.WriteAt(ctx, random(int(min(piece, n-done))), off+done); err != nil {
			return driver.Refuse("Unable to erase key material: %w", err)
		}
	}
	return s.Flush(ctx)
}
