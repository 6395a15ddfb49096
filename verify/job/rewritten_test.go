package job

import (
	"context"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// rewriting is a job that writes some blocks several times and others never.
func rewriting(kind string, r fio.Release) fio.Options {
	o := fio.DefaultOptions()
	o.Fio, o.Verify, o.Size, o.Direction, o.NoRandomMap = r, kind, 512<<10, fio.RandWrite, true
	if kind == "pattern" {
		o.Pattern = "0xdeadbeef"
	}
	return o
}

// placesOf are the offsets that a job writes, each once.
func placesOf(t *testing.T, o fio.Options) (list []int64) {
	l, err := fio.NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := fio.NewOrder(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for r := (fio.Request{}); jobs.Next(&r); {
		if !seen[r.Off] {
			seen[r.Off] = true
			list = append(list, r.Off)
		}
	}
	return list
}

// Blocks that a job writes several times are counted once, good or bad.
func TestRewrittenBlocksCountOnce(t *testing.T) {
	for _, kind := range []string{"crc32c", "meta", "pattern"} {
		for _, release := range []fio.Release{fio.Fio333, fio.Fio342} {
			o := rewriting(kind, release)
			places := placesOf(t, o)
			img := imageOf(t, o, noClock)
			r, _ := check(t, img, o, doVerify)
			if !r.Good() || r.Blocks != int64(len(places)) || r.Checked != r.Blocks*4096 {
				t.Errorf("%v %s: %+v, want %d blocks", release, kind, r, len(places))
			}
			for _, off := range places[:20] {
				clear(img[off : off+4096])
			}
			if r, bad := check(t, img, o, doVerify); r.Bad != 20 || len(bad) != 20 ||
				r.Blocks != int64(len(places)) {
				t.Errorf("%v %s, damaged: %+v, %d told", release, kind, r, len(bad))
			}
		}
	}
}

// A block with the number of a write that went elsewhere is not what the job wrote last there,
// though it may look like a later one.
func TestRewrittenByNobody(t *testing.T) {
	o := rewriting("crc32c", fio.Fio342)
	older := o
	older.RandSeed, older.RandSeedGiven, older.NoRandomMap = 99, true, false
	img, old := imageOf(t, o, noClock), imageOf(t, older, noClock)
	places := placesOf(t, o)
	stale := int64(0)
	for _, off := range places {
		h, _ := fio.ParseHeader(old[off:])
		mine, _ := fio.ParseHeader(img[off:])
		if h.Number > mine.Number {
			copy(img[off:off+4096], old[off:])
			stale++
		}
	}
	if r, _ := check(t, img, o, doVerify); r.Bad != stale || r.Classes["stale"] != stale ||
		r.Blocks != int64(len(places)) {
		t.Errorf("%d stale of %d: %+v", stale, len(places), r)
	}
}

// Short headers have 16 bits of the write's number. With more writes than that, which of two
// numbers is the later one is not known.
func TestRewrittenManyTimes(t *testing.T) {
	o := rewriting("meta", fio.Fio333)
	o.MinBlock, o.Size, o.Content = 64, 100000*64, fio.ContentOff
	img := imageOf(t, o, noClock)
	places := placesOf(t, o)
	r, bad := check(t, img, o, doVerify)
	if !r.Good() || r.Blocks != int64(len(places)) {
		t.Errorf("%+v, want %d blocks: %d bad", r, len(places), len(bad))
	}
}

// A write is lost to a block that the job has written before: the older one is sound, and not what
// should be there.
func TestRewrittenLost(t *testing.T) {
	o := rewriting("crc32c", fio.Fio342)
	o.IODepth, o.Workers, o.MaxRequest = 1, 1, int(o.MinBlock)
	j, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	var sent recorder
	img := make([]byte, o.Size)
	if _, err := j.Write(t.Context(), openRecorded(img, &sent), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	written, lost := map[int64]bool{}, -1 // the last write to a block that was written before
	for i, r := range sent.sent {
		if written[r.off] {
			lost = i
		}
		written[r.off] = true
	}
	at, left := sent.sent[lost].off, lost
	open := func(ctx context.Context, depth, size int) (Queue, error) {
		q, err := openRecorded(img, new(recorder))(ctx, depth, size)
		return losingQueue{q.(*recordingQueue), &left}, err
	}
	clear(img)
	if _, err := j.Write(t.Context(), open, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	r, bad := check(t, img, o, doVerify)
	if r.Bad != 1 || r.Classes["stale"] != 1 || bad[0].Off != at {
		t.Errorf("the block at %d is stale: %+v, %v", at, r, bad)
	}
}
