package job

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/verify/fio"
)

// laterWrites says by looking at each one whether a later write over r is sure,
// and whether one is not.
func laterWrites(t rapid.TB, l *fio.Layout, h *History, r *fio.Request) (anySure, anyUnsure bool) {
	o, err := fio.NewOrder(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	var w fio.Request
	for o.Next(&w) && w.Number < h.Issued {
		if w.Read || w.Number <= r.Number || w.Off >= r.Off+int64(r.N) ||
			r.Off >= w.Off+int64(w.N) {
			continue
		}
		switch h.of(&w) {
		case sure:
			anySure = true
		case unsure:
			anyUnsure = true
		}
	}
	return anySure, anyUnsure
}

// drawHistory is one that tells of a job as a journal or an old state file does.
func drawHistory(t *rapid.T, writes uint64) *History {
	h := &History{Issued: rapid.Uint64Range(0, writes).Draw(t, "issued")}
	for range rapid.IntRange(0, 4).Draw(t, "gaps") {
		lo := rapid.Uint64Range(0, writes).Draw(t, "from")
		h.unsure.add(lo, min(h.Issued, lo+rapid.Uint64Range(0, writes/3+1).Draw(t, "unsure")))
	}
	if rapid.Bool().Draw(t, "state") {
		h.window = rapid.Uint64Range(0, 8).Draw(t, "window")
		for off := range rapid.Int64Range(0, 15).Draw(t, "arrived") {
			h.arrived = append(h.arrived, off*8192)
		}
	}
	return h
}

// What is known of the writes that follow in the same place is the same as if
// each had been looked at.
func TestLaterWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.Offset = "crc32c", 64<<10, 8192
		o.Loops = rapid.IntRange(1, 5).Draw(t, "loops")
		o.Direction = rapid.SampledFrom(
			[]fio.Direction{fio.Write, fio.RandWrite, fio.RandReadWrite}).Draw(t, "rw")
		o.NoRandomMap = rapid.Bool().Draw(t, "norandommap")
		o.MaxBlock = rapid.SampledFrom([]int{4096, 12288}).Draw(t, "bs")
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		writes, err := j.l.CountWrites(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		task := j.newTask("verify", 0, rapid.Int64Range(0, int64(writes)).Draw(t, "from"))
		task.history = drawHistory(t, writes)
		v, err := task.newVerification(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for ; v.more && v.ahead.Number < task.history.Issued; v.advance() {
			r := v.ahead
			if r.Read {
				continue
			}
			r.Unsure = task.history.of(&r) == unsure
			replaced, covered := v.over(&r)
			anySure, anyUnsure := laterWrites(t, task.l, task.history, &r)
			if v.pass > 0 && replaced != anySure {
				t.Fatalf("write %d: replaced %t, %+v", r.Number, replaced, task.history)
			}
			if !replaced && covered != anyUnsure {
				t.Fatalf("write %d: covered %t, %+v", r.Number, covered, task.history)
			}
		}
	})
}

// A place that more writes change than are counted stays one that may have been.
func TestTallyOfMany(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Direction, o.NoRandomMap, o.Loops = "crc32c", 8192, fio.RandWrite, true, 50
	l, err := fio.NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	h := &History{Issued: 100}
	h.unsure.add(0, 100)
	c, err := newTally(t.Context(), l, h, 0)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(100) {
		r := fio.Request{Off: int64(n%2) * 4096, N: 4096, Number: n}
		c.pass(&r)
		c.pass(&r) // a request that did not fit into a slot is looked at again
		if !c.covers(&r) {
			t.Fatalf("not covered after write %d", n)
		}
	}
}

// What a journal without a flush tells of a large device takes little memory.
func TestHistoryMemory(t *testing.T) {
	for name, change := range map[string]func(*fio.Options){
		"passes alike": func(o *fio.Options) { o.Loops = 2 },
		"norandommap":  func(o *fio.Options) { o.Direction, o.NoRandomMap = fio.RandWrite, true },
	} {
		o := fio.DefaultOptions()
		o.Verify, o.Size, o.MinBlock = "crc32c", 16<<30, 512
		change(&o)
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		task := j.newTask("verify", 0, 0)
		task.history = &History{Issued: 1 << 32}
		task.history.unsure.add(0, 1<<32)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		// ends long before the job does
		_, _ = task.newVerification(&limitedContext{t.Context(), 500})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: %d MiB", name, used>>20)
		}
	}
}

// The state files of a job that four fios stopped after 5 of 16 random writes.
func TestHistoryOfState(t *testing.T) {
	for _, version := range []int{2, 3, 5, 7} {
		p, err := os.ReadFile(fmt.Sprintf("../fio/testdata/state/version-%d.state", version))
		if err != nil {
			t.Fatal(err)
		}
		got, err := fio.ReadState(p)
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []certainty{sure, sure, sure, sure, sure, never} {
			r := fio.Request{Number: uint64(n)}
			if n == 4 {
				r.Off = 24576
			}
			if s := StateHistory(got).of(&r); s != want {
				t.Errorf("version %d: write %d is %d, want %d", version, n, s, want)
			}
		}
	}
}

// What a job leaves is, but for the generator, what fio's newest version
// leaves, and can be read again.
func TestWriteState(t *testing.T) {
	o := fio.DefaultOptions()
	o.Name, o.Direction, o.Verify, o.Size, o.NumberIOs = "j", fio.RandWrite, "crc32c", 64<<10, 5
	o.IODepth = 1
	img := make([]byte, o.Size)
	j, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.Write(t.Context(), openMemory(img), WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := j.State(r).Append(nil)
	want, err := os.ReadFile("../fio/testdata/state/version-7.state")
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
	s, err := fio.ReadState(got)
	if err != nil {
		t.Fatal(err)
	}
	o.NumberIOs = 0
	v, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	r, err = v.Verify(t.Context(), openMemory(img), VerifyOptions{History: StateHistory(s)})
	if err != nil || !r.Good() || r.Blocks != 5 {
		t.Errorf("%+v, %v", r, err)
	}
	if name := fio.StateName(&o); name != "local-j-0-verify.state" {
		t.Error(name)
	}
}

// Whatever a state file says, nothing panics, the memory is bounded, and a context ends it.
func TestHostileHistory(t *testing.T) {
	var list []uint64 // in flight, at those numbers and below
	var offsets []int64
	cases := 0
	for version := range uint64(8) {
		for _, n := range []uint64{0, 1, 7, 1 << 20, 1 << 31, 1 << 40, fio.MaxWrites} {
			list, offsets = list[:0], offsets[:0]
			for i := range uint64(100_000) {
				list, offsets = append(list, n-2*i), append(offsets, int64(n-2*i))
			}
			s := &fio.State{
				Version: version, Depth: min(n, 1<<20), Writes: n, InFlight: list,
				Completed: offsets,
			}
			for _, loops := range []int{1, 3, math.MaxInt32} {
				if cases++; blockdevtest.Sampled(cases, 5) {
					hostileHistory(t, s, loops)
				}
			}
		}
	}
}

func hostileHistory(t *testing.T, s *fio.State, loops int) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Loops = "crc32c", 64<<10, loops
	job, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = job.Verify(&limitedContext{t.Context(), 20}, openMemory(make([]byte, o.Size)),
		VerifyOptions{History: StateHistory(s)})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 256<<20 {
		t.Errorf("version %d, %d writes: took %d MiB", s.Version, s.Writes, used>>20)
	}
}
