package sectorcipher

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	//lint:ignore SA1019 disks are encrypted with it
	"golang.org/x/crypto/cast5"
	//lint:ignore SA1019 disks are encrypted with it
	"golang.org/x/crypto/twofish"

	"github.com/blksh/blksh/blockdev/internal/serpent"
)

// Spec says how units are encrypted, in the words of LUKS.
type Spec struct {
	Cipher string // "aes", "serpent", "twofish", "cast5"
	Mode   string // "xts", "cbc", "ctr", "ecb"
	IV     string // one of IVNames, "" for none (ecb)
	IVHash string // of essiv
}

// ParseSpec reads the name of a cipher and a mode string such as "xts-plain64", "cbc-essiv:sha256"
// or "ecb".
func ParseSpec(name, mode string) Spec {
	spec := Spec{Cipher: name}
	spec.Mode, spec.IV, _ = strings.Cut(mode, "-")
	spec.IV, spec.IVHash, _ = strings.Cut(spec.IV, ":")
	return spec
}

// SplitSpec reads all in one word, such as "aes-xts-plain64".
func SplitSpec(s string) Spec {
	name, mode, _ := strings.Cut(s, "-")
	return ParseSpec(name, mode)
}

// ModeString is the mode as LUKS writes it.
func (s Spec) ModeString() string {
	text := s.Mode
	if s.IV != "" {
		text += "-" + s.IV
	}
	if s.IVHash != "" {
		text += ":" + s.IVHash
	}
	return text
}

func (s Spec) String() string { return s.Cipher + "-" + s.ModeString() }

// UnsupportedError is the refusal of a cipher, mode, IV or hash by its name. The words are QEMU's
// where it has any.
type UnsupportedError struct{ text string }

func (e *UnsupportedError) Error() string { return e.text }

func refuse(text string, args ...any) error { return &UnsupportedError{fmt.Sprintf(text, args...)} }

const aesBlock = aes.BlockSize

// blockCipher is a block cipher that LUKS knows by a name.
type blockCipher struct {
	name  string
	title string
	keys  []int // lengths of its keys, in bytes
	block int   // length of a block
	make  func(key []byte) (cipher.Block, error)
}

var ciphers = [...]blockCipher{
	{"aes", "AES", []int{16, 24, 32}, aesBlock, aes.NewCipher},
	{"serpent", "Serpent", []int{16, 24, 32}, serpent.BlockSize, serpent.New},
	{"twofish", "Twofish", []int{16, 24, 32}, twofish.BlockSize, newTwofish},
	{"cast5", "CAST5", []int{cast5.KeySize}, cast5.BlockSize, newCAST5},
}

func findCipher(name string) (_ blockCipher, known bool) {
	for _, c := range ciphers {
		if c.name == name {
			return c, true
		}
	}
	return blockCipher{}, false
}

func newTwofish(key []byte) (cipher.Block, error) { return twofish.NewCipher(key) }

func newCAST5(key []byte) (cipher.Block, error) { return cast5.NewCipher(key) }

// Modes are the names of the modes.
var Modes = []string{"xts", "cbc", "ctr", "ecb"}

// Check says whether New can make a cipher with a key of keyLen bytes. Nothing is made. The words
// are QEMU's, and so is which of several is said.
func (s Spec) Check(keyLen int) error {
	c, known := findCipher(s.Cipher)
	one := keyLen
	if s.Mode == "xts" {
		one = keyLen / 2
	}
	var newHash func() hash.Hash
	var err error
	if s.IVHash != "" {
		newHash, err = Hash(s.IVHash)
	}
	switch {
	case s.IV == "" && s.Mode != "ecb":
		return refuse("Unexpected cipher mode string format '%s'", s.ModeString())
	case !slices.Contains(Modes, s.Mode):
		return refuse("Cipher mode '%s' not supported", s.Mode)
	case !known || !slices.Contains(c.keys, one) || s.Mode == "xts" && keyLen%2 != 0:
		if err != nil {
			return err
		}
		return refuse("Algorithm '%s' with key size %d bytes not supported", s.Cipher, one)
	case s.IV != "" && !slices.Contains(IVNames, s.IV):
		return refuse("IV generator '%s' not supported", s.IV)
	case err != nil:
		return err
	case s.Mode == "xts" && c.block != xtsBlock:
		return refuse("Unsupported cipher mode xts")
	case s.IV != "essiv":
		return nil
	case newHash == nil:
		return errNoHash
	}
	_, err = s.essivCipher(newHash().Size())
	return err
}

