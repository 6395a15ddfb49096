package sectorcipher

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/xts"
)

// fill is n bytes that look random and are the same each time.
func fill(n int, seed byte) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func newCipher(t testing.TB, name, mode string, key []byte, unit int) *Cipher {
	t.Helper()
	c, err := New(ParseSpec(name, mode), key, unit)
	if err != nil {
		t.Fatalf("%s-%s with %d bytes: %v", name, mode, len(key), err)
	}
	return c
}

// plainTwin is c with its modes in plain Go.
func plainTwin(t testing.TB, c *Cipher, key []byte) *Cipher {
	t.Helper()
	known, _ := findCipher(c.spec.Cipher)
	m, err := newMode(c.spec.Mode, known.make, key)
	if err != nil {
		t.Fatal(err)
	}
	twin := *c
	twin.mode = m
	return &twin
}

// FuzzTwins holds the assembly, the plain modes and the libraries that Go has against each other.
func FuzzTwins(f *testing.F) {
	for seed := range byte(12) {
		f.Add(seed, uint8(seed%3), uint16(seed)*3+1, uint64(seed)<<29, seed%2 == 0, seed%5 == 0)
	}
	f.Add(byte(99), uint8(1), uint16(65), uint64(1)<<63, true, true)
	f.Fuzz(func(t *testing.T, seed, keyWords byte, blocks uint16, sector uint64, xts, large bool) {
		key := fill(16+8*int(keyWords%3), seed)
		mode, unit := "cbc-plain64", Unit
		if xts {
			mode, key = "xts-plain64", append(key, fill(len(key), seed+1)...)
		}
		if large {
			unit = 4096
		}
		plain := fill(int(blocks%4096)*aesBlock, seed+2)
		c := newCipher(t, "aes", mode, key, unit)
		twin := plainTwin(t, c, key)
		want := libraryEncrypt(t, mode, key, plain, sector, unit)
		for name, c := range map[string]*Cipher{"fast": c, "plain": twin} {
			got := make([]byte, len(plain))
			c.Encrypt(got, plain, sector)
			if !bytes.Equal(got, want) {
				t.Fatalf("%s %s: encrypted wrongly", name, mode)
			}
			c.Decrypt(got, got, sector) // in place
			if !bytes.Equal(got, plain) {
				t.Fatalf("%s %s: decrypted wrongly in place", name, mode)
			}
			c.Decrypt(got, want, sector)
			if !bytes.Equal(got, plain) {
				t.Fatalf("%s %s: decrypted wrongly", name, mode)
			}
		}
	})
}

// libraryEncrypt encrypts by golang.org/x/crypto/xts or crypto/cipher.
func libraryEncrypt(t *testing.T, mode string, key, plain []byte, sector uint64, unit int) []byte {
	t.Helper()
	got := make([]byte, len(plain))
	for at := 0; at < len(plain); at += unit {
		piece := plain[at:min(at+unit, len(plain))]
		if mode == "xts-plain64" {
			x, err := xts.NewCipher(aes.NewCipher, key)
			if err != nil {
				t.Fatal(err)
			}
			x.Encrypt(got[at:], piece, sector)
		} else {
			b, err := aes.NewCipher(key)
			if err != nil {
				t.Fatal(err)
			}
			iv := make([]byte, aesBlock)
			binary.LittleEndian.PutUint64(iv, sector)
			cipher.NewCBCEncrypter(b, iv).CryptBlocks(got[at:], piece)
		}
		sector += uint64(unit / Unit)
	}
	return got
}

// TestCTR holds the counter mode against crypto/cipher, with a counter that overflows.
func TestCTR(t *testing.T) {
	key := fill(32, 1)
	c := newCipher(t, "aes", "ctr-plain64be", key, Unit)
	plain := fill(2*Unit, 2)
	got := make([]byte, len(plain))
	const sector = 1<<64 - 2
	c.Encrypt(got, plain, sector)
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, len(plain))
	for i := range 2 {
		iv := make([]byte, aesBlock)
		binary.BigEndian.PutUint64(iv[8:], sector+uint64(i))
		cipher.NewCTR(b, iv).XORKeyStream(want[i*Unit:], plain[i*Unit:(i+1)*Unit])
	}
	if !bytes.Equal(got, want) {
		t.Error("encrypted wrongly")
	}
}

// TestIVs looks at what each generator makes, by decrypting what was encrypted with a known IV.
func TestIVs(t *testing.T) {
	key := fill(16, 1)
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	const sector = 0x123456789
	for mode, want := range map[string]string{
		"cbc-null":      "00000000000000000000000000000000",
		"cbc-plain":     "89674523000000000000000000000000",
		"cbc-plain64":   "89674523010000000000000000000000",
		"cbc-plain64be": "00000000000000000000000123456789",
		"cbc-benbi":     "00000000000000000000002468acf121", // × 32 blocks + 1
	} {
		c := newCipher(t, "aes", mode, key, Unit)
		got := make([]byte, aesBlock)
		c.Encrypt(got, got, sector)
		b.Decrypt(got, got)
		if text := fmt.Sprintf("%x", got); text != want {
			t.Errorf("%s: %s, want %s", mode, text, want)
		}
	}
}

