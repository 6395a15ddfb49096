package argon2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/argon2"
)

// TestPeer makes keys of all kinds and compares them with another implementation's.
func TestPeer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []Cost{
		{1, 8, 1},
		{2, 9, 1},
		{3, 64, 1},
		{1, 32, 4},
		{4, 37, 4},
		{2, 100, 3},
		{1, 2048, 1},
		{3, 5000, 2},
		{1, 64 * 8, 64},
		{2, 64 * 9, 64},
	} {
		for how, peer := range map[Type]func(_, _ []byte, _, _ uint32, _ uint8, _ uint32) []byte{
			I: argon2.Key, ID: argon2.IDKey,
		} {
			t.Run(fmt.Sprintf("%d/%d-%d-%d", how, c.Passes, c.Memory, c.Lanes), func(t *testing.T) {
				for _, n := range []int{4, 32, 64, 65, 96, 200} {
					passphrase, salt := make([]byte, rng.IntN(200)), make([]byte, 8+rng.IntN(60))
					for i := range passphrase {
						passphrase[i] = byte(rng.Uint32())
					}
					salt[0] = byte(n)
					got, err := Key(t.Context(), how, passphrase, salt, c, n)
					want := peer(passphrase, salt, c.Passes, c.Memory, c.Lanes, uint32(n))
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%x, want %x: %v", got, want, err)
					}
				}
			})
		}
	}
}

// TestCompress compares the two ways to make a block.
func TestCompress(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		var to, x, y, scratch block
		for i := range x {
			to[i], x[i], y[i] = rng.Uint64(), rng.Uint64(), rng.Uint64()
		}
		for _, add := range []bool{false, true} {
			want, got := to, to
			compressPlain(&want, &x, &y, &scratch, add)
			compress(&got, &x, &y, &scratch, add)
			if got != want {
				t.Fatalf("add %v: %x, want %x", add, got, want)
			}
		}
	}
}

// TestStopped: whoever no longer waits for a key does not leave the work behind.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := Key(ctx, ID, nil, make([]byte, 8), Cost{1 << 30, 1 << 10, 2}, 32); err != cause {
		t.Error(err)
	}
}

// BenchmarkKey is set beside another program.
func BenchmarkKey(b *testing.B) {
	c := Cost{2, 64 << 10, 1}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if _, err := Key(b.Context(), ID, nil, make([]byte, 8), c, 32); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("peer", func(b *testing.B) {
		for b.Loop() {
			argon2.IDKey(nil, make([]byte, 8), c.Passes, c.Memory, c.Lanes, 32)
		}
	})
}
