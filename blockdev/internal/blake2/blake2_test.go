package blake2

import (
	"bytes"
	"hash"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
)

// TestPeer hashes messages of all lengths around blocks, in parts, and compares with another
// implementation.
func TestPeer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	message := make([]byte, 1000)
	for i := range message {
		message[i] = byte(rng.Uint32())
	}
	pairs := map[string]func() (ours, theirs hash.Hash){
		"b512": func() (hash.Hash, hash.Hash) { h, _ := blake2b.New512(nil); return New512(), h },
		"b1":   func() (hash.Hash, hash.Hash) { h, _ := blake2b.New(1, nil); return New(1), h },
		"b33":  func() (hash.Hash, hash.Hash) { h, _ := blake2b.New(33, nil); return New(33), h },
		"s256": func() (hash.Hash, hash.Hash) { h, _ := blake2s.New256(nil); return New256(), h },
	}
	for name, pair := range pairs {
		ours, theirs := pair()
		if ours.Size() != theirs.Size() || ours.BlockSize() != theirs.BlockSize() {
			t.Errorf("%s: %d bytes of blocks of %d", name, ours.Size(), ours.BlockSize())
		}
		for n := range 600 {
			ours.Reset()
			theirs.Reset()
			theirs.Write(message[:n])
			for at := 0; at < n; {
				k := min(n-at, 1+rng.IntN(200))
				ours.Write(message[at : at+k])
				at += k
				ours.Sum(nil) // changes nothing
			}
			got, want := ours.Sum([]byte("x")), theirs.Sum([]byte("x"))
			if !bytes.Equal(got, want) {
				t.Fatalf("%s of %d bytes: %x, want %x", name, n, got, want)
			}
		}
	}
}

func BenchmarkNew512(b *testing.B) {
	h, m := New512(), make([]byte, 64<<10)
	b.SetBytes(int64(len(m)))
	for b.Loop() {
		h.Write(m)
	}
}
