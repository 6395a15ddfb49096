package job

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// anyBlocks are options that leave everything to the headers.
func anyBlocks(size int64) fio.Options {
	o := fio.DefaultOptions()
	o.Verify, o.Fio, o.Size, o.Content = fio.TypeAny, fio.FioAny, size, fio.ContentOn
	return o
}

// Blocks are found by their headers, however they were written.
func TestScanShapes(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*fio.Options)
	}{
		{"plain", func(*fio.Options) {}},
		{"large", func(o *fio.Options) { o.MinBlock = 1 << 20 }},
		{"larger than a request", func(o *fio.Options) { o.MinBlock, o.MaxRequest = 1<<20, 64<<10 }},
		{"odd", func(o *fio.Options) { o.MinBlock = 1000 }},
		{"interval", func(o *fio.Options) { o.Interval = 512 }},
		{"odd interval", func(o *fio.Options) { o.MinBlock, o.Interval, o.Size = 1000, 250, 2000000 }},
		{"moved header", func(o *fio.Options) { o.HeaderOffset = 700 }},
		{"range", func(o *fio.Options) { o.MinBlock, o.MaxBlock = 1024, 16384 }},
		{"unaligned", func(o *fio.Options) { o.MinBlock, o.MaxBlock, o.BSUnaligned = 1000, 20000, true }},
		{"random", func(o *fio.Options) { o.Direction = fio.RandWrite }},
		{"offset", func(o *fio.Options) { o.Offset = 8192 }},
		{"fio 2.2", func(o *fio.Options) { o.Fio = fio.Fio22 }},
		{"fio 3.33", func(o *fio.Options) { o.Fio, o.Verify = fio.Fio333, "sha512" }},
	} {
		o := fio.DefaultOptions()
		o.Verify, o.Size = "sha3-256", 2<<20
		c.set(&o)
		if o.Fio == fio.Fio22 {
			o.Verify = "xxhash"
		}
		img := imageOf(t, o, noClock)
		s := anyBlocks(o.Size)
		s.Offset = o.Offset
		r, bad := check(t, img, s, doScan)
		if !r.Good() || r.ContentMismatches > 0 || r.Blocks == 0 ||
			r.Checked+r.Unchecked < o.Size-int64(max(o.MinBlock, o.MaxBlock)) {
			t.Errorf("%s: %+v %d bad", c.name, r, len(bad))
			continue
		}
		at := o.Offset + o.Size/2
		img[at] ^= 4
		if r, bad = check(t, img, s, doScan); r.Bad != 1 ||
			bad[0].Cause != (verify.Cause{Class: verify.OneBit, Bit: 2, At: at}) {
			t.Errorf("%s, damaged: %+v", c.name, r)
		}
	}
}

// The type numbers 11 to 14 of short headers have two meanings; the checksum
// decides, and a damaged block names both.
func TestScanNumbersWithTwoMeanings(t *testing.T) {
	for _, c := range []struct {
		release fio.Release
		kind    string
		both    string
	}{
		{fio.Fio22, "xxhash", "sha3-224 or xxhash"},
		{fio.Fio333, "sha3-224", "sha3-224 or xxhash"},
		{fio.Fio22, "sha1", "sha3-256 or sha1"},
		{fio.Fio333, "sha3-256", "sha3-256 or sha1"},
	} {
		o := fio.DefaultOptions()
		o.Fio, o.Verify, o.Size = c.release, c.kind, 64<<10
		img := imageOf(t, o, noClock)
		s := anyBlocks(o.Size)
		s.Content = fio.ContentOff
		if r, _ := check(t, img, s, doScan); !r.Good() {
			t.Errorf("%v %s: %+v", c.release, c.kind, r)
		}
		verify.Random(1).Fill(img[5000:6000], 0)
		r, bad := check(t, img, s, doScan)
		if r.Bad != 1 || bad[0].Type != c.both {
			t.Errorf("%v %s, damaged: %+v, type %q", c.release, c.kind, r, bad[0].Type)
		}
	}
}

// Random content of the same kind that never had a header is not a block whose header is damaged.
func TestScanBareContent(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size = "crc32c", 64<<10
	img := imageOf(t, o, noClock)
	fio.Fillers[0].Fill(img[8192:12288], 4711)
	if r, _ := check(t, img, anyBlocks(o.Size), doScan); r.Bad != 1 ||
		r.Classes["foreign"] != 1 {
		t.Errorf("%+v", r)
	}
}

// A damaged block whose number has two meanings is judged by the one that
// explains it best, and casts no doubt on those behind it: 13 also means a
// type without a checksum, which nothing contradicts.
func TestScanBehindDamage(t *testing.T) {
	for _, kind := range []string{
		"sha3-224", "sha3-256", "sha3-384", "sha3-512", "sha1",
		"xxhash",
	} {
		for _, pattern := range []string{"", "0xdeadbeef"} {
			o := fio.DefaultOptions()
			o.Fio, o.Verify, o.Size, o.Pattern = fio.Fio333, kind, 64<<10, pattern
			img := imageOf(t, o, noClock)
			img[14000] ^= 2
			s := anyBlocks(o.Size)
			s.Content = fio.ContentAuto
			r, bad := check(t, img, s, doScan)
			if r.Bad != 1 || r.ContentMismatches > 0 || bad[0].Off != 12288 || pattern == "" &&
				bad[0].Cause.Class != verify.OneBit {
				t.Errorf("%s %s: %+v", kind, pattern, r)
			}
		}
	}
}

