package job

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// A fioImage is a file that some fio wrote, told by what made it: the options,
// the clock of each header in the order of writing, and the SHA-256 of the whole.
type fioImage struct {
	release fio.Release
	options string
	sum     string
	clocks  string
}

func (f fioImage) String() string { return f.release.String() + " " + f.options }

// fioImages reads the table of images of fio 2.2.10, 3.33 and 3.42.
func fioImages(t testing.TB) (list []fioImage) {
	file, err := os.Open("testdata/fio.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 4 || f[0] == "release" {
			continue
		}
		r, err := fio.ParseRelease(f[0])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fioImage{r, f[1], f[2], f[3]})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// job makes the options of the job that wrote the image.
func (f fioImage) job(t testing.TB) fio.Options {
	o := fio.DefaultOptions()
	o.Fio = f.release
	for word := range strings.FieldsSeq(f.options) {
		name, value, _ := strings.Cut(word, "=")
		if _, err := o.Set(name, value); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
	}
	return o
}

// image makes the image again.
func (f fioImage) image(t testing.TB) []byte {
	clocks := strings.Fields(f.clocks)
	return imageOf(t, f.job(t), func(int64) (sec, frac uint32) {
		if _, err := fmt.Sscanf(clocks[0], "%d.%d", &sec, &frac); err != nil {
			t.Fatal(err)
		}
		clocks = clocks[1:]
		return sec, frac
	})
}

