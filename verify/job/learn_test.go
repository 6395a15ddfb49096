package job

import (
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// scanned are options that leave all to the headers and compare what has no checksum, as a scan
// does that nobody asked for requests of a size.
func scanned(size int64) fio.Options {
	o := anyBlocks(size)
	o.Content, o.MaxRequest = fio.ContentAuto, ScanRequest
	return o
}

// Content that is compressible in whatever way is recognised without the job: it is intact, and
// nothing is held against it. A flipped bit and a lost tail show in it as in any other.
func TestScanCompressible(t *testing.T) {
	type form struct {
		name string
		set  func(*fio.Options)
	}
	forms := []form{
		{"plain", func(*fio.Options) {}},
		{"small", func(o *fio.Options) { o.MinBlock = 512 }},
		{"odd", func(o *fio.Options) { o.MinBlock = 1000 }},
		{"interval", func(o *fio.Options) { o.MinBlock, o.Interval = 8192, 2048 }},
		{"long", func(o *fio.Options) { o.MinBlock, o.Interval = 64<<10, 1024 }},
		{"range", func(o *fio.Options) { o.MinBlock, o.MaxBlock, o.BSUnaligned = 700, 5000, true }},
		{"sizes", func(o *fio.Options) { o.MinBlock, o.MaxBlock = 1024, 16<<10 }},
		{"split", func(o *fio.Options) {
			o.MinBlock, o.MaxBlock = 1024, 4096
			o.Split = []fio.Share{{Block: 1024, Percent: 50}, {Block: 4096, Percent: 50}}
		}},
		{"padding", func(o *fio.Options) { o.Padding = "0xdeadbeef" }},
		{"sizes, padded", func(o *fio.Options) { o.Padding, o.MinBlock, o.MaxBlock = "0xdeadbeef", 1024, 16<<10 }},
		{"long padding", func(o *fio.Options) { o.Padding, o.MinBlock = `"a pattern of bytes"`, 16<<10 }},
		{"random", func(o *fio.Options) { o.Direction = fio.RandWrite }},
		{"moved header", func(o *fio.Options) { o.HeaderOffset = 300 }},
	}
	n := 0
	for _, release := range []fio.Release{fio.Fio22, fio.Fio333, fio.Fio342} {
		for _, f := range forms {
			for _, share := range []int{1, 7, 20, 30, 50, 70, 93} {
				if n++; !blockdevtest.Sampled(n, 4) {
					continue
				}
				o := fio.DefaultOptions()
				o.Fio, o.Verify, o.Size, o.Compress = release, "meta", 256<<10, share
				f.set(&o)
				if _, err := New(o, Hooks{}); err != nil {
					continue // fio 2.2 has no such jobs
				}
				name := fmt.Sprintf("%v, %s, %d%%", release, f.name, share)
				img := imageOf(t, o, noClock)
				for _, content := range []fio.Content{fio.ContentAuto, fio.ContentOn} {
					s := scanned(o.Size)
					s.Content = content
					if r, bad := check(t, img, s, doScan); !r.Good() || r.ContentMismatches > 0 ||
						r.Checked == 0 || r.HeadersOnly > 0 && release != fio.Fio22 {
						t.Fatalf("%s: %+v %d bad", name, r, len(bad))
					}
				}
				at := 128<<10 + 60
				img[at] ^= 8
				r, bad := check(t, img, scanned(o.Size), doScan)
				if r.Bad != 1 || bad[0].Off > int64(at) || bad[0].Off+bad[0].Len <= int64(at) {
					t.Fatalf("%s, flipped: %+v", name, r)
				}
			}
		}
	}
}

// What lost its tail has no checksum that says so, and is not taken for compressible content.
func TestScanLostTail(t *testing.T) {
	for _, share := range []int{0, 20, 50} {
		for _, kind := range []string{"meta", "sha512"} {
			for _, from := range []int{512, 1024, 2048, 3584} {
				o := fio.DefaultOptions()
				o.Fio, o.Verify, o.Size, o.Compress = fio.Fio333, kind, 256<<10, share
				img := imageOf(t, o, noClock)
				if from >= 4096*(100-share)/100 {
					continue // there are zeroes anyhow
				}
				clear(img[12*4096+from : 13*4096])
				name := fmt.Sprintf("%s, %d%%, from %d", kind, share, from)
				if r, bad := check(t, img, scanned(o.Size), doScan); r.Bad != 1 ||
					bad[0].Off != 12*4096 || bad[0].Cause.Class != verify.Zeroed && share == 0 {
					t.Errorf("%s: %+v", name, r)
				}
				if r, _ := check(t, img, o, doVerify); r.Bad != 1 {
					t.Errorf("%s, with the job: %+v", name, r)
				}
			}
		}
	}
}

// Several jobs on one device need not have the same share of padding.
func TestScanSeveralShares(t *testing.T) {
	const part = 256 << 10
	var list []region
	for i, share := range []int{0, 50, 20, 0, 75} {
		list = append(list,
			region{
				int64(i) * part, part,
				func(o *fio.Options) { o.Verify, o.Compress = "meta", share },
			})
	}
	img := deviceOf(t, 5*part, list)
	r, bad := check(t, img, scanned(5*part), doScan)
	if !r.Good() || r.ContentMismatches > 0 || r.Checked != 5*part {
		t.Errorf("%+v: %d bad", r, len(bad))
	}
}

// Whatever byte of a later block of a request is damaged, the scan knows the bit: not only one word
// tells where the request begins and what it is made of.
func TestScanAnyBitOfSegment(t *testing.T) {
	for _, c := range []struct {
		release  fio.Release
		kind     string
		lo, hi   int
		interval int
	}{
		{fio.Fio333, "crc32c", 8192, 8192, 2048},
		{fio.Fio342, "meta", 8192, 8192, 2048},
		{fio.Fio333, "sha512", 8192, 8192, 2048},
		{fio.Fio342, "meta", 1000, 1000, 250},
		{fio.Fio342, "crc32c", 2048, 32768, 1024}, // no grid
		{fio.Fio342, "meta", 2048, 32768, 1024},
		{fio.Fio22, "meta", 8192, 8192, 2048},
	} {
		o := fio.DefaultOptions()
		o.Fio, o.Verify, o.Size, o.MinBlock, o.MaxBlock = c.release, c.kind, 128000, c.lo, c.hi
		o.Interval = c.interval
		if o.Size%int64(c.lo) != 0 {
			o.Size = 128 << 10
		}
		img := imageOf(t, o, noClock)
		s := scanned(o.Size)
		first := 17 * c.interval
		for at := first; at < first+c.interval; at += 29 {
			bit := at % 8
			img[at] ^= 1 << bit
			r, bad := check(t, img, s, doScan)
			if r.Bad != 1 ||
				bad[0].Cause != (verify.Cause{
					Class: verify.OneBit, Bit: uint8(bit),
					At: int64(at),
				}) {
				t.Fatalf("%+v: at %d (%d of the block): %+v", c, at, at-first, r)
			}
			img[at] ^= 1 << bit
		}
	}
}

// Blocks without a checksum whose pattern nobody told are counted apart: their headers are all that
// can be checked.
func TestScanHeadersOnly(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Pattern = "meta", 64<<10, "0xdeadbeef"
	img := imageOf(t, o, noClock)
	verify.Random(1).Fill(img[13<<10:16<<10], 0)
	if r, _ := check(t, img, scanned(o.Size), doScan); !r.Good() || r.HeadersOnly != o.Size ||
		r.Checked != 0 || r.Blocks != 16 {
		t.Errorf("pattern not told: %+v", r)
	}
	s := scanned(o.Size)
	s.Pattern, s.Verify = o.Pattern, fio.TypeAny
	if r, _ := check(t, img, s, doScan); r.Bad != 1 || r.Checked != o.Size ||
		r.HeadersOnly != 0 {
		t.Errorf("pattern told: %+v", r)
	}
	o.Content = fio.ContentOff
	if r, _ := check(t, img, o, doVerify); !r.Good() || r.HeadersOnly != o.Size {
		t.Errorf("content left out: %+v", r)
	}
	o.Verify, o.Pattern = "crc32c", "0xdeadbeef"
	img = imageOf(t, o, noClock)
	if r, _ := check(t, img, scanned(o.Size), doScan); r.Checked != o.Size ||
		r.HeadersOnly != 0 {
		t.Errorf("with a checksum: %+v", r)
	}
}

// A header of a machine of the other byte order is foreign, and told.
func TestScanBigEndian(t *testing.T) {
	o := fio.DefaultOptions()
	o.Fio, o.Verify, o.Size = fio.Fio333, "crc32c", 16<<10
	img := imageOf(t, o, noClock)
	be := binary.BigEndian
	for at := 0; at < len(img); at += 4096 {
		h, _ := fio.ParseHeader(img[at:])
		be.PutUint16(img[at:], 0xacca)
		be.PutUint16(img[at+2:], uint16(h.Type))
		be.PutUint32(img[at+4:], h.Len)
		be.PutUint64(img[at+8:], h.Seed)
		be.PutUint64(img[at+16:], h.Offset)
		be.PutUint32(img[at+36:], fio.CRC32C(img[at:at+36]))
	}
	r, bad := check(t, img, scanned(o.Size), doScan)
	if r.Bad != 4 || r.Classes["foreign"] != 4 {
		t.Fatalf("%+v", r)
	}
	for _, b := range bad {
		if !b.BigEndian {
			t.Errorf("not told at %d: %+v", b.Off, b.Cause)
		}
	}
}

// Whatever a device holds and whatever is asked for, a scan ends with a verdict in which each byte
// is counted once, and says nothing that means nothing.
func TestScanAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 128 << 10
		img := make([]byte, size)
		for range rapid.IntRange(1, 4).Draw(t, "jobs") {
			scribble(t, img)
		}
		s := drawScan(t, size)
		if _, err := New(s, Hooks{}); err != nil {
			t.Skip(err)
		}
		r, bad := check(t, img, s,
			doScan)
		if r.Checked+r.HeadersOnly+r.Unchecked != s.Size {
			t.Fatalf("not all bytes are counted once: %+v of %d", r, s.Size)
		}
		checkSense(t, &s, bad)
	})
}

