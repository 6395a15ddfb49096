package job

import (
	"context"
	"reflect"
	"testing"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// extents tells of an image what a file system with such clusters would, and counts the zeroes.
func extents(img []byte, cluster int64) func(off, n int64) (int64, bool) {
	zero := func(at int64) bool {
		at -= at % cluster
		return verify.IsZero(img[at:min(at+cluster, int64(len(img)))])
	}
	return func(off, n int64) (int64, bool) {
		first, end := zero(off), off+n
		at := off - off%cluster + cluster
		for at < end && zero(at) == first {
			at += cluster
		}
		return min(at, end) - off, first
	}
}

// scanOf scans an image, and returns the length of all that its bad blocks cover too.
func scanOf(t *testing.T, img []byte, o fio.Options, h Hooks) (r *Result, covered int64) {
	t.Helper()
	h.Bad = func(b *Bad) { covered += b.Len }
	j, err := New(o, h)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = j.Scan(context.Background(), openMemory(img), 0); err != nil {
		t.Fatal(err)
	}
	return r, covered
}

// TestScanHoles: a scan that is told of holes says what it says without, and does not read them.
func TestScanHoles(t *testing.T) {
	const size, from, to = 20 << 20, 4<<20 + 1234, 17<<20 + 77
	for name, set := range map[string]func(written, read *fio.Options){
		"plain":       func(_, _ *fio.Options) {},
		"odd":         func(w, _ *fio.Options) { w.MinBlock = 1000 },
		"range":       func(w, _ *fio.Options) { w.MinBlock, w.MaxBlock = 1024, 16384 },
		"interval":    func(w, _ *fio.Options) { w.Interval = 512 },
		"moved":       func(w, _ *fio.Options) { w.HeaderOffset = 700 },
		"large":       func(w, _ *fio.Options) { w.MinBlock = 1 << 20 },
		"small reads": func(_, r *fio.Options) { r.MinBlock, r.MaxRequest = 4096, 4096 },
		"never":       func(_, r *fio.Options) { r.Holes = true },
		"zeroes": func(w, r *fio.Options) {
			w.Verify, w.Pattern, r.Verify, r.Pattern = "pattern", "0x00", "pattern", "0x00"
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := fio.DefaultOptions(), anyBlocks(size)
			o.Verify, o.Size = "crc32c", size
			set(&o, &s)
			img := imageOf(t, o, noClock)
			clear(img[from:to])
			img[1<<20] ^= 1
			img[to+1<<20] ^= 1
			all, covered := scanOf(t, img, s, Hooks{})
			some, alike := scanOf(t, img, s, Hooks{Extent: extents(img, 4096)})
			if name != "zeroes" && some.Requests >= all.Requests {
				t.Errorf("%d requests, %d without holes", some.Requests, all.Requests)
			}
			some.Requests = all.Requests
			for _, r := range []*Result{all, some} {
				for i := range r.Ranges {
					r.Ranges[i].First = nil // what it says was compared by the classes
				}
			}
			if !reflect.DeepEqual(all, some) || covered != alike {
				t.Errorf("told of holes:\n%+v (%d)\nnot told:\n%+v (%d)", some, alike, all, covered)
			}
		})
	}
}

// TestScanEachBlock: where each bad block is wanted by itself, or the first only, each is judged,
// of holes too, and holes are not read.
func TestScanEachBlock(t *testing.T) {
	img := make([]byte, 8<<20)
	s := anyBlocks(int64(len(img)))
	s.StopAtFirst = true
	told := Hooks{Extent: extents(img, 4096)}
	if r, _ := scanOf(t, img, s, told); r.Bad == 0 || r.Bad >= 2048 {
		t.Errorf("stopped after %d bad blocks", r.Bad)
	}
	s.StopAtFirst = false
	dumped := 0
	told.Dump = func(string, int64, []byte) error { dumped++; return nil }
	if r, _ := scanOf(t, img, s, told); r.Requests > 0 || dumped != 2048 {
		t.Errorf("%d requests, %d blocks dumped", r.Requests, dumped)
	}
}

// readBytes verifies an image exactly, and returns the bytes that it read for it too.
func readBytes(t *testing.T, img []byte, o fio.Options, h Hooks, v VerifyOptions) (*Result, int64) {
	t.Helper()
	j, err := New(o, h)
	if err != nil {
		t.Fatal(err)
	}
	var sent recorder
	r, err := j.Verify(t.Context(), openRecorded(img, &sent), v)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, s := range sent.sent {
		n += int64(s.n)
	}
	return r, n
}

