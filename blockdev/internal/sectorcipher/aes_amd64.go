//go:build !purego

package sectorcipher

import (
	"encoding/binary"
	"math/bits"

	"github.com/blksh/blksh/blockdev/internal/cpu"
)

// hasAES says whether the processor runs the assembly of this package.
func hasAES() bool { return cpu.Has(cpu.AES | cpu.AVX) }

const (
	groupBlocks = 8 // blocks that the assembly works on at a time
	groupLen    = groupBlocks * aesBlock
	maxRounds   = 14
)

// The functions in assembly work on groups > 0 groups of eight blocks. dst may be src, but may not
// overlap it in any other way. tweak and iv are left as those of the block that follows.
//
//go:noescape
func xtsEncrypt(keys *byte, rounds int, tweak, dst, src *byte, groups int)

//go:noescape
func xtsDecrypt(keys *byte, rounds int, tweak, dst, src *byte, groups int)

//go:noescape
func ecbEncrypt(keys *byte, rounds int, dst, src *byte, groups int)

//go:noescape
func cbcDecrypt(keys *byte, rounds int, iv, dst, src *byte, groups int)

// subWord applies the S-box to each byte of a word.
func subWord(w uint32) uint32

// invMixColumns turns a round key for encryption into one for decryption.
//
//go:noescape
func invMixColumns(dst, src *byte)

// schedule is a key of AES, expanded for both directions.
type schedule struct {
	rounds   int
	enc, dec roundKeys
}

type roundKeys [(maxRounds + 1) * aesBlock]byte

// expand is the key expansion of FIPS 197, 5.2. key is 16, 24 or 32 bytes long.
func (s *schedule) expand(key []byte) {
	words := len(key) / 4
	s.rounds = words + 6
	copy(s.enc[:], key)
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(s.enc[4*i:]) }
	round := uint32(1)
	for i := words; i < 4*(s.rounds+1); i++ {
		w := word(i - 1)
		switch {
		case i%words == 0:
			w = subWord(bits.RotateLeft32(w, -8)) ^ round
			round = round<<1 ^ round>>7*0x11b
		case words > 6 && i%words == 4:
			w = subWord(w)
		}
		binary.LittleEndian.PutUint32(s.enc[4*i:], word(i-words)^w)
	}
	for r := range s.rounds + 1 { // the equivalent inverse cipher of 5.3.5
		from, to := r*aesBlock, (s.rounds-r)*aesBlock
		if r == 0 || r == s.rounds {
			copy(s.dec[to:to+aesBlock], s.enc[from:])
		} else {
			invMixColumns(&s.dec[to], &s.enc[from])
		}
	}
}

// fastXTS is XTS by the processor's AES. What does not fill a group of eight blocks is left to the
// plain mode.
type fastXTS struct {
	data, tweak schedule
	plain       mode
}

// fastCBC decrypts CBC by the processor's AES. Encryption is a chain of single blocks, which gains
// nothing from it.
type fastCBC struct {
	mode
	schedule schedule
}

// fastAES is the mode for a key of AES by the processor; without that plain, which is the same mode
// in plain Go.
func fastAES(name string, key []byte, plain mode) mode {
	if !hasAES() {
		return plain
	}
	switch name {
	case "xts":
		f := &fastXTS{plain: plain}
		f.data.expand(key[:len(key)/2])
		f.tweak.expand(key[len(key)/2:])
		return f
	case "cbc":
		f := &fastCBC{mode: plain}
		f.schedule.expand(key)
		return f
	}
	return plain
}

// encryptTweaks makes tweaks of IVs, and of what stands behind them in the last group.
func (f *fastXTS) encryptTweaks(ivs []byte) {
	groups := (len(ivs) + groupLen - 1) / groupLen
	ivs = ivs[:groups*groupLen]
	ecbEncrypt(&f.tweak.enc[0], f.tweak.rounds, &ivs[0], &ivs[0], groups)
}

func (f *fastXTS) wipe() { f.data, f.tweak = schedule{}, schedule{} }

func (f *fastCBC) wipe() { f.schedule = schedule{} }

func (f *fastXTS) encrypt(dst, src []byte, unit int, ivs []byte) {
	if unit%groupLen != 0 {
		f.plain.encrypt(dst, src, unit, ivs)
		return
	}
	f.encryptTweaks(ivs)
	eachFast(dst, src, unit, ivs, &f.data.enc, f.data.rounds, xtsEncrypt)
}

func (f *fastXTS) decrypt(dst, src []byte, unit int, ivs []byte) {
	if unit%groupLen != 0 {
		f.plain.decrypt(dst, src, unit, ivs)
		return
	}
	f.encryptTweaks(ivs)
	eachFast(dst, src, unit, ivs, &f.data.dec, f.data.rounds, xtsDecrypt)
}

func (f *fastCBC) decrypt(dst, src []byte, unit int, ivs []byte) {
	if unit%groupLen != 0 {
		f.mode.decrypt(dst, src, unit, ivs)
		return
	}
	eachFast(dst, src, unit, ivs, &f.schedule.dec, f.schedule.rounds, cbcDecrypt)
}

// eachFast calls do for every unit and its IV.
func eachFast(
	dst, src []byte, unit int, ivs []byte, keys *roundKeys, rounds int,
	do func(keys *byte, rounds int, iv, dst, src *byte, groups int),
) {
	for ; len(src) > 0; src, dst, ivs = src[unit:], dst[unit:], ivs[aesBlock:] {
		do(&keys[0], rounds, &ivs[0], &dst[0], &src[0], unit/groupLen)
	}
}
