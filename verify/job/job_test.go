package job

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// drawOptions makes options of any kind that a job can have.
func drawOptions(t *rapid.T) fio.Options {
	o := fio.DefaultOptions()
	o.Fio = rapid.SampledFrom([]fio.Release{fio.Fio22, fio.Fio333, fio.Fio342}).Draw(t, "fio")
	o.Direction = rapid.SampledFrom(
		[]fio.Direction{fio.Write, fio.RandWrite, fio.ReadWrite, fio.RandReadWrite}).Draw(t, "rw")
	o.Verify = rapid.SampledFrom(fio.Types()[1:]).Draw(t, "verify")
	o.MinBlock = rapid.SampledFrom([]int{512, 520, 1000, 1024, 4096, 16384}).Draw(t, "bs")
	if rapid.Bool().Draw(t, "range") {
		o.MaxBlock = o.MinBlock * rapid.IntRange(1, 5).Draw(t, "times")
	}
	o.Interval = rapid.SampledFrom([]int{0, 0, 250, 256, 512, 1000}).Draw(t, "interval")
	o.HeaderOffset = rapid.SampledFrom([]int{0, 0, 0, 200}).Draw(t, "offset")
	o.Offset = rapid.Int64Range(0, 3).Draw(t, "start") * 4096
	o.Size = rapid.Int64Range(0, 200000).Draw(t, "size")
	o.Generator = rapid.SampledFrom([]string{"tausworthe", "tausworthe64", "lfsr"}).Draw(t,
		"generator")
	o.NoRandomMap = rapid.Bool().Draw(t, "norandommap")
	o.Thread = rapid.IntRange(1, 3).Draw(t, "thread")
	if rapid.Bool().Draw(t, "pattern") {
		o.Pattern = rapid.SampledFrom([]string{"0xdeadbeef", `%o"abc"`, "0x01"}).Draw(t,
			"verify_pattern")
		o.PatternInterval = rapid.SampledFrom([]int{0, 512, 100}).Draw(t, "pattern_interval")
	}
	o.Compress = rapid.SampledFrom([]int{0, 0, 30, 100}).Draw(t, "compress")
	o.RandSeed = rapid.Uint64().Draw(t, "randseed")
	o.RandSeedGiven = true
	o.RandRepeat = rapid.Bool().Draw(t, "randrepeat")
	o.BSUnaligned = rapid.IntRange(0, 5).Draw(t, "unaligned") == 0
	o.Loops = rapid.IntRange(1, 3).Draw(t, "loops")
	o.IODepth = rapid.IntRange(1, 8).Draw(t, "depth")
	o.Workers = rapid.IntRange(1, 3).Draw(t, "workers")
	o.MaxRequest = rapid.SampledFrom([]int{0, 4096, 65536}).Draw(t, "request")
	o.Fsync = rapid.SampledFrom([]int64{0, 0, 5}).Draw(t, "fsync")
	o.Backlog = rapid.SampledFrom([]int64{0, 0, 7}).Draw(t, "backlog")
	o.Generation = rapid.SampledFrom([]uint32{0, 77}).Draw(t, "generation")
	if rapid.IntRange(0, 5).Draw(t, "trim") == 0 {
		o.TrimPercent, o.TrimBacklog = 40, 8
		o.TrimBatch = rapid.SampledFrom([]int64{0, 2}).Draw(t, "batch")
	}
	reconcile(&o)
	return o
}

// reconcile changes options that do not go together, so that few draws are in vain.
func reconcile(o *fio.Options) {
	if o.Pattern == "" && strings.HasPrefix(o.Verify, "pattern") {
		o.Pattern = "0xdeadbeef"
	}
	if o.Fio == fio.Fio22 &&
		(strings.HasPrefix(o.Verify, "sha3") || o.BSUnaligned || o.MinBlock&(o.MinBlock-1) != 0) {
		o.Fio = fio.Fio333
	}
	if o.Generator == "lfsr" {
		o.MaxBlock = 0
	}
	if o.TrimPercent > 0 || o.BSUnaligned {
		o.Loops, o.NoRandomMap = 1, false
	}
	if o.Verify == "sha512" && o.Interval > 0 || o.HeaderOffset > 0 {
		o.Interval, o.MinBlock = 0, max(o.MinBlock, 1000)
		o.MaxBlock = max(o.MaxBlock, o.MinBlock)
	}
	if o.Fio == fio.Fio22 && o.Interval != 0 &&
		(o.MinBlock%o.Interval != 0 || o.MaxBlock%o.Interval != 0) {
		o.Interval = 0
	}
}

func run(t rapid.TB, f *os.File, o fio.Options, h Hooks,
	do func(*Job, context.Context, Opener) (*Result, error),
) *Result {
	j, err := New(o, h)
	if err != nil {
		t.Fatal(err)
	}
	r, err := do(j, context.Background(), openFile(f))
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return r
}

