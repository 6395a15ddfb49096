package qcow2

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
)

// deflated are streams of all kinds of blocks.
func deflated(t testing.TB) map[string][]byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 20000)
	text := make([]byte, 0, 70000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for len(text) < 65536 {
		text = append(text, "qcow2 refcount cluster "[:1+rng.IntN(20)]...)
		text = append(text, noise[rng.IntN(100):][:rng.IntN(12)]...)
	}
	list := map[string][]byte{}
	words := make([]byte, 0, 70000)
	for often := rand.NewZipf(rng, 1.1, 4, 4000); len(words) < 65536; {
		k := int(often.Uint64())
		words = append(append(words, text[7*k:][:2+k%8]...), ' ')
	}
	for name, plain := range map[string][]byte{
		"noise": noise, "text": text, "words": words[:65536], "zeroes": make([]byte, 65536),
		"one byte": {7}, "empty": nil,
		"mixed": append(append(append([]byte(nil), text[:9000]...), noise...),
			make([]byte, 3000)...),
	} {
		for _, level := range []int{
			flate.NoCompression, flate.HuffmanOnly, flate.BestSpeed, 6,
			flate.BestCompression,
		} {
			var b bytes.Buffer
			w, err := flate.NewWriter(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			list[name+string(rune('0'+level+2))] = b.Bytes()
		}
	}
	return list
}

// agree unpacks a stream by our decoder and by the standard library's.
func agree(t *testing.T, packed []byte) {
	t.Helper()
	const limit = 1 << 18
	want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), limit))
	got := make([]byte, len(want))
	f := newInflater()
	if err := f.inflate(got, packed); err != nil && len(want) > 0 {
		t.Fatalf("%d bytes: %v", len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("contents differ")
	}
	longer := make([]byte, len(want)+1)
	if err := f.inflate(longer, packed); err == nil && wantErr == nil && len(want) < limit {
		t.Fatalf("%d bytes became one more", len(want))
	}
}

func TestInflate(t *testing.T) {
	for name, packed := range deflated(t) {
		t.Run(name, func(t *testing.T) {
			agree(t, packed)
			agree(t, append(packed[:len(packed):len(packed)], 1, 2, 3))
			agree(t, packed[:len(packed)*2/3])
		})
	}
}

func FuzzInflate(f *testing.F) {
	for _, packed := range deflated(f) {
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) { agree(t, packed) })
}

func BenchmarkInflate(b *testing.B) {
	for _, name := range []string{"text", "words", "zeroes"} {
		packed := deflated(b)[name+"8"]
		b.Run(name, func(b *testing.B) {
			out := make([]byte, 65536)
			b.SetBytes(65536)
			f := newInflater()
			for b.Loop() {
				if err := f.inflate(out, packed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
