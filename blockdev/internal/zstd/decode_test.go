package zstd

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// samples are bytes of all kinds, by name.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 300<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	words := make([]byte, 0, 300<<10)
	for often := rand.NewZipf(rng, 1.1, 4, 4000); len(words) < 256<<10; {
		k := int(often.Uint64())
		words = append(words, "abcdefghijklmnopqrstuvwxyz"[k%20:][:2+k%6]...)
		words = append(words, byte('a'+noise[k]%26), byte('a'+noise[2*k]%26), ' ')
	}
	digits := make([]byte, 200<<10)
	for i := range digits {
		digits[i] = byte('0' + rng.IntN(10))
	}
	skewed := make([]byte, 150<<10)
	for i := range skewed {
		skewed[i] = byte(rng.ExpFloat64() * 12)
	}
	records := make([]byte, 0, 200<<10)
	for i := range 6000 {
		records = fmt.Appendf(records, "%08d\x00\x00\x00\x00%x", i, rng.Uint32()%999)
	}
	longAgo := append(append(append([]byte(nil), noise[:200<<10]...), words[:1000]...), noise...)
	return map[string][]byte{
		"empty": nil, "one": {7}, "few": []byte("a few bytes"), "zeroes": make([]byte, 150<<10),
		"noise": noise, "words": words, "cluster": words[:64<<10], "digits": digits,
		"skewed": skewed, "records": records, "long ago": longAgo,
		"two": bytes.Repeat([]byte("ab"), 40000), "period": bytes.Repeat(noise[:300], 500),
		"mixed": append(append(words[:5000:5000], noise[:5000]...), make([]byte, 5000)...),
		"small": words[:700], "smaller": words[:60],
	}
}

// TestDecode unpacks what another program packs.
func TestDecode(t *testing.T) {
	var d Decoder
	for name, plain := range samples() {
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			for _, checksum := range []bool{false, true} {
				w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level),
					zstd.WithEncoderCRC(checksum), zstd.WithAllLitEntropyCompression(true))
				if err != nil {
					t.Fatal(err)
				}
				packed := w.EncodeAll(plain, nil)
				if len(plain) == 0 {
					continue // klauspost's is no frame
				}
				out := make([]byte, len(plain)+9)
				for _, room := range []int{len(plain), len(plain) + 9} {
					n, took, err := d.Decode(out[:room], append(packed, "behind"...))
					if err != nil || took != len(packed) || !bytes.Equal(out[:n], plain) {
						t.Errorf("%s at level %v: %d bytes of %d, %d of %d: %v", name, level,
							n, len(plain), took, len(packed), err)
					}
				}
				for _, cut := range []int{len(packed) - 1, len(packed) / 2, 5, 3} {
					if _, _, err := d.Decode(out, packed[:min(cut, len(packed)-1)]); err == nil {
						t.Errorf("%s at level %v is whole when cut to %d bytes", name, level, cut)
					}
				}
				if _, _, err := d.Decode(out[:len(plain)-1], packed); err == nil {
					t.Errorf("%s at level %v fits into less memory", name, level)
				}
			}
		}
	}
}

// TestDecodeDamaged has another program unpack frames in which bytes are wrong.
func TestDecodeDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	peer := newPeer(t)
	var d Decoder
	for name, plain := range samples() {
		if len(plain) > 20000 {
			plain = plain[:20000]
		}
		packed := pack(t, zstd.SpeedDefault, plain)
		for range 300 {
			damaged := bytes.Clone(packed)
			for range 1 + rng.IntN(3) {
				damaged[rng.IntN(len(damaged))] = byte(rng.Uint32())
			}
			compare(t, &d, peer, name, damaged)
		}
	}
}

func newPeer(t testing.TB) *zstd.Decoder {
	t.Helper()
	peer, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(1<<32), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		t.Fatal(err)
	}
	return peer
}

// pack packs by another program.
func pack(t testing.TB, level zstd.EncoderLevel, plain []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

// compare wants what the peer unpacks from bytes, or no more than it.
func compare(t *testing.T, d *Decoder, peer *zstd.Decoder, name string, packed []byte) {
	t.Helper()
	const room = 256 << 10
	out := make([]byte, room)
	n, took, err := d.Decode(out, packed)
	if err != nil {
		got, peerErr := peer.DecodeAll(packed, make([]byte, 0, room))
		if len(got) > 0 && peerErr == nil {
			t.Errorf("%s: %v, and the peer has %d bytes of %x", name, err, len(got), packed)
		}
		return
	}
	want, err := peer.DecodeAll(packed[:took], make([]byte, 0, room))
	if errors.Is(err, zstd.ErrWindowSizeExceeded) { // it is no matter how large that is here
		return
	}
	if err != nil || !bytes.Equal(out[:n], want) {
		t.Errorf("%s: %d bytes, and the peer %d of %x: %v", name, n, len(want), packed[:took], err)
	}
}

// FuzzDecode has another program unpack the same bytes.
func FuzzDecode(f *testing.F) {
	for _, plain := range samples() {
		f.Add(pack(f, zstd.SpeedDefault, plain[:min(len(plain), 20000)]))
	}
	peer := newPeer(f)
	var d Decoder
	f.Fuzz(func(t *testing.T, packed []byte) { compare(t, &d, peer, "fuzz", packed) })
}

// benchmarked are clusters of several kinds.
func benchmarked() map[string][]byte {
	all := samples()
	return map[string][]byte{
		"words": all["cluster"], "digits": all["digits"][:64<<10],
		"records": all["records"][:64<<10], "noise": all["noise"][:64<<10],
	}
}

// BenchmarkDecode is set beside another program.
func BenchmarkDecode(b *testing.B) {
	for name, plain := range benchmarked() {
		packed := pack(b, zstd.SpeedDefault, plain)
		out := make([]byte, len(plain))
		b.Run(name, func(b *testing.B) {
			var d Decoder
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if _, _, err := d.Decode(out, packed); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/peer", func(b *testing.B) {
			peer := newPeer(b)
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if _, err := peer.DecodeAll(packed, out[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