// TestAll encrypts with everything that there is, and finds it again at any sector.
func TestAll(t *testing.T) {
	plain := fill(20*Unit, 3)
	for _, known := range ciphers {
		name := known.name
		for _, mode := range Modes {
			for _, iv := range IVNames {
				for _, n := range known.keys {
					if mode == "xts" {
						n *= 2
					}
					text := mode + "-" + iv
					if iv == "essiv" {
						text += map[int]string{
							16: ":md5",
							32: ":sha256",
						}[known.keys[len(known.keys)-1]]
					}
					spec := ParseSpec(name, text)
					if spec.ModeString() != text {
						t.Fatalf("%s became %s", text, spec.ModeString())
					}
					c, err := New(spec, fill(n, 4), Unit)
					if name == "cast5" && mode == "xts" {
						if err == nil {
							t.Error("xts with blocks of 8 bytes")
						}
						continue
					}
					if err != nil {
						t.Fatalf("%v with %d bytes: %v", spec, n, err)
					}
					checkSeek(t, c, plain)
				}
			}
		}
	}
}

// checkSeek encrypts all at once and decrypts parts.
func checkSeek(t *testing.T, c *Cipher, plain []byte) {
	t.Helper()
	const first = 1<<33 - 3
	encrypted := make([]byte, len(plain))
	c.Encrypt(encrypted, plain, first)
	for from := 0; from < len(plain); from += 7 * Unit {
		part := bytes.Clone(encrypted[from:])
		c.Decrypt(part, part, first+uint64(from/Unit))
		if !bytes.Equal(part, plain[from:]) {
			t.Fatalf("%v: decrypted wrongly from %d on", c.spec, from)
		}
	}
}

// TestRefused names what there is not.
func TestRefused(t *testing.T) {
	for _, r := range []struct {
		name, mode string
		key        int
		want       string
	}{
		{"idea", "cbc-plain64", 16, "Algorithm 'idea' with key size 16 bytes not supported"},
		{"aes", "xts-plain64", 20, "Algorithm 'aes' with key size 10 bytes not supported"},
		{"aes", "xts-plain64", 33, "Algorithm 'aes' with key size 16 bytes not supported"},
		{"aes", "lrw-benbi", 32, "Cipher mode 'lrw' not supported"},
		{"cast5", "xts-plain64", 32, "Unsupported cipher mode xts"},
		{"aes", "cbc", 32, "Unexpected cipher mode string format 'cbc'"},
		{"aes", "cbc-lmk", 32, "IV generator 'lmk' not supported"},
		{"aes", "cbc-essiv", 32, "Missing IV generator hash specification"},
		{"aes", "cbc-essiv:crc32", 32, "Hash algorithm 'crc32' not supported"},
		{"aes", "cbc-essiv:sha1", 32, "No AES cipher with key size 20 available"},
		{"cast5", "cbc-essiv:sha256", 16, "Cipher cast5-128 not supported with essiv"},
	} {
		_, err := New(ParseSpec(r.name, r.mode), make([]byte, r.key), Unit)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || err.Error() != r.want {
			t.Errorf("%s-%s: %v, want %s", r.name, r.mode, err, r.want)
		}
	}
}

// TestNoAllocation: what is done for every request takes no memory.
func TestNoAllocation(t *testing.T) {
	p := make([]byte, 64<<10)
	for _, mode := range []string{"xts-plain64", "cbc-essiv:sha256"} {
		c := newCipher(t, "aes", mode, make([]byte, 32), Unit)
		if n := testing.AllocsPerRun(20,
			func() { c.Encrypt(p, p, 5); c.Decrypt(p, p, 5) }); n >= 1 {
			t.Errorf("%s: %v allocations", mode, n)
		}
	}
}

func BenchmarkAES(b *testing.B) {
	for _, mode := range []string{"xts-plain64", "cbc-plain64"} {
		for _, unit := range []int{Unit, 4096} {
			key := make([]byte, 64)
			if mode == "cbc-plain64" {
				key = key[:32]
			}
			c := newCipher(b, "aes", mode, key, unit)
			p := make([]byte, 64<<10)
			for name, do := range map[string]func(dst, src []byte, sector uint64){
				"encrypt": c.Encrypt, "decrypt": c.Decrypt, "plain": plainTwin(b, c, key).Decrypt,
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", mode, unit, name), func(b *testing.B) {
					b.SetBytes(int64(len(p)))
					for b.Loop() {
						do(p, p, 7)
					}
				})
			}
		}
	}
}
