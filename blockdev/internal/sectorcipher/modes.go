package sectorcipher

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// mode turns a block cipher into one of units.
//
// src is a number of whole units of unit bytes each, a multiple of the block length, and dst is as
// long; both may be the same memory, but may not overlap otherwise. ivs has an IV of the length of
// a block for each unit, and is overwritten; its capacity is a multiple of ivGroup blocks.
type mode interface {
	encrypt(dst, src []byte, unit int, ivs []byte)
	decrypt(dst, src []byte, unit int, ivs []byte)
}

// newMode makes the mode called name. Its keys are those that modeKeys tells.
func newMode(name string, block func(key []byte) (cipher.Block, error), key []byte) (mode, error) {
	if name == "xts" {
		data, err := block(key[:len(key)/2])
		if err != nil {
			return nil, err
		}
		tweak, err := block(key[len(key)/2:])
		return xtsMode{data, tweak}, err
	}
	b, err := block(key)
	if err != nil {
		return nil, err
	}
	switch name {
	case "cbc":
		return cbcMode{b}, nil
	case "ctr":
		return ctrMode{b}, nil
	}
	return ecbMode{b}, nil
}

// each calls do for every unit and its IV.
func each(dst, src []byte, unit int, ivs []byte, size int, do func(dst, src, iv []byte)) {
	for ; len(src) > 0; src, dst, ivs = src[unit:], dst[unit:], ivs[size:] {
		do(dst[:unit], src[:unit], ivs[:size])
	}
}

// ecbMode encrypts each block for itself. It shows which blocks are alike.
type ecbMode struct{ cipher.Block }

func (m ecbMode) encrypt(dst, src []byte, _ int, _ []byte) {
	for n := m.BlockSize(); len(src) > 0; src, dst = src[n:], dst[n:] {
		m.Encrypt(dst, src)
	}
}

func (m ecbMode) decrypt(dst, src []byte, _ int, _ []byte) {
	for n := m.BlockSize(); len(src) > 0; src, dst = src[n:], dst[n:] {
		m.Decrypt(dst, src)
	}
}

// cbcMode adds to each block the encrypted one before it (NIST SP 800-38A, 6.2).
type cbcMode struct{ cipher.Block }

func (m cbcMode) encrypt(dst, src []byte, unit int, ivs []byte) {
	n := m.BlockSize()
	each(dst, src, unit, ivs, n, func(dst, src, iv []byte) {
		for ; len(src) > 0; src, dst = src[n:], dst[n:] {
			subtle.XORBytes(iv, iv, src[:n])
			m.Encrypt(dst, iv)
			copy(iv, dst)
		}
	})
}

func (m cbcMode) decrypt(dst, src []byte, unit int, ivs []byte) {
	n := m.BlockSize()
	each(dst, src, unit, ivs, n, func(dst, src, iv []byte) {
		for at := len(src) - n; at >= 0; at -= n { // from the end, since dst may be src
			before := iv
			if at > 0 {
				before = src[at-n : at]
			}
			m.Decrypt(dst[at:], src[at:])
			subtle.XORBytes(dst[at:at+n], dst[at:at+n], before)
		}
	})
}

// ctrMode adds what the block cipher makes of a big-endian counter that begins with the IV (NIST
// SP 800-38A, 6.5).
type ctrMode struct{ cipher.Block }

func (m ctrMode) encrypt(dst, src []byte, unit int, ivs []byte) {
	n := m.BlockSize()
	pad := make([]byte, n)
	each(dst, src, unit, ivs, n, func(dst, src, counter []byte) {
		for ; len(src) > 0; src, dst = src[n:], dst[n:] {
			m.Encrypt(pad, counter)
			subtle.XORBytes(dst, src[:n], pad)
			for i := n - 1; i >= 0; i-- {
				counter[i]++
				if counter[i] != 0 {
					break
				}
			}
		}
	})
}

func (m ctrMode) decrypt(dst, src []byte, unit int, ivs []byte) { m.encrypt(dst, src, unit, ivs) }

// xtsMode adds a tweak before and after the cipher, which is the encrypted IV, multiplied by x in
// GF(2^128) for each further block (IEEE 1619). It is defined for blocks of 16 bytes.
type xtsMode struct{ data, tweak cipher.Block }

func (m xtsMode) encrypt(dst, src []byte, unit int, ivs []byte) {
	m.apply(dst, src, unit, ivs, m.data.Encrypt)
}

func (m xtsMode) decrypt(dst, src []byte, unit int, ivs []byte) {
	m.apply(dst, src, unit, ivs, m.data.Decrypt)
}

func (m xtsMode) apply(dst, src []byte, unit int, ivs []byte, block func(dst, src []byte)) {
	each(dst, src, unit, ivs, xtsBlock, func(dst, src, iv []byte) {
		m.tweak.Encrypt(iv, iv)
		low, high := binary.LittleEndian.Uint64(iv), binary.LittleEndian.Uint64(iv[8:])
		for ; len(src) > 0; src, dst = src[xtsBlock:], dst[xtsBlock:] {
			xorTweak(dst, src, low, high)
			block(dst, dst[:xtsBlock])
			xorTweak(dst, dst, low, high)
			low, high = low<<1^high>>63*0x87, high<<1|low>>63
		}
	})
}

// xtsBlock is the length of a block in XTS.
const xtsBlock = 16

func xorTweak(dst, src []byte, low, high uint64) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^low)
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:])^high)
}