// imageOf makes the image that a job leaves on a file that held zeroes.
func imageOf(t rapid.TB, o fio.Options, now fio.Clock) []byte {
	l, err := fio.NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := fio.NewOrder(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	b := fio.NewBuilder(l, now)
	img := make([]byte, o.Offset+o.Size)
	var r fio.Request
	for jobs.Next(&r) {
		b.Build(img[r.Off:r.Off+int64(r.N)], &r)
	}
	return img
}

// check verifies an image in memory and returns the verdict and the bad blocks.
func check(t rapid.TB, img []byte, o fio.Options,
	do func(*Job, context.Context, Opener) (*Result, error),
) (*Result, []Bad) {
	var bad []Bad
	j, err := New(o, Hooks{Bad: func(b *Bad) { bad = append(bad, *b) }})
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	r, err := do(j, context.Background(), openMemory(img))
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	if !r.Done {
		t.Fatalf("%+v: not done: %+v", o, r)
	}
	return r, bad
}

func doWrite(j *Job, ctx context.Context, open Opener) (*Result, error) {
	return j.Write(ctx, open, WriteOptions{})
}

func doVerify(j *Job, ctx context.Context, open Opener) (*Result, error) {
	return j.Verify(ctx, open, VerifyOptions{})
}

func doScan(j *Job, ctx context.Context, open Opener) (*Result, error) {
	return j.Scan(ctx, open, 0)
}

// Every byte of what three fios wrote is made again from the options, except the clock; and it is
// found intact with the job, with the job but not the release, and by its headers alone.
func TestFioImages(t *testing.T) {
	for _, f := range fioImages(t) {
		img := f.image(t)
		if sum := sha256.Sum256(img); hex.EncodeToString(sum[:]) != f.sum {
			t.Errorf("%v: another image", f)
			continue
		}
		o := f.job(t)
		o.Content = fio.ContentOn
		if r, bad := check(t, img, o, doVerify); !r.Good() || r.ContentMismatches > 0 {
			t.Errorf("%v: %+v %+v", f, r, bad)
		}
		if o.Fio = fio.FioAny; o.Verify == fio.TypeNull {
			o.Content = fio.ContentAuto // nothing tells the release
		}
		if r, bad := check(t, img, o, doVerify); !r.Good() {
			t.Errorf("%v, release unknown: %+v %+v", f, r, bad)
		}
		s := fio.DefaultOptions()
		s.Fio, s.Size, s.Verify, s.Pattern = fio.FioAny, o.Size, fio.TypeAny, o.Pattern
		s.Holes = o.NoRandomMap
		if o.Verify == "pattern" || o.Verify == fio.TypeNull {
			s.Verify, s.PatternInterval = o.Verify, o.PatternInterval
		}
		if r, bad := check(t, img, s, doScan); !r.Good() || r.ContentMismatches > 0 {
			t.Errorf("%v, scanned: %+v %+v", f, r, bad)
		}
	}
}

// A damage is what may happen to the block of 4096 bytes at offset at.
type damage struct {
	name string
	do   func(img, old []byte, at int)
	want verify.Class // with the job
	scan verify.Class // without it; noClass is nothing
}

// noClass is the class of what nothing tells of.
const noClass = verify.Class(0xff)

// damages are the kinds of damage, as a corrupting device does them; old is the image that was
// there before.
var damages = []damage{
	{"zeroed", func(img, _ []byte, at int) { clear(img[at : at+4096]) }, verify.Zeroed, verify.Zeroed},
	{"ones", func(img, _ []byte, at int) { copy(img[at:], bytesOf(0xff, 4096)) }, verify.Filled, verify.Filled},
	{"a sector zeroed", func(img, _ []byte, at int) { clear(img[at+1024 : at+1536]) }, verify.Zeroed, verify.Zeroed},
	{"the first sector zeroed", func(img, _ []byte, at int) { clear(img[at : at+512]) }, verify.Zeroed, verify.Zeroed},
	{"a bit of the data", func(img, _ []byte, at int) { img[at+2000] ^= 0x10 }, verify.OneBit, verify.OneBit},
	{"a bit of the last byte", func(img, _ []byte, at int) { img[at+4095] ^= 0x80 }, verify.OneBit, verify.OneBit},
	{"a bit of the magic", func(img, _ []byte, at int) { img[at] ^= 1 }, verify.OneBit, verify.OneBit},
	{"a bit of the length", func(img, _ []byte, at int) { img[at+5] ^= 1 }, verify.OneBit, verify.OneBit},
	{"a bit of the seed", func(img, _ []byte, at int) { img[at+8] ^= 1 }, verify.OneBit, verify.OneBit},
	{"a bit of the offset", func(img, _ []byte, at int) { img[at+17] ^= 1 }, verify.OneBit, verify.OneBit},
	{"a bit of the header's crc", func(img, _ []byte, at int) { img[at+36] ^= 1 }, verify.OneBit, verify.OneBit},
	{"shifted", func(img, _ []byte, at int) { copy(img[at+512:at+4096], append([]byte(nil), img[at:]...)) }, verify.Shifted, verify.Shifted},
	{"shifted by three", func(img, _ []byte, at int) { copy(img[at+1003:at+4096], append([]byte(nil), img[at+1000:]...)) }, verify.Shifted, verify.Shifted},
	{"misdirected", func(img, _ []byte, at int) { copy(img[at:at+4096], img[at+8192:]) }, verify.Misdirected, verify.Misdirected},
	{"stale", func(img, old []byte, at int) { copy(img[at:at+4096], old[at:]) }, verify.Stale, noClass},
	{"torn", func(img, old []byte, at int) { copy(img[at+2048:at+4096], old[at+2048:]) }, verify.Torn, verify.Torn},
	{"torn in the middle", func(img, old []byte, at int) { copy(img[at+1024:at+1536], old[at+1024:]) }, verify.Torn, verify.Torn},
	{"foreign", func(img, _ []byte, at int) { verify.Random(9).Fill(img[at:at+4096], 0) }, verify.Foreign, verify.Foreign},
	{"the header", func(img, _ []byte, at int) { verify.Random(9).Fill(img[at:at+20], 1) }, verify.HeaderOnly, verify.HeaderOnly},
	{"the data", func(img, _ []byte, at int) { verify.Random(9).Fill(img[at+700:at+1100], 1) }, verify.PayloadOnly, verify.PayloadOnly},
}

func bytesOf(b byte, n int) []byte {
	p := make([]byte, n)
	verify.Byte(b).Fill(p, 0)
	return p
}

// damageJob is a job of 64 KiB of a release and a type.
func damageJob(r fio.Release, kind string) (now, old fio.Options) {
	now = fio.DefaultOptions()
	now.Fio, now.Verify, now.Size = r, kind, 64<<10
	old = now
	old.RandSeed, old.RandSeedGiven = 777, true
	return now, old
}

func noClock(int64) (uint32, uint32) { return 0, 0 }

// Each kind of damage is found and named, in blocks of each release and of types of each strength.
func TestDamages(t *testing.T) {
	for _, r := range []fio.Release{fio.Fio22, fio.Fio333, fio.Fio342} {
		for _, kind := range []string{
			"crc32c", "crc7", "md5", "sha256", "sha512", "meta",
			"xxhash",
		} {
			o, older := damageJob(r, kind)
			img, old := imageOf(t, o, noClock), imageOf(t, older, noClock)
			for _, d := range damages {
				bad := append([]byte(nil), img...)
				d.do(bad, old, 12288)
				expectClass(t, fmt.Sprintf("%v %s: %s", r, kind, d.name), bad, o, doVerify,
					d.want)
				if r == fio.Fio22 &&
					(d.name == "the header" || d.name == "the first sector zeroed") {
					continue // the seed cannot be solved for, so without the job nothing is left
				}
				o.Verify, o.HeaderSeed, o.Sequence = fio.TypeAny, false, false
				expectClass(t, fmt.Sprintf("%v %s, scanned: %s", r, kind, d.name), bad, o,
					doScan, d.scan)
				o, _ = damageJob(r, kind)
			}
		}
	}
}

func expectClass(t *testing.T, name string, img []byte, o fio.Options,
	do func(*Job, context.Context, Opener) (*Result, error), want verify.Class,
) {
	r, bad := check(t, img, o, do)
	switch {
	case want == noClass && r.Good():
	case len(bad) != 1 || r.Bad != 1 || bad[0].Cause.Class != want || bad[0].Off != 12288 ||
		bad[0].Len != 4096:
		for i := range bad {
			bad[i].got, bad[i].want = nil, nil
		}
		t.Errorf("%s: %+v %+v, want %v", name, r, bad, want)
	}
}

// All kinds together in one image are told apart.
func TestDamagesTogether(t *testing.T) {
	o, older := damageJob(fio.Fio342, "crc32c")
	o.Size, older.Size = 256<<10, 256<<10
	img, old := imageOf(t, o, noClock), imageOf(t, older, noClock)
	want := map[string]int64{}
	for i, d := range damages {
		d.do(img, old, (len(damages)-i)*3*4096) // misdirected takes a later block
		want[d.want.String()]++
	}
	r, _ := check(t, img, o, doVerify)
	if fmt.Sprint(r.Classes) != fmt.Sprint(want) || r.Bad != int64(len(damages)) {
		t.Errorf("%v, want %v", r.Classes, want)
	}
	for i := 1; i < len(r.Ranges); i++ {
		if r.Ranges[i-1].End() > r.Ranges[i].Off {
			t.Errorf("ranges are not in order: %+v", r.Ranges)
		}
	}
}

// fio before 3.40 left the header of the request before in data that are a
// pattern, where verify_offset had put it.
func TestLeftoverHeader(t *testing.T) {
	o := fio.DefaultOptions()
	o.Fio, o.Verify, o.Size = fio.Fio333, "meta", 64<<10
	o.Pattern, o.HeaderOffset = "0x0102030405060708", 128
	img := imageOf(t, o, noClock)
	if r, bad := check(t, img, o, doVerify); !r.Good() {
		t.Fatalf("%+v %+v", r, bad)
	}
	copy(img[12288:], img[8192+128:8192+128+fio.ShortHeader])
	expectClass(t, "leftover", img, o, doVerify, verify.Leftover)
}
