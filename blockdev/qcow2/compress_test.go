package qcow2

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestUnzstd unpacks frames of both forms with anything behind them, and refuses what is not a
// whole cluster.
func TestUnzstd(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	plain := make([]byte, 64<<10)
	for i := range plain {
		plain[i] = 'a' + byte(rng.IntN(9))
	}
	for _, checksum := range []bool{false, true} {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(checksum))
		if err != nil {
			t.Fatal(err)
		}
		one := w.EncodeAll(plain, nil)
		halves := w.EncodeAll(plain[len(plain)/2:], w.EncodeAll(plain[:len(plain)/2], nil))
		skipped := append([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, one...)
		more := w.EncodeAll(append(plain[:len(plain):len(plain)], 1), nil)
		for _, test := range []struct {
			name   string
			packed []byte
			ok     bool
		}{
			{"one", one, true},
			{"zeroes behind", append(one[:len(one):len(one)], make([]byte, 300)...), true},
			{"a frame behind", append(one[:len(one):len(one)], one...), true},
			{"part of a frame behind", append(one[:len(one):len(one)], one[:100]...), true},
			{"two halves", halves, true},
			{"a skippable frame before", skipped, true},
			{"cut off", one[:len(one)-1], false},
			{"a half", halves[:len(halves)/2-50], false},
			{"a byte more", more, false},
			{"zeroes", make([]byte, 512), false},
			{"nothing", nil, false},
		} {
			out := make([]byte, len(plain))
			err := unzstd(out, test.packed)
			if ok := err == nil; ok != test.ok {
				t.Errorf("%s: %v", test.name, err)
			}
			if test.ok && !bytes.Equal(out, plain) {
				t.Errorf("%s: other bytes", test.name)
			}
		}
	}
}