// errNoHash is the refusal of essiv alone.
var errNoHash error = &UnsupportedError{"Missing IV generator hash specification"}

// essivCipher is the block cipher that encrypts the numbers of sectors: the same one as for the
// data, with a key as long as the hash.
func (s Spec) essivCipher(keyLen int) (blockCipher, error) {
	c, _ := findCipher(s.Cipher)
	switch {
	case slices.Contains(c.keys, keyLen):
		return c, nil
	case s.Cipher == "cast5":
		return c, refuse("Cipher cast5-128 not supported with essiv")
	}
	return c, refuse("No %s cipher with key size %d available", c.title, keyLen)
}

// Unit is the usual length of a unit, in bytes, and what sectors are counted in.
const Unit = 512

// ivGroup is the number of blocks that IVs come in a multiple of.
const ivGroup = 8

// ivsAtOnce is how many units are encrypted at a time.
const ivsAtOnce = 8 * ivGroup

// Cipher encrypts the units of a disk. It may be used by many goroutines at once.
type Cipher struct {
	spec  Spec
	block int // length of a block of the cipher
	unit  int
	mode  mode
	iv    ivMaker
}

// New makes a cipher with units of unit bytes, a power of two from 512 on. key is not kept.
func New(spec Spec, key []byte, unit int) (*Cipher, error) {
	if err := spec.Check(len(key)); err != nil {
		return nil, err
	}
	known, _ := findCipher(spec.Cipher)
	iv, err := newIV(spec, key, known.block)
	if err != nil {
		return nil, err
	}
	m, err := newMode(spec.Mode, known.make, key)
	if err != nil {
		return nil, err
	}
	if spec.Cipher == "aes" {
		m = fastAES(spec.Mode, key, m)
	}
	return &Cipher{spec: spec, block: known.block, unit: unit, mode: m, iv: iv}, nil
}

// Wipe overwrites what this package expanded of the key. What the ciphers of the standard library
// keep is out of reach. The cipher must not be used afterwards. None is nothing to wipe.
func (c *Cipher) Wipe() {
	if c == nil {
		return
	}
	if w, ok := c.mode.(interface{ wipe() }); ok {
		w.wipe()
	}
}

// ivBuffers hold the IVs of a call.
var ivBuffers = sync.Pool{New: func() any { return new([ivsAtOnce * 16]byte) }}

// Encrypt encrypts src into dst, which is as long and may be src itself. src begins at the sector
// of that number, counted in 512 bytes whatever the length of a unit, and is a number of units; the
// last one may be shorter, by whole blocks of the cipher.
func (c *Cipher) Encrypt(dst, src []byte, sector uint64) { c.run(dst, src, sector, c.mode.encrypt) }

// Decrypt is the opposite of Encrypt.
func (c *Cipher) Decrypt(dst, src []byte, sector uint64) { c.run(dst, src, sector, c.mode.decrypt) }

func (c *Cipher) run(
	dst, src []byte, sector uint64, do func(dst, src []byte, unit int, ivs []byte),
) {
	buffer := ivBuffers.Get().(*[ivsAtOnce * 16]byte)
	defer ivBuffers.Put(buffer)
	for len(src) > 0 {
		unit := min(c.unit, len(src))
		units := min(len(src)/unit, ivsAtOnce)
		clear(buffer[:units*c.block])
		for i := range units {
			c.iv(buffer[i*c.block:(i+1)*c.block], sector)
			sector += uint64(c.unit / Unit)
		}
		n := units * unit
		do(dst[:n], src[:n], unit, buffer[:units*c.block])
		dst, src = dst[n:], src[n:]
	}
}