// A stale block that is intact in itself shows by its generation.
func TestGeneration(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Generation = "crc32c", 64<<10, 7
	l, err := fio.NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	img := imageOf(t, o, l.JobClock(nil))
	o.Generation = 6
	if l, err = fio.NewLayout(&o); err != nil {
		t.Fatal(err)
	}
	copy(img[8192:12288], imageOf(t, o, l.JobClock(nil))[8192:])
	s := anyBlocks(o.Size)
	r, _ := check(t, img, s, doScan)
	if !r.Good() || r.Generations[7] != 15 || r.Generations[6] != 1 {
		t.Errorf("%+v", r)
	}
	s.Generation = 7
	r, bad := check(t, img, s, doScan)
	if r.Bad != 1 || bad[0].Off != 8192 ||
		bad[0].Cause != (verify.Cause{Class: verify.Stale, Generation: 6}) {
		t.Errorf("%+v", r)
	}
}

// A block whose checksum is right but whose content is not made from its seed
// is told, and is no damage.
func TestUnfaithful(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size = "crc32c", 64<<10
	img := imageOf(t, o, noClock)
	block := img[4096:8192]
	verify.Random(3).Fill(block[fio.LongHeader+4:], 0)
	binary.LittleEndian.PutUint32(block[fio.LongHeader:], fio.CRC32C(block[fio.LongHeader+4:]))
	if r, bad := check(t, img, anyBlocks(o.Size), doScan); !r.Good() || r.ContentMismatches != 1 ||
		bad[0].Cause.Class != verify.ContentMismatch {
		t.Errorf("scanned: %+v", r)
	}
	o.Content = fio.ContentOn
	if r, _ := check(t, img, o, doVerify); r.Bad != 1 {
		t.Errorf("with the job: %+v", r)
	}
}

// A run that ended early goes on where it was.
func TestResume(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Direction, o.Workers, o.MaxRequest = "crc32c", 1<<20, fio.RandWrite, 1, 0
	o.IODepth = 1
	img := imageOf(t, o, noClock)
	for _, at := range []int{100, 500000, 1000000} {
		img[at] ^= 1
	}
	for name, do := range map[string]func(*Job, context.Context, Opener, int64) (*Result, error){
		"verify": func(j *Job, ctx context.Context, open Opener, from int64) (*Result, error) {
			return j.Verify(ctx, open, VerifyOptions{From: from})
		},
		"scan": (*Job).Scan,
	} {
		bad, position, runs := int64(0), int64(0), 0
		for ; ; runs++ {
			ctx, cancel := context.WithCancel(t.Context())
			seen := 0
			j, err := New(o, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := do(j, ctx, func(ctx context.Context, depth, size int) (Queue, error) {
				q, err := openMemory(img)(ctx, depth, size)
				return &countingQueue{q.(*memoryQueue), func() {
					if seen++; seen == 40 {
						cancel()
					}
				}}, err
			}, position)
			cancel()
			bad += r.Bad
			if r.Done {
				break
			}
			if err == nil || r.Position <= position && name == "verify" {
				t.Fatalf("%s: %+v, %v after %d", name, r, err, position)
			}
			position = r.Position
		}
		if bad != 3 || runs == 0 {
			t.Errorf("%s: %d bad in %d runs", name, bad, runs)
		}
	}
}

// A countingQueue calls a function at each request.
type countingQueue struct {
	*memoryQueue
	call func()
}

func (q *countingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == OpRead {
		q.call()
	}
	q.memoryQueue.Stage(slot, op, off, n, flags)
}

// Whatever a device holds, a scan ends and does not panic, and tells the same
// with one worker and with many.
func FuzzScan(f *testing.F) {
	o := fio.DefaultOptions()
	o.Size = 8192
	for _, r := range []fio.Release{fio.Fio22, fio.Fio333, fio.Fio342} {
		for _, kind := range []string{"crc7", "sha512", "meta"} {
			o.Fio, o.Verify = r, kind
			f.Add(imageOf(f, o, noClock), kind, 0)
		}
	}
	o.MinBlock, o.MaxBlock, o.BSUnaligned = 300, 2000, true
	f.Add(imageOf(f, o, noClock), "any", 0)
	f.Fuzz(func(t *testing.T, img []byte, kind string, headerOffset int) {
		s := anyBlocks(int64(len(img)))
		s.Verify, s.HeaderOffset, s.MaxRequest = kind, headerOffset, 4096
		if _, err := New(s, Hooks{}); err != nil {
			return
		}
		before := bytes.Clone(img)
		s.Workers = 1
		one, _ := check(t, img, s, doScan)
		s.Workers = 3
		many, _ := check(t, img, s, doScan)
		if !bytes.Equal(img, before) {
			t.Fatal("the scan wrote")
		}
		if one.Bad != many.Bad || one.Blocks != many.Blocks || one.BadBytes != many.BadBytes {
			t.Fatalf("%+v and %+v", one, many)
		}
	})
}
