package fio

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"testing"
)

// The state files of a job that four fios stopped after 5 of 16 random writes.
func TestReadState(t *testing.T) {
	want := map[int]State{
		2: {Version: 2, Name: "j", Depth: 1, Writes: 5, Completed: []int64{24576}},
		3: {Version: 3, Name: "j", Depth: 1, Writes: 5, Completed: []int64{24576}},
		5: {Version: 5, Name: "j", Depth: 1, Writes: 5},
		7: {Version: 7, Name: "j", Depth: 1, Writes: 5},
	}
	for version, want := range want {
		p, err := os.ReadFile(fmt.Sprintf("testdata/state/version-%d.state", version))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadState(p)
		if err != nil {
			t.Error(err)
			continue
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("version %d: %+v, want %+v", version, *got, want)
		}
		p[len(p)-1] ^= 1
		if _, err := ReadState(p); err == nil {
			t.Errorf("version %d: a damaged file was taken", version)
		}
	}
}

func FuzzReadState(f *testing.F) {
	for _, version := range []int{2, 3, 5, 7} {
		if p, err := os.ReadFile(
			fmt.Sprintf("testdata/state/version-%d.state", version)); err == nil {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		// The checksum would hide everything behind it.
		if len(p) >= stateHeader {
			for i := range 8 {
				p[16+i] = 0
			}
			sum := CRC32C(p[stateHeader:])
			p[16], p[17], p[18], p[19] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			for i := range 8 {
				p[8+i] = byte(uint64(len(p)-stateHeader) >> (8 * i))
			}
		}
		if s, err := ReadState(p); err == nil {
			if _, err := ReadState(s.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Whatever numbers a state file has, nothing panics, and the memory is bounded.
func TestHostileState(t *testing.T) {
	for version := uint64(2); version < uint64(len(stateWrites)); version++ {
		for _, n := range hostileNumbers {
			p := stateOf(version, n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = ReadState(p)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("version %d, %d: took %d MiB", version, n, used>>20)
			}
		}
	}
}

var hostileNumbers = []uint64{
	0, 1, 7, 1 << 20, 1 << 31, 1 << 40, 1 << 62, math.MaxInt64,
	math.MaxUint64,
}

// stateOf is a state file of a version in which all numbers are n, with a list of
// a hundred thousand that fall.
func stateOf(version, n uint64) []byte {
	p := appendWords(nil, slices.Repeat([]uint64{n}, stateWritesAt(version)/8+2)...)
	p = append(p, make([]byte, stateRand+stateName)...)
	for i := range uint64(100_000) {
		p = appendWords(p, n-2*i)
	}
	return append(appendWords(nil, version, uint64(len(p)), uint64(CRC32C(p))), p...)
}