// The same is true of a job that finds anything but what it wrote.
func TestVerifyAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 128 << 10
		img := make([]byte, size)
		o := drawOptions(t)
		o.Size = min(o.Size, size-o.Offset)
		o.Content = rapid.SampledFrom(
			[]fio.Content{fio.ContentAuto, fio.ContentOn, fio.ContentOff}).Draw(t, "content")
		if _, err := New(o, Hooks{}); err != nil {
			t.Skip(err)
		}
		copy(img, imageOf(t, o, noClock))
		for range rapid.IntRange(1, 4).Draw(t, "jobs") {
			scribble(t, img)
		}
		r, bad := check(t, img, o,
			doVerify)
		if r.Bad > r.Blocks || r.Checked+r.HeadersOnly+r.Unchecked > o.Size {
			t.Fatalf("more than there is: %+v of %d", r, o.Size)
		}
		checkSense(t, &o, bad)
	})
}

// checkSense makes sure that what is told of bad blocks can be.
func checkSense(t *rapid.T, o *fio.Options, bad []Bad) {
	for _, b := range bad {
		if c := b.Cause; (c.Class == verify.Shifted || c.Class == verify.Misdirected) &&
			c.Delta == 0 {
			t.Fatalf("moved by nothing: %+v", b.Cause)
		}
		if b.Off < o.Offset || b.Off+b.Len > o.Offset+o.Size || b.Len <= 0 {
			t.Fatalf("out of range: %d bytes at %d", b.Len, b.Off)
		}
	}
}

