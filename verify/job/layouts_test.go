package job

import (
	"fmt"
	"testing"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// A region is a part of a device that one job wrote.
type region struct {
	off, size int64
	set       func(*fio.Options)
}

// deviceOf makes a device of size bytes that has what several jobs wrote, with nothing between.
func deviceOf(t *testing.T, size int64, regions []region) []byte {
	img := make([]byte, size)
	for _, r := range regions {
		o := fio.DefaultOptions()
		o.Verify, o.Offset, o.Size = "crc32c", r.off, r.size
		r.set(&o)
		copy(img[r.off:], imageOf(t, o, noClock)[r.off:])
	}
	return img
}

// regions are of all shapes, most of them at odd places, and the last begins
// where a look at the first MiB does not see it.
func regions() []region {
	return []region{
		{4096, 120 << 10, func(o *fio.Options) { o.MinBlock = 12 << 10 }},
		{124 << 10, 100 << 10, func(o *fio.Options) { o.MinBlock, o.Verify = 512, "md5" }},
		{224 << 10, 200 << 10, func(o *fio.Options) { o.MinBlock, o.MaxBlock, o.Verify = 512, 8192, "sha256" }},
		{(500 << 10) + 520, 520 * 200, func(o *fio.Options) { o.MinBlock, o.Fio = 520, fio.Fio333 }},
		{700 << 10, 200 << 10, func(o *fio.Options) { o.HeaderOffset, o.Verify = 600, "sha512" }},
		{3 << 20, 1 << 20, func(o *fio.Options) { o.MinBlock, o.Interval, o.Verify, o.Fio = 128<<10, 1024, "crc7", fio.Fio22 }},
		{(4 << 20) + 1536, 2 << 20, func(o *fio.Options) { o.MinBlock, o.Direction, o.Verify = 1<<20, fio.RandWrite, "xxhash" }},
		{7 << 20, 1 << 20, func(o *fio.Options) { o.Verify = "meta" }},
	}
}

// What several jobs wrote is found wherever it is and whatever it looks like,
// and so is damage to each of it.
func TestScanLayouts(t *testing.T) {
	const size = 9 << 20
	list := regions()
	img := deviceOf(t, size, list)
	s := anyBlocks(size)
	s.Holes = true
	for _, c := range []fio.Options{
		s,
		func() fio.Options {
			o := s
			o.MaxRequest, o.Workers, o.Content = 0, 1, fio.ContentAuto
			return o
		}(),
	} {
		r, bad := check(t, img, c, doScan)
		written := int64(0)
		for _, g := range list {
			written += g.size
		}
		if !r.Good() || r.ContentMismatches > 0 || r.Checked+r.Unchecked != size ||
			r.Unchecked > size-written {
			t.Fatalf("%+v: %d bad", r, len(bad))
		}
		for i, g := range list {
			at := g.off + g.size/2 + 777
			img[at] ^= 0x20
			r, bad := check(t, img, c, doScan)
			if len(bad) != 1 ||
				bad[0].Cause != (verify.Cause{Class: verify.OneBit, Bit: 5, At: at}) {
				t.Errorf("region %d: %+v", i, r)
			}
			img[at] ^= 0x20
		}
	}
}

// The first blocks of a range may be damaged in ways that look like another layout.
func TestScanDamagedStart(t *testing.T) {
	for _, d := range damages {
		if d.scan == noClass {
			continue
		}
		o, older := damageJob(fio.Fio342, "crc32c")
		img, old := imageOf(t, o, noClock), imageOf(t, older, noClock)
		d.do(img, old, 0)
		r, bad := check(t, img, anyBlocks(o.Size), doScan)
		if r.Bad != 1 || bad[0].Cause.Class != d.scan || bad[0].Off != 0 || bad[0].Len != 4096 {
			t.Errorf("%s: %+v", d.name, r)
		}
	}
}

// A block that another layout left, of which later ones wrote over the end, is as old as it says.
func TestScanLeftBlock(t *testing.T) {
	const size = 256 << 10
	img := deviceOf(t, size, []region{{0, size, func(o *fio.Options) { o.MinBlock = 64 << 10 }}})
	now := deviceOf(t, size,
		[]region{{0, size, func(o *fio.Options) { o.RandSeed, o.RandSeedGiven = 3, true }}})
	copy(img[4096:], now[4096:])
	r, bad := check(t, img, anyBlocks(size), doScan)
	if r.Bad != 1 || bad[0].Off != 0 || bad[0].Len != 4096 || bad[0].Cause.Class != verify.Stale ||
		r.Blocks != 64 {
		t.Errorf("%+v", r)
	}
}

// The verdict on blocks of another type than asked for names theirs.
func TestScanOtherType(t *testing.T) {
	const size = 64 << 10
	img := deviceOf(t, size, []region{
		{0, 32 << 10, func(*fio.Options) {}},
		{32 << 10, 32 << 10, func(o *fio.Options) { o.Verify, o.Generation = "sha1", 3 }},
	})
	o := anyBlocks(size)
	o.Verify = "crc32c"
	r, bad := check(t, img, o, doScan)
	if r.Bad != 8 || r.Classes["other-type"] != 8 || bad[0].Type != "sha1" {
		t.Errorf("%+v", r)
	}
	img[40000] ^= 1
	if r, _ = check(t, img, o, doScan); r.Classes["other-type"] != 7 ||
		r.Classes["one-bit"] != 1 {
		t.Errorf("damaged: %+v", r)
	}
	o.Generation = 4
	if r, _ = check(t, img[:32<<10], func() fio.Options { o.Size = 32 << 10; return o }(),
		doScan); r.Classes["stale"] != 8 {
		t.Errorf("with a generation: %+v", r)
	}
}

// A file that was cut off ends with a part of a block.
func TestScanCutOff(t *testing.T) {
	for _, cut := range []int64{1, 4000, 4096 + 50} {
		const size = 64 << 10
		img := deviceOf(t, size, []region{{0, size, func(*fio.Options) {}}})[:size-cut]
		r, bad := check(t, img, anyBlocks(int64(len(img))), doScan)
		if r.Bad != 1 || bad[0].Cause.Class != verify.CutOff || bad[0].Off+bad[0].Len != size-cut {
			t.Errorf("without %d bytes: %+v", cut, r)
		}
	}
}

// A header that lies about its length does not hide what follows.
func TestScanLies(t *testing.T) {
	const size = 1 << 20
	img := deviceOf(t, size, []region{{0, size, func(*fio.Options) {}}})
	for i, n := range []uint32{0, 1, 48, 100, 5000, 1 << 20, fio.MaxBlockSize, 1<<32 - 1} {
		h, _ := fio.ParseHeader(img[8192:])
		h.Len = n
		lie := append([]byte(nil), img...)
		h.Put(lie[8192:])
		r, bad := check(t, lie, anyBlocks(size), doScan)
		if len(bad) == 0 || bad[0].Off != 8192 || r.BadBytes > 8192 || r.Blocks < 255 {
			t.Errorf("%s: %+v", fmt.Sprint(i), r)
		}
	}
}

// Every version is one of the releases whose blocks it has.
func TestParseRelease(t *testing.T) {
	for text, want := range map[string]fio.Release{
		"any": fio.FioAny, "2.2": fio.Fio22, "2.2.10": fio.Fio22, "2.16": fio.Fio22,
		"2.98": fio.Fio22, "2.99": fio.Fio333, "3.1": fio.Fio333, "3.28": fio.Fio333,
		"3.33": fio.Fio333, "fio-3.33": fio.Fio333, "3.34": fio.Fio333, "3.35": fio.Fio340,
		"3.36": fio.Fio340, "3.40": fio.Fio340, "3.41": fio.Fio342,
		"3.42": fio.Fio342, "3.42-135-gf534": fio.Fio342, "4.0": fio.Fio342,
	} {
		if got, err := fio.ParseRelease(text); got != want || err != nil {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "3", "x.y", "3.x", "2.1", "1.59", "-3.1", "3.99999999"} {
		if r, err := fio.ParseRelease(text); err == nil {
			t.Errorf("%q is %v", text, r)
		}
	}
}
