package luksheader

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// area is where the material of a slot is and how it is encrypted, with a key of the slot's own.
type area struct {
	Off    int64
	Spec   sectorcipher.Spec
	KeyLen int // of the slot's key
}

// open is the key of n bytes that the material holds, if the passphrase is right, and rubbish of
// the same length otherwise.
func (a area) open(
	ctx context.Context, s Store, kdf KDF, split string, n int, passphrase []byte, l Limits,
) ([]byte, error) {
	newHash, err := sectorcipher.Hash(split)
	if err != nil {
		return nil, err
	}
	c, err := a.cipher(ctx, kdf, passphrase, l)
	if err != nil {
		return nil, err
	}
	defer c.Wipe()
	material := make([]byte, materialLen(int64(n)))
	if err := s.ReadAt(ctx, material, a.Off); err != nil {
		return nil, driver.Refuse("Failed to read key material: %w", err)
	}
	material = material[:n*stripes]
	c.Decrypt(material, material, 0)
	defer clear(material)
	return merge(newHash, material, n), nil
}

// seal puts a key into the area, on stable storage.
func (a area) seal(ctx context.Context, s Store, kdf KDF, splitHash string, key,
	passphrase []byte,
) error {
	newHash, err := sectorcipher.Hash(splitHash)
	if err != nil {
		return err
	}
	c, err := a.cipher(ctx, kdf, passphrase, Limits{})
	if err != nil {
		return err
	}
	defer c.Wipe()
	material := make([]byte, materialLen(int64(len(key))))
	plain := split(newHash, key)
	c.Encrypt(material[:len(plain)], plain, 0)
	clear(plain)
	err = s.WriteAt(ctx, material, a.Off)
	if err == nil {
		err = s.Flush(ctx)
	}
	if err != nil {
		return driver.Refuse("Unable to write key material: %w", err)
	}
	return nil
}

// cipher is that of the material. Its sectors count from the beginning of the area.
func (a area) cipher(ctx context.Context, kdf KDF, passphrase []byte,
	l Limits,
) (*sectorcipher.Cipher, error) {
	key, err := kdf.derive(ctx, passphrase, a.KeyLen, l)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return sectorcipher.New(a.Spec, key, sectorcipher.Unit)
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
