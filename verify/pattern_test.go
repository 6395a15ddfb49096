package verify

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func patterns() []Pattern {
	var list []Pattern
	for _, s := range []string{
		"zero", "0xcd", "0xdeadbeef", `"abc"`, "%o", `0xff%o"tail"`, `%o0x01%o`, "random:0",
		"random:12345", "stamp", "stamp:7",
	} {
		for _, interval := range []int64{0, 5, 20, 512, 4096} {
			p, err := Parser{Interval: interval}.Parse(s)
			if err != nil {
				panic(err)
			}
			list = append(list, p)
		}
	}
	return list
}

// A pattern is a function of the offset: pieces make the same whole.
func TestPatternPieces(t *testing.T) {
	all := patterns()
	rapid.Check(t, func(t *rapid.T) {
		pat := rapid.SampledFrom(all).Draw(t, "pattern")
		off := rapid.Int64Range(0, 1<<50).Draw(t, "off")
		n := rapid.IntRange(0, 40000).Draw(t, "len")
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		whole := make([]byte, n)
		pat.Fill(whole, off)
		pieces := make([]byte, n)
		pat.Fill(pieces[:cut], off)
		pat.Fill(pieces[cut:], off+int64(cut))
		if !bytes.Equal(whole, pieces) {
			t.Fatalf("%v: pieces differ", pat)
		}
		if m := Check(pat, whole, off); m != nil {
			t.Fatalf("%v: %+v", pat, m)
		}
		l, _ := pat.(*Literal)
		if m, ok := pat.(matcher); ok && (l == nil || l.plain()) && !m.match(whole, off) {
			t.Fatalf("%v does not match itself", pat)
		}
	})
}

// Any flipped bit is found and named.
func TestPatternOneBit(t *testing.T) {
	all := patterns()
	rapid.Check(t, func(t *rapid.T) {
		pat := rapid.SampledFrom(all).Draw(t, "pattern")
		off := rapid.Int64Range(0, 1<<50).Draw(t, "off")
		n := rapid.IntRange(1, 40000).Draw(t, "len")
		p := make([]byte, n)
		pat.Fill(p, off)
		at := rapid.IntRange(0, n-1).Draw(t, "at")
		bit := rapid.Uint8Range(0, 7).Draw(t, "bit")
		p[at] ^= 1 << bit
		m := Check(pat, p, off)
		want := Cause{Class: OneBit, Bit: bit, At: off + int64(at)}
		if m == nil || m.Off != off+int64(at) || m.Bad != 1 || m.Cause() != want {
			t.Fatalf("%v: %+v, want %v", pat, m, want)
		}
	})
}

func TestPatternString(t *testing.T) {
	for _, p := range patterns() {
		again, err := ParsePattern(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q became %v, %v", p, again, err)
		}
	}
}

func TestUnmix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.Uint64().Draw(t, "z")
		if unmix(mix(z)) != z {
			t.Fatalf("unmix(mix(%#x)) = %#x", z, unmix(mix(z)))
		}
	})
	if one := uint64(golden); one*goldenInverse != 1 {
		t.Error("goldenInverse is wrong")
	}
}

// The random pattern is published: data written today are read years later.
func TestRandomIsStable(t *testing.T) {
	p := make([]byte, 12)
	Random(1).Fill(p, 4)
	want := []byte{0x09, 0x0e, 0xb4, 0x7a, 0x72, 0xd7, 0xc2, 0xdd, 0x30, 0x80, 0xef, 0xbf}
	if !bytes.Equal(p, want) {
		t.Errorf("got % x", p)
	}
}

func BenchmarkFill(b *testing.B) {
	for _, s := range []string{"zero", "0xcd", "0xdeadbeef", "%o", "random:1", "stamp"} {
		b.Run(s, func(b *testing.B) {
			pat, _ := ParsePattern(s)
			p := make([]byte, 1<<20)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				pat.Fill(p, 0)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, s := range []string{"zero", "0xcd", "0xdeadbeef", "%o", "random:1", "stamp"} {
		b.Run(s, func(b *testing.B) {
			pat, _ := ParsePattern(s)
			p := make([]byte, 1<<20)
			pat.Fill(p, 0)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if Check(pat, p, 0) != nil {
					b.Fatal("mismatch")
				}
			}
		})
	}
}