// What a job wrote it finds intact, whatever its options.
func TestWriteVerify(t *testing.T) {
	f := tempFile(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		if _, err := New(o, Hooks{}); err != nil {
			t.Skip(err)
		}
		if err := errors.Join(f.Truncate(0), f.Truncate(1<<20)); err != nil {
			t.Fatal(err)
		}
		report := Hooks{Bad: func(b *Bad) { b.got, b.want = nil, nil; t.Errorf("%+v", b) }}
		w := run(t, f, o, report, doWrite)
		r := run(t, f, o, report, doVerify)
		if !w.Done || !r.Done || !w.Good() || !r.Good() {
			t.Fatalf("written %+v, verified %+v", w, r)
		}
		if o.Direction == fio.Write && o.Loops == 1 && o.TrimPercent == 0 &&
			(w.Written == 0) != (o.Size < int64(o.MinBlock)) {
			t.Fatalf("%d of %d bytes were written", w.Written, o.Size)
		}
	})
}

// Any single bit that flips is found and named, in blocks of type null if their
// content is compared.
func TestAnyBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		o.TrimPercent, o.Direction, o.Loops, o.NoRandomMap = 0, o.Direction&1, 1, false
		o.Size += int64(max(o.MinBlock, o.MaxBlock))
		if o.Verify == fio.TypeNull {
			o.Content = fio.ContentOn
		}
		l, err := fio.NewLayout(&o)
		if err != nil || o.Size < int64(l.MaxBlock) || l.Overlaps() || o.BSUnaligned &&
			o.Direction.Random() {
			t.Skip() // there are gaps between unaligned blocks, and some are written over
		}
		if l.Checksum != nil && l.Checksum.Name == "sha512-old" &&
			l.BlockLen < 2*fio.MaxSum+fio.ShortHeader {
			t.Skip() // of less than 128 bytes of data it leaves part of the checksum undefined
		}
		img := imageOf(t, o, l.JobClock(noTime))
		// The rest of the range behind the last whole block is not written.
		at := o.Offset + rapid.Int64Range(0, (o.Size/int64(l.MaxBlock)-1)*int64(l.MaxBlock)).Draw(t,
			"at")
		bit := rapid.Uint8Range(0, 7).Draw(t, "bit")
		img[at] ^= 1 << bit
		r, bad := check(t, img, o, doVerify)
		if want := (verify.Cause{Class: verify.OneBit, Bit: bit, At: at}); r.Bad != 1 ||
			bad[0].Cause != want {
			t.Fatalf("%+v, want %+v", r, want)
		}
	})
}

// A job that goes by the clock verifies what it wrote, wherever that ended.
func TestRunByTheClock(t *testing.T) {
	for _, seconds := range []int{4, 7, 40} {
		for _, direction := range []fio.Direction{fio.Write, fio.RandWrite, fio.RandReadWrite} {
			o := fio.DefaultOptions()
			o.Verify, o.Size, o.Direction, o.Workers = "crc32c", 64<<10, direction, 1
			o.MaxRequest = 0
			o.TimeBased, o.Runtime = true, time.Duration(seconds)*time.Second
			now := time.Unix(0, 0)
			img := make([]byte, o.Size)
			j, err := New(o, Hooks{
				Now: func() time.Time { now = now.Add(time.Second / 4); return now },
				Bad: func(b *Bad) { t.Errorf("%d: %v", b.Off, b.Cause) },
			})
			if err != nil {
				t.Fatal(err)
			}
			r, err := writeAndVerify(j, t.Context(), openMemory(img))
			if err != nil || !r.Good() || !r.Done || r.Checked == 0 || r.Checked > r.Written {
				t.Errorf("%v, %d s: %+v, %v", direction, seconds, r, err)
			}
		}
	}
}

func noTime() (sec, nsec uint32) { return 0, 0 }

func BenchmarkJob(b *testing.B) {
	for _, kind := range []string{"null", "meta", "crc32c", "crc32", "sha256"} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.Workers = kind, 8<<20, 1
		img := make([]byte, o.Size)
		for name, do := range map[string]func(*Job, context.Context, Opener) (*Result, error){
			"write": doWrite, "verify": doVerify,
		} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				b.SetBytes(o.Size)
				b.ReportAllocs()
				for b.Loop() {
					j, err := New(o, Hooks{})
					if err != nil {
						b.Fatal(err)
					}
					if r, err := do(j, context.Background(), openMemory(img)); err != nil ||
						!r.Good() {
						b.Fatal(r, err)
					}
				}
			})
		}
	}
}

// writeAndVerify does both, and verifies what was written. The result tells of both.
func writeAndVerify(j *Job, ctx context.Context, open Opener) (*Result, error) {
	r, err := j.Write(ctx, open, WriteOptions{})
	if err != nil {
		return r, err
	}
	written := r.Written
	r, err = j.Verify(ctx, open, VerifyOptions{History: r.History()})
	r.Written = written
	return r, err
}
