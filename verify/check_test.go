package verify

import (
	"encoding/json"
	"reflect"
	"testing"
)

func fill(pat Pattern, n int, off int64) []byte {
	p := make([]byte, n)
	pat.Fill(p, off)
	return p
}

func TestCheckCauses(t *testing.T) {
	text := Pattern(&Literal{text: "text", Unit: fill(Random(99), 3000, 0)})
	offsets, _ := Parser{Interval: 512}.Parse(`"ab"%o"cdef"`)
	tests := []struct {
		name   string
		pat    Pattern
		damage func(p []byte, off int64)
		want   Cause
	}{
		{"zeroes", Byte(0xcd), func(p []byte, _ int64) { clear(p[512:1024]) }, Cause{Class: Zeroed}},
		{"zeroes in stamps", Stamp(3), func(p []byte, _ int64) { clear(p[512:2048]) }, Cause{Class: Zeroed}},
		{"filled", Random(1), func(p []byte, _ int64) { Byte(0xff).Fill(p[100:900], 0) }, Cause{Class: Filled, Fill: 0xff}},
		{"bit", Random(1), func(p []byte, _ int64) { p[1000] ^= 0x40 }, Cause{Class: OneBit, Bit: 6, At: 65536 + 1000}},
		{"random shifted", Random(1), func(p []byte, off int64) { Random(1).Fill(p[512:1024], off+512+5) }, Cause{Class: Shifted, Delta: 5}},
		{"random shifted back", Random(1), func(p []byte, off int64) { Random(1).Fill(p[512:1024], off+512-13) }, Cause{Class: Shifted, Delta: -13}},
		{"random of elsewhere", Random(1), func(p []byte, off int64) { Random(1).Fill(p[512:1024], off+512+1<<40) }, Cause{Class: Misdirected, Delta: 1 << 40}},
		{"random of another seed", Random(1), func(p []byte, off int64) { Random(4).Fill(p[512:1024], off+512) }, Cause{Class: Stale, Generation: 4}},
		{"stamp shifted", Stamp(1), func(p []byte, off int64) { Stamp(1).Fill(p[512:1024], off+512+40) }, Cause{Class: Shifted, Delta: 40}},
		{"stamp of elsewhere", Stamp(1), func(p []byte, off int64) { Stamp(1).Fill(p[512:1536], off-4096+512) }, Cause{Class: Misdirected, Delta: -4096}},
		{"stamp of another tag", Stamp(2), func(p []byte, off int64) { Stamp(1).Fill(p[512:1024], off+512) }, Cause{Class: Stale, Generation: 1}},
		{"text shifted", text, func(p []byte, off int64) { text.Fill(p[700:1024], off+700-3) }, Cause{Class: Shifted, Delta: -3}},
		{"%o of elsewhere", offsets, func(p []byte, off int64) { offsets.Fill(p[1024:2048], off) }, Cause{Class: Misdirected, Delta: -1024}},
		{"noise", Byte(7), func(p []byte, _ int64) { Random(3).Fill(p[512:600], 1) }, Cause{Class: Other}},
		{"two", Byte(7), func(p []byte, _ int64) { clear(p[512:600]); p[1024] ^= 1 }, Cause{Class: Mixed}},
	}
	for _, tt := range tests {
		const off = 65536
		p := fill(tt.pat, 4096, off)
		tt.damage(p, off)
		m := Check(tt.pat, p, off)
		if m == nil {
			t.Errorf("%s: no mismatch", tt.name)
		} else if m.Cause() != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, m.Ranges, tt.want)
		}
	}
}

func TestCheckReports(t *testing.T) {
	pat := Byte(0xaa)
	p := fill(pat, 64<<10, 3)
	clear(p[1000:30000])
	p[40000] = 0xab
	m := Check(pat, p, 3)
	want := &Mismatch{
		Off: 1003, Bad: 29001, limit: maxRanges,
		Ranges: []Range{
			{DiffRange{1003, 29000, 29000}, Cause{Class: Zeroed}},
			{DiffRange{40003, 1, 1}, Cause{Class: OneBit, At: 40003}},
		},
		ExcerptOff: 992, Want: fill(pat, 32, 0), Got: append(fill(pat, 11, 0), make([]byte, 21)...),
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

// Pieces joined are the whole.
func TestMismatchJoin(t *testing.T) {
	for _, pat := range []Pattern{Byte(1), Random(5)} {
		p := fill(pat, 64<<10, 0)
		clear(p[8000:9000])
		p[20000] ^= 1
		for i := 30000; i < 60000; i += 1000 {
			p[i] ^= 2
		}
		whole := Check(pat, p, 0)
		for _, size := range []int{512, 4096, 10240} {
			var joined *Mismatch
			for at := 0; at < len(p); at += size {
				joined = joined.Join(Check(pat, p[at:min(at+size, len(p))], int64(at)))
			}
			joined.Want, joined.Got, joined.ExcerptOff = whole.Want, whole.Got, whole.ExcerptOff
			if !reflect.DeepEqual(joined, whole) {
				t.Errorf("%v in pieces of %d:\n got %+v\nwant %+v", pat, size, joined, whole)
			}
		}
		if whole.More == 0 || len(whole.Ranges) != maxRanges {
			t.Errorf("%d ranges and %d more", len(whole.Ranges), whole.More)
		}
	}
}

func TestMismatchJSON(t *testing.T) {
	p := fill(Byte(1), 512, 0)
	p[0] = 0
	got, err := json.Marshal(Check(Byte(1), p[:2], 0))
	want := `{"offset":0,"bad":1,"ranges":[{"offset":0,"length":1,"bad":1,"cause":{"class":"one-bit"}}],` +
		`"excerpt_offset":0,"want":"0101","got":"0001"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for _, pat := range patterns() {
		p := fill(pat, 1<<16, 5)
		if n := testing.AllocsPerRun(10, func() { Check(pat, p, 5) }); n >= 1 {
			t.Errorf("%v: %v allocations", pat, n)
		}
	}
}