// TestVerifyHoles: a verification of the very job that is told of holes says what it says without,
// of each block, and does not read them.
func TestVerifyHoles(t *testing.T) {
	const size, from, to = 20 << 20, 4<<20 + 1234, 17<<20 + 77
	for name, set := range map[string]func(*fio.Options, *VerifyOptions){
		"plain":    func(*fio.Options, *VerifyOptions) {},
		"to end":   func(o *fio.Options, _ *VerifyOptions) { o.Size = to - to%4096 },
		"odd":      func(o *fio.Options, _ *VerifyOptions) { o.MinBlock = 1000 },
		"interval": func(o *fio.Options, _ *VerifyOptions) { o.MinBlock, o.Interval = 8192, 512 },
		"uneven": func(o *fio.Options, _ *VerifyOptions) {
			o.MinBlock, o.MaxBlock = 512, 16384
		},
		"random":  func(o *fio.Options, _ *VerifyOptions) { o.MinBlock, o.Direction = 64<<10, fio.RandWrite },
		"loops":   func(o *fio.Options, _ *VerifyOptions) { o.Loops = 2 },
		"resumed": func(_ *fio.Options, v *VerifyOptions) { v.From = 1500 },
		"part":    func(o *fio.Options, _ *VerifyOptions) { o.NumberIOs = 3000 },
		"history": func(_ *fio.Options, v *VerifyOptions) { v.History = &History{Issued: 2000, own: true} },
		"rewrites": func(o *fio.Options, _ *VerifyOptions) {
			o.NoRandomMap, o.Direction = true, fio.RandWrite
			o.IODepth, o.Workers = 1, 1 // otherwise any of the writes to a block may be told
		},
		"short": func(o *fio.Options, v *VerifyOptions) {
			o.MinBlock = 64 << 10
			v.Others = []fio.Options{*o}
			v.Others[0].Thread, v.Others[0].Size = 2, 1<<20
		},
		"pattern": func(o *fio.Options, _ *VerifyOptions) { o.Verify, o.Pattern = "pattern", "0x11" },
		"zeroes":  func(o *fio.Options, _ *VerifyOptions) { o.Verify, o.Pattern = "pattern", "0x00" },
		"stamped": func(o *fio.Options, _ *VerifyOptions) {
			o.Verify, o.Pattern = "pattern", "%o"
		},
		"first": func(o *fio.Options, _ *VerifyOptions) {
			o.StopAtFirst, o.IODepth, o.Workers, o.MaxRequest = true, 1, 1, 4096
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, v := fio.DefaultOptions(), VerifyOptions{}
			o.Verify, o.Size = "crc32c", size
			set(&o, &v)
			img := append(imageOf(t, o, noClock), make([]byte, size-o.Size)...)
			clear(img[from:to])
			img[3<<20] ^= 1
			img[to+1<<20] ^= 1
			all, most := readBytes(t, img, o, Hooks{}, v)
			some, least := readBytes(t, img, o, Hooks{Extent: extents(img, 4096)}, v)
			if whole := all.Done && v.History == nil && v.From == 0 && o.NumberIOs == 0; whole &&
				name != "zeroes" && most-least < (to-from)*9/10 {
				t.Errorf("%d bytes were read, %d without holes", least, most)
			}
			some.Requests = all.Requests
			if !reflect.DeepEqual(all, some) {
				t.Errorf("told of holes: %d bad of %d, %d ranges; not told: %d of %d, %d", some.Bad,
					some.Blocks, len(some.Ranges), all.Bad, all.Blocks, len(all.Ranges))
			}
		})
	}
}

// TestHoles: what is known to be zero is put together and found again, and little holes are left.
func TestHoles(t *testing.T) {
	const k = 1 << 10
	o := fio.DefaultOptions()
	o.Verify, o.Offset, o.Size = "crc32c", 4*k, 1000*k
	list := []told{
		{4 * k, 20 * k, true},
		{20 * k, 100 * k, true},
		{100 * k, 200 * k, false},
		{200 * k, 210 * k, true},
		{210 * k, 300 * k, false},
		{300 * k, 2000 * k, true},
	}
	j, err := New(o, Hooks{Extent: func(off, n int64) (int64, bool) {
		for _, e := range list {
			if off < e.end {
				return e.end - off, e.zero // also more than was asked for
			}
		}
		return 0, false // and less
	}})
	if err != nil {
		t.Fatal(err)
	}
	found, err := j.newTask("verify", 0, 0).findHoles(t.Context())
	if want := (holes{{4 * k, 100 * k, true}, {300 * k, 1004 * k, true}}); err != nil ||
		!reflect.DeepEqual(found, want) {
		t.Errorf("%v, %v", found, err)
	}
	for off, want := range map[int64]int64{
		0: 0, 4 * k: 96 * k, 99 * k: k, 100 * k: 0, 205 * k: 0, 299 * k: 0, 300 * k: 704 * k,
		1004*k - 1: 1, 1004 * k: 0,
	} {
		if n := found.at(off); n != want {
			t.Errorf("%d bytes at %d, not %d", n, off, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.newTask("verify", 0, 0).findHoles(ended); err == nil {
		t.Error("holes were looked for after the end")
	}
}
