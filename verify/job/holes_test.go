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

// TestScanWhatIsNotToldApart: where each bad block is wanted by itself, or the first only, holes are
// read as all else is.
func TestScanWhatIsNotToldApart(t *testing.T) {
	img := make([]byte, 8<<20)
	s := anyBlocks(int64(len(img)))
	s.StopAtFirst = true
	told := Hooks{Extent: extents(img, 4096)}
	if r, _ := scanOf(t, img, s, told); r.Bad == 0 || r.Bad >= 2048 {
		t.Errorf("stopped after %d bad blocks", r.Bad)
	}
	s.StopAtFirst = false
	told.Dump = func(string, int64, []byte) error { return nil }
	if r, _ := scanOf(t, img, s, told); r.Requests < 8 {
		t.Errorf("%d requests", r.Requests)
	}
}