// scribble puts what some job wrote anywhere on a device, or damages it.
func scribble(t *rapid.T, img []byte) {
	at := rapid.IntRange(0, len(img)-1).Draw(t, "at") &^ rapid.SampledFrom(
		[]int{0, 7, 511, 4095}).Draw(t, "aligned")
	n := min(len(img)-at, rapid.IntRange(1, 64<<10).Draw(t, "bytes"))
	switch rapid.SampledFrom([]string{"job", "job", "job", "zero", "random", "move"}).Draw(t,
		"what") {
	case "zero":
		clear(img[at:][:n])
	case "random":
		verify.Random(rapid.Uint64().Draw(t, "seed")).Fill(img[at:][:n], 0)
	case "move":
		copy(img[at:][:n], img[rapid.IntRange(0, len(img)-n).Draw(t, "from"):])
	default:
		o := drawOptions(t)
		o.Offset, o.Size = int64(at), int64(n)
		o.Interval = rapid.SampledFrom([]int{0, o.Interval, o.MinBlock}).Draw(t, "every")
		o.Loops, o.TrimPercent, o.NoRandomMap = 1, 0, false
		if _, err := New(o, Hooks{}); err == nil {
			copy(img[at:], imageOf(t, o, noClock)[at:])
		}
	}
}

