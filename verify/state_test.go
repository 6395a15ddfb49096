package verify

import (
	"fmt"
	"os"
	"reflect"
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
		for n, want := range []standing{sure, sure, sure, sure, sure, never} {
			r := request{number: uint64(n)}
			if n == 4 {
				r.off = 24576
			}
			if s := got.History().of(&r); s != want {
				t.Errorf("version %d: write %d is %d, want %d", version, n, s, want)
			}
		}
		p[len(p)-1] ^= 1
		if _, err := ReadState(p); err == nil {
			t.Errorf("version %d: a damaged file was taken", version)
		}
	}
}

// What a job leaves is, but for the generator, what fio's newest version
// leaves, and can be read again.
func TestWriteState(t *testing.T) {
	o := DefaultOptions()
	o.Name, o.Direction, o.Verify, o.Size, o.NumberIOs, o.IODepth = "j", RandWrite, "crc32c", 64<<10, 5, 1
	img := make([]byte, o.Size)
	j, err := NewJob(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Write(t.Context(), openMemory(img)); err != nil {
		t.Fatal(err)
	}
	got := j.State().Append(nil)
	want, err := os.ReadFile("testdata/state/version-7.state")
	if err != nil {
		t.Fatal(err)
	}
	// fio leaves memory that was never set behind the name; here it is zero.
	if len(got) != len(want) {
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
	if fmt.Sprintf("%x", got[24:]) != fmt.Sprintf("%x", want[24:]) {
		t.Errorf("\n%x, want\n%x", got[24:], want[24:])
	}
	s, err := ReadState(got)
	if err != nil {
		t.Fatal(err)
	}
	o.NumberIOs = 0
	v, err := NewJob(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	v.History = s.History()
	r, err := v.Verify(t.Context(), openMemory(img))
	if err != nil || !r.Good() || r.Blocks != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	if name := StateName(&o); name != "local-j-0-verify.state" {
		t.Error(name)
	}
}

func FuzzReadState(f *testing.F) {
	for _, version := range []int{2, 3, 5, 7} {
		if p, err := os.ReadFile(fmt.Sprintf("testdata/state/version-%d.state", version)); err == nil {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		// The checksum would hide everything behind it.
		if len(p) >= stateHeader {
			for i := range 8 {
				p[16+i] = 0
			}
			sum := crc32c(p[stateHeader:])
			p[16], p[17], p[18], p[19] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
			for i := range 8 {
				p[8+i] = byte(uint64(len(p)-stateHeader) >> (8 * i))
			}
		}
		if s, err := ReadState(p); err == nil {
			s.History().of(&request{})
			if _, err := ReadState(s.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
