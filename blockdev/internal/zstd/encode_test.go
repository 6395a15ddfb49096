package zstd

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestEncode has another program and ours unpack what ours packs, which is about as long as what
// the other packs.
func TestEncode(t *testing.T) {
	peer := newPeer(t)
	var e Encoder
	var d Decoder
	for name, plain := range samples() {
		theirs := pack(t, zstd.SpeedDefault, plain)
		for range 2 { // the second time with memory of the first
			packed := e.Encode([]byte("before"), plain)[6:]
			if len(packed) > len(theirs)+len(theirs)/50+10 {
				t.Errorf("%s: %d bytes, and the peer's are %d", name, len(packed), len(theirs))
			}
			got, err := peer.DecodeAll(packed, make([]byte, 0, len(plain)))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: %d bytes of %d: %v", name, len(got), len(plain), err)
			}
			out := make([]byte, len(plain))
			n, took, err := d.Decode(out, packed)
			if err != nil || n != len(plain) || took != len(packed) || !bytes.Equal(out, plain) {
				t.Errorf("%s: %d bytes of %d, %d of %d: %v", name, n, len(plain), took,
					len(packed), err)
			}
		}
	}
}

// FuzzEncode has another program and ours unpack what ours packs.
func FuzzEncode(f *testing.F) {
	for _, plain := range samples() {
		f.Add(plain[:min(len(plain), 20000)])
	}
	peer := newPeer(f)
	var e Encoder
	var d Decoder
	f.Fuzz(func(t *testing.T, plain []byte) {
		packed := e.Encode(nil, plain)
		got, err := peer.DecodeAll(packed, make([]byte, 0, len(plain)))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("the peer: %v", err)
		}
		out := make([]byte, len(plain))
		if n, _, err := d.Decode(out, packed); err != nil || !bytes.Equal(out[:n], plain) {
			t.Errorf("%d bytes of %d: %v", n, len(plain), err)
		}
	})
}

// BenchmarkEncode is set beside another program.
func BenchmarkEncode(b *testing.B) {
	for name, plain := range benchmarked() {
		out := make([]byte, 2*len(plain))
		b.Run(name, func(b *testing.B) {
			var e Encoder
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				e.Encode(out[:0], plain)
			}
		})
		b.Run(name+"/peer", func(b *testing.B) {
			w, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				w.EncodeAll(plain, out[:0])
			}
		})
	}
}
