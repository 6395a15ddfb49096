package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
)

// A crashQueue is a device with a volatile cache: what was written since the last flush is lost
// sector by sector when the power goes, which it does after a number of requests.
type crashQueue struct {
	memoryQueue
	stable []byte
	left   *int
	rng    *rand.Rand
}

var errPower = errors.New("the power is gone")

func openCrash(p, stable []byte, left *int, rng *rand.Rand) Opener {
	return func(ctx context.Context, depth, size int) (Queue, error) {
		q, err := openMemory(p)(ctx, depth, size)
		return &crashQueue{*q.(*memoryQueue), stable, left, rng}, err
	}
}

// spend uses up one request.
func (q *crashQueue) spend() error {
	if *q.left--; *q.left < 0 {
		return errPower
	}
	return nil
}

func (q *crashQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	switch op {
	case OpWrite:
		q.stage(slot, func() error { return q.write(off, q.buffers[slot][:n]) })
	case OpFlush:
		q.stage(slot, func() error {
			if err := q.spend(); err != nil {
				return err
			}
			copy(q.stable, q.p)
			return nil
		})
	default:
		q.memoryQueue.Stage(slot, op, off, n, flags)
	}
}

// write stores p. What is running when the power goes gets there in part.
func (q *crashQueue) write(off int64, p []byte) error {
	err := q.spend()
	if err == nil {
		copy(q.p[off:], p)
	}
	if *q.left == -1 {
		for at := 0; at < len(p); at += verify.Sector {
			if q.rng.IntN(2) == 0 {
				copy(q.p[off+int64(at):], p[at:min(len(p), at+verify.Sector)])
			}
		}
	}
	return err
}

// lose is what the device holds when the power comes back.
func lose(p, stable []byte, rng *rand.Rand) []byte {
	after := bytes.Clone(stable)
	for at := 0; at < len(p); at += verify.Sector {
		if rng.IntN(2) == 0 {
			copy(after[at:], p[at:min(len(p), at+verify.Sector)])
		}
	}
	return after
}

// Whatever is lost at a power cut that was not flushed, the journal raises no
// false alarm; and a flushed write that is missing is found.
func TestJournalPowerCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := fio.DefaultOptions()
		o.Direction = rapid.SampledFrom([]fio.Direction{fio.Write, fio.RandWrite}).Draw(t, "rw")
		o.Verify = rapid.SampledFrom([]string{"crc32c", "md5", "meta"}).Draw(t, "verify")
		o.Fio = rapid.SampledFrom([]fio.Release{fio.Fio333, fio.Fio342}).Draw(t, "fio")
		o.Size = 128 << 10
		o.MaxBlock = 4096 * rapid.IntRange(1, 2).Draw(t, "max")
		o.NoRandomMap = rapid.Bool().Draw(t, "norandommap") && o.MaxBlock == 4096
		o.Loops = rapid.IntRange(1, 2).Draw(t, "loops")
		o.Fsync = int64(rapid.IntRange(1, 9).Draw(t, "fsync"))
		o.MaxRequest = rapid.SampledFrom([]int{0, 16384}).Draw(t, "request")
		o.Workers = 1
		if n := rapid.Int64Range(1, 3).Draw(t, "parts"); n > 1 {
			o.Only = sliceOf(&o, rapid.Int64Range(1, n).Draw(t, "part"), n)
		}
		left := rapid.IntRange(0, 60).Draw(t, "requests")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))

		p, stable := make([]byte, o.Size), make([]byte, o.Size)
		var log bytes.Buffer
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = j.Write(context.Background(), openCrash(p, stable, &left, rng),
			WriteOptions{Journal: &log})
		if err != nil && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		// The journal ends with a record that was being written.
		log.Write(rapid.SliceOfN(rapid.Byte(), 0, journalRecord+3).Draw(t, "half a record"))
		journal, err := ReadJournal(t.Context(), &log)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(journal.Workload, j.Workload()) {
			t.Fatalf("the workload became %+v", journal.Workload)
		}
		after := lose(p, stable, rng)
		verify := func() (*Result, *Bad) {
			var bad *Bad
			v, err := New(journal.Options(fio.DefaultOptions()),
				Hooks{Bad: func(b *Bad) { bad = b }})
			if err != nil {
				t.Fatal(err)
			}
			r, err := v.Verify(context.Background(), openMemory(after),
				VerifyOptions{History: journal.History(false)})
			if err != nil || !r.Done {
				t.Fatal(r, err)
			}
			return r, bad
		}
		if r, bad := verify(); !r.Good() {
			t.Fatalf("false alarm: %+v at %d", bad.Cause, bad.Off)
		}
		if journal.Flushed == 0 || o.NoRandomMap || o.Loops > 1 {
			return
		}
		lost, some := lostWrite(t, journal, after)
		if !some {
			return
		}
		if r, bad := verify(); r.Bad != 1 || bad.Off != lost {
			t.Fatalf("the lost write at %d was not found: %+v", lost, r)
		}
	})
}

