package sectorcipher

import (
	"encoding/binary"
	"math/bits"
)

// ivMaker writes the IV of the unit that begins at sector, counted in 512 bytes, into iv, which is
// zeroes and as long as a block.
type ivMaker func(iv []byte, sector uint64)

// IVNames are the ways to make IVs, as LUKS names them; essiv wants a hash behind a colon.
var IVNames = []string{"null", "plain", "plain64", "plain64be", "benbi", "essiv"}

// newIV makes the one that spec names. block is the cipher that it is for, of the length size.
func newIV(spec Spec, key []byte, size int) (ivMaker, error) {
	switch spec.IV {
	case "", "null":
		return func([]byte, uint64) {}, nil
	case "plain": // counts modulo 2^32
		return func(iv []byte, sector uint64) {
			binary.LittleEndian.PutUint32(iv, uint32(sector))
		}, nil
	case "plain64":
		return countLittle, nil
	case "plain64be":
		return func(iv []byte, sector uint64) {
			binary.BigEndian.PutUint64(iv[size-8:], sector)
		}, nil
	case "benbi": // counts blocks of the cipher, from 1
		shift := 9 - bits.TrailingZeros(uint(size))
		return func(iv []byte, sector uint64) {
			binary.BigEndian.PutUint64(iv[size-8:], sector<<shift+1)
		}, nil
	case "essiv":
		return newESSIV(spec, key)
	}
	return nil, refuse("IV generator '%s' not supported", spec.IV)
}

func countLittle(iv []byte, sector uint64) { binary.LittleEndian.PutUint64(iv, sector) }

// newESSIV encrypts the number of the sector with a key that is the hash of the disk's.
func newESSIV(spec Spec, key []byte) (ivMaker, error) {
	newHash, err := Hash(spec.IVHash)
	if err != nil {
		return nil, err
	}
	h := newHash()
	h.Write(key)
	salt := h.Sum(nil)
	defer clear(salt)
	c, err := spec.essivCipher(len(salt))
	if err != nil {
		return nil, err
	}
	block, err := c.make(salt)
	if err != nil {
		return nil, err
	}
	return func(iv []byte, sector uint64) {
		binary.LittleEndian.PutUint64(iv, sector)
		block.Encrypt(iv, iv)
	}, nil
}
