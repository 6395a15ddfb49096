package fio

import (
	"fmt"
	"strings"
	"testing"
)

// The order of requests of 512 bytes, by block, as fio was seen to make them.
func TestOrder(t *testing.T) {
	for name, c := range map[string]struct {
		release Release
		set     func(*Options)
		want    string
	}{
		"lfsr": {
			Fio342,
			func(o *Options) { o.Direction, o.Generator, o.Size = RandWrite, "lfsr", 48*512 },
			"w14 w23 w43 w13 w38 w3 w33 w8",
		},
		"lfsr of 32 blocks": {
			Fio333,
			func(o *Options) { o.Direction, o.Generator, o.Size = RandWrite, "lfsr", 31*512 },
			"w15 w23 w27",
		},
		"mixed, more reads": {
			Fio342,
			func(o *Options) { o.Direction, o.MixRead = ReadWrite, 70 },
			"r0 r1 r2 w0 r3 r4 w1 r5 r6 r7 w2 r8 w3 r9 r10 r11 r12 r13 r14 r15 w4 w5 r16 w6 r17 r18 r19 w7 w8 w9 " +
				"r20 r21 r22 w10 r23 w11 w12 r24 r25 w13 end",
		},
		"mixed, more writes": {
			Fio333,
			func(o *Options) { o.Direction, o.MixRead = ReadWrite, 20 },
			"w0 r0 w1 w2 w3 r1 w4 w5 w6 r2 w7 w8 w9 r3 w10 w11 w12 w13 w14 r4 w15 w16 w17 w18 w19 w20 w21 w22 w23 " +
				"w24 w25 r5 w26 w27 w28 w29 w30 w31 r6 w32 end",
		},
		"loops share number_ios": {
			Fio342,
			func(o *Options) { o.Direction, o.Size, o.Loops, o.NumberIOs = Write, 3*512, 2, 2 },
			"w0 w1 w2 w0 end",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := DefaultOptions()
			o.Fio, o.Verify, o.MinBlock, o.Size = c.release, "meta", 512, 40*512
			c.set(&o)
			l, err := NewLayout(&o)
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewOrder(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range strings.Fields(c.want) {
				var r Request
				word := "end"
				if p.Next(&r) {
					if word = fmt.Sprintf("w%d", r.Off/512); r.Read {
						word = "r" + word[1:]
					}
				}
				got = append(got, word)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

// The register of a later pass takes a single step for its first block.
func TestOrderOfSecondPass(t *testing.T) {
	o := DefaultOptions()
	o.Verify, o.Direction, o.Generator, o.MinBlock, o.Size = "meta", RandWrite, "lfsr", 512, 48*512
	o.Loops = 2
	l, err := NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewOrder(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	var r Request
	for range 49 {
		if !p.Next(&r) {
			t.Fatal("no request")
		}
	}
	if block := r.Off / 512; block != 39 || r.Number != 48 {
		t.Errorf("write %d is of block %d, not 39", r.Number, block)
	}
}