// lostWrite undoes one flushed write and returns where its first block is, if there is one.
func lostWrite(t *rapid.T, journal *Journal, p []byte) (off int64, some bool) {
	options := journal.Options(fio.DefaultOptions())
	l, err := fio.NewLayout(&options)
	if err != nil {
		t.Fatal(err)
	}
	o, err := fio.NewOrder(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	var r fio.Request
	for o.Next(&r) {
		if journal.flushed.has(r.Number) && l.Owns(&r) {
			clear(p[r.Off : r.Off+4096])
			return r.Off, true
		}
	}
	if l.Only == (fio.Slice{}) {
		t.Fatal("nothing was flushed")
	}
	return 0, false
}

func TestJournalRecords(t *testing.T) {
	var log bytes.Buffer
	o := fio.DefaultOptions()
	j, err := newJournal(&log, &o.Workload, nil)
	if err != nil {
		t.Fatal(err)
	}
	writes := func(numbers ...uint64) (list []fio.Request) {
		for _, n := range numbers {
			list = append(list, fio.Request{Number: n})
		}
		return list
	}
	j.issue(writes(0, 1, 2))
	j.writes(journalAck, writes(0, 2))
	j.add(journalFlushBegins, 0, 0)
	j.writes(journalAck, writes(1))
	j.issue(writes(3, 4, 6))
	j.add(journalFlushed, 0, 0)
	j.writes(journalAck, writes(4))
	if err := j.flush(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadJournal(t.Context(), bytes.NewReader(log.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issued != 6 || got.Acknowledged != 4 || got.Flushed != 2 {
		t.Errorf("got %+v", got)
	}
	for n, want := range []certainty{sure, unsure, sure, unsure, unsure, unsure, unsure, never} {
		if s := got.History(false).of(&fio.Request{Number: uint64(n)}); s != want {
			t.Errorf("after a power cut write %d is %d, want %d", n, s, want)
		}
	}
	for n, want := range []certainty{sure, sure, sure, unsure, sure, unsure, unsure, never} {
		if s := got.History(true).of(&fio.Request{Number: uint64(n)}); s != want {
			t.Errorf("after the end of the process write %d is %d, want %d", n, s, want)
		}
	}
}

func FuzzReadJournal(f *testing.F) {
	line, _ := json.Marshal(fio.DefaultOptions())
	f.Add([]byte(journalName + string(line) + "\n"))
	f.Add([]byte(journalName + "{}\n"))
	f.Add([]byte("blksh-journal 2\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		j, err := ReadJournal(t.Context(), bytes.NewReader(p))
		if err == nil {
			j.History(false)
			j.History(true)
		}
	})
}

func TestRangeSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s rangeSet
		model := map[uint64]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			lo := rapid.Uint64Range(0, 50).Draw(t, "lo")
			hi := rapid.Uint64Range(0, 50).Draw(t, "hi")
			s.add(lo, hi)
			for n := lo; n < hi; n++ {
				model[n] = true
			}
		}
		if s.count() != uint64(len(model)) {
			t.Fatalf("%v has %d numbers, want %d", s, s.count(), len(model))
		}
		for n := range uint64(51) {
			if s.has(n) != model[n] {
				t.Fatalf("%v has %d: %t", s, n, s.has(n))
			}
		}
		for i := 1; i < len(s); i++ {
			if s[i-1][1] >= s[i][0] {
				t.Fatalf("%v touch", s)
			}
		}
	})
}

// A job that was stopped goes on with its journal, which then tells of all of
// it; but not behind a write that may be gone.
func TestJournalGoesOn(t *testing.T) {
	o := fio.DefaultOptions()
	o.Verify, o.Size, o.Direction, o.Workers, o.MaxRequest = "crc32c", 1<<20, fio.RandWrite, 1, 0
	o.IODepth = 1
	o.EndFsync = true
	img := make([]byte, o.Size)
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j, err := New(o, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	left := 100
	r, err := j.Write(ctx, func(ctx context.Context, depth, size int) (Queue, error) {
		q, err := openMemory(img)(ctx, depth, size)
		return &cancellingQueue{q.(*memoryQueue), &left, cancel}, err
	}, WriteOptions{Journal: &log})
	if !errors.Is(err, context.Canceled) || r.Done || r.Position == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	whole := log.Len()
	log.WriteString("half a record")
	resume := func(o fio.Options, from int64, into *bytes.Buffer) error {
		before, err := ReadJournal(t.Context(), bytes.NewReader(log.Bytes()))
		if err != nil || before.Size != int64(whole) {
			t.Fatalf("%+v, %v", before, err)
		}
		into.Write(log.Bytes()[:before.Size])
		j, err := New(o, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = j.Write(t.Context(), openMemory(img),
			WriteOptions{From: from, Journal: into, Before: before})
		return err
	}
	var all bytes.Buffer
	if err := resume(o, r.Position, &all); err != nil {
		t.Fatal(err)
	}
	journal, err := ReadJournal(t.Context(), &all)
	if err != nil || journal.Issued != 256 || journal.Flushed != 256 {
		t.Fatalf("%+v, %v", journal, err)
	}
	verdict := func() *Result {
		j, err := New(journal.Options(fio.DefaultOptions()), Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := j.Verify(t.Context(), openMemory(img),
			VerifyOptions{History: journal.History(false)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := verdict(); !r.Good() || r.Blocks != 256 || r.InFlight != (InFlight{}) {
		t.Errorf("%+v", r)
	}
	clear(img[40960:45056])
	if r := verdict(); r.Bad != 1 {
		t.Errorf("a flushed write is gone: %+v", r)
	}
	if err := resume(o, r.Position+1, new(bytes.Buffer)); err == nil ||
		!strings.Contains(err.Error(), fmt.Sprintf("go on at %d", r.Position)) {
		t.Errorf("behind a write that was not made: %v", err)
	}
	o.RandSeed = 7
	if err := resume(o, r.Position, new(bytes.Buffer)); err == nil {
		t.Error("goes on with the journal of another job")
	}
}

// A cancellingQueue cancels after some writes.
type cancellingQueue struct {
	*memoryQueue
	left   *int
	cancel func()
}

func (q *cancellingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == OpWrite {
		if *q.left--; *q.left == 0 {
			q.cancel()
		}
	}
	q.memoryQueue.Stage(slot, op, off, n, flags)
}