// drawScan makes options of a scan, most of which know nothing of what is there.
func drawScan(t *rapid.T, size int64) fio.Options {
	s := scanned(size)
	s.Offset = rapid.SampledFrom([]int64{0, 0, 512, 4096, 4100}).Draw(t, "scan from")
	s.Size = rapid.Int64Range(0, size-s.Offset).Draw(t, "scan bytes")
	s.Verify = rapid.SampledFrom(append(fio.Types(), fio.TypeAny, fio.TypeAny)).Draw(t, "scan type")
	s.MinBlock = rapid.SampledFrom([]int{64, 512, 1000, 4096, 4096, 65536}).Draw(t, "scan bs")
	s.Pattern = rapid.SampledFrom([]string{"", "", "0xab", `%o`, `"abc"%o`}).Draw(t, "scan pattern")
	s.PatternInterval = rapid.SampledFrom([]int{0, 0, 512, 100}).Draw(t, "scan pattern interval")
	s.Interval = rapid.SampledFrom([]int{0, 0, 512}).Draw(t, "scan interval")
	s.HeaderOffset = rapid.SampledFrom([]int{0, 0, 200}).Draw(t, "scan header")
	s.Content = rapid.SampledFrom(
		[]fio.Content{fio.ContentAuto, fio.ContentOn, fio.ContentOff}).Draw(t, "scan content")
	s.Holes = rapid.Bool().Draw(t, "holes")
	s.Compress = rapid.SampledFrom([]int{0, 0, 40}).Draw(t, "scan share")
	return s
}

// Where most data are damaged the rest still tells how they should be; where nothing follows from a
// seed, only headers are known. Neither takes long, however large the requests are.
func TestScanMostlyDamaged(t *testing.T) {
	for _, c := range []struct{ bs, interval int }{{4096, 0}, {512, 0}, {64 << 10, 1024}} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.MinBlock, o.Interval = "meta", 1<<20, c.bs, c.interval
		img := imageOf(t, o, noClock)
		block := c.bs
		if c.interval > 0 {
			block = c.interval
		}
		damage := func(every int) (n int64) {
			for at := 0; at < len(img); at += every * block {
				verify.Random(uint64(at)).Fill(img[at+60:at+block], 0)
				n++
			}
			return n
		}
		n := damage(2)
		if r, _ := check(t, img, scanned(o.Size), doScan); r.Bad != n || r.HeadersOnly > 0 {
			t.Errorf("%+v, every other block: %+v", c, r)
		}
		damage(1)
		if r, _ := check(t, img, scanned(o.Size), doScan); r.Bad != 0 ||
			r.HeadersOnly != o.Size {
			t.Errorf("%+v, all blocks: %+v", c, r)
		}
	}
}
