package serpent

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"
)

// tables are the S-boxes of the specification.
var tables = [8][16]byte{
	{3, 8, 15, 1, 10, 6, 5, 11, 14, 13, 4, 2, 7, 0, 9, 12},
	{15, 12, 2, 7, 9, 0, 5, 10, 1, 11, 14, 8, 6, 13, 3, 4},
	{8, 6, 7, 9, 3, 12, 10, 15, 13, 1, 14, 4, 0, 11, 5, 2},
	{0, 15, 11, 8, 12, 9, 6, 3, 13, 1, 2, 4, 10, 7, 5, 14},
	{1, 15, 8, 3, 12, 0, 11, 6, 2, 5, 4, 10, 9, 14, 7, 13},
	{15, 5, 2, 11, 4, 10, 9, 12, 0, 3, 14, 8, 13, 6, 7, 1},
	{7, 2, 12, 5, 8, 4, 6, 11, 14, 9, 1, 15, 13, 3, 10, 0},
	{1, 13, 15, 0, 14, 8, 2, 11, 7, 4, 12, 10, 9, 3, 5, 6},
}

// TestBoxes holds the formulas against the tables, at every bit of a word.
func TestBoxes(t *testing.T) {
	slice := func(in byte) words {
		return words{-uint32(in & 1), -uint32(in >> 1 & 1), -uint32(in >> 2 & 1), -uint32(in >> 3)}
	}
	for i, table := range tables {
		for in, out := range table {
			if got := slice(byte(in)).through(sbox[i]); got != slice(out) {
				t.Errorf("S%d(%d) = %x, want %d", i, in, got, out)
			}
			if got := slice(out).through(unbox[i]); got != slice(byte(in)) {
				t.Errorf("the inverse of S%d(%d) = %x, want %d", i, out, got, in)
			}
		}
	}
}

// TestVectors are those of NESSIE (the first of each set 1), and those that the authors gave to the
// AES contest (the first ones of ecb_vk and ecb_vt), which write all numbers from their highest
// byte on.
func TestVectors(t *testing.T) {
	for _, v := range []struct {
		key, plain, encrypted string
		reversed              bool
	}{
		{
			key:       "80000000000000000000000000000000",
			plain:     "00000000000000000000000000000000",
			encrypted: "264e5481eff42a4606abda06c0bfda3d",
		},
		{
			key:       "800000000000000000000000000000000000000000000000",
			plain:     "00000000000000000000000000000000",
			encrypted: "9e274ead9b737bb21efcfca548602689",
		},
		{
			key:       "8000000000000000000000000000000000000000000000000000000000000000",
			plain:     "00000000000000000000000000000000",
			encrypted: "a223aa1288463c0e2be38ebd825616c0",
		},
		{
			key:       "80000000000000000000000000000000",
			plain:     "00000000000000000000000000000000",
			encrypted: "49afbfad9d5a34052cd8ffa5986bd2dd",
			reversed:  true,
		},
		{
			key:       "00000000000000000000000000000000",
			plain:     "80000000000000000000000000000000",
			encrypted: "10b5ffb720b8cb9002a1142b0ba2e94a",
			reversed:  true,
		},
	} {
		bytesOf := func(text string) []byte {
			p, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if v.reversed {
				slices.Reverse(p)
			}
			return p
		}
		c, err := New(bytesOf(v.key))
		if err != nil {
			t.Fatal(err)
		}
		got := bytesOf(v.plain)
		c.Encrypt(got, got)
		if want := bytesOf(v.encrypted); !bytes.Equal(got, want) {
			t.Errorf("key %s, reversed %v: %x, want %x", v.key, v.reversed, got, want)
		}
		c.Decrypt(got, got)
		if !bytes.Equal(got, bytesOf(v.plain)) {
			t.Errorf("key %s: decrypted to %x", v.key, got)
		}
	}
}

// TestInverse decrypts what was encrypted, with keys of each length.
func TestInverse(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 200 {
		for _, n := range []int{16, 24, 32} {
			key, plain, got := make([]byte, n), make([]byte, BlockSize), make([]byte, BlockSize)
			random.Read(key)
			random.Read(plain)
			c, err := New(key)
			if err != nil {
				t.Fatal(err)
			}
			c.Encrypt(got, plain)
			c.Decrypt(got, got)
			if !bytes.Equal(got, plain) {
				t.Fatalf("key %x: %x became %x", key, plain, got)
			}
		}
	}
}

func TestKeySize(t *testing.T) {
	for _, n := range []int{0, 15, 17, 33} {
		if _, err := New(make([]byte, n)); err != KeySizeError(n) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	c, err := New(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, BlockSize)
	b.SetBytes(BlockSize)
	for b.Loop() {
		c.Decrypt(p, p)
	}
}
