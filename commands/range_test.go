package commands

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
)

// cutUp is content in pieces at random places. Pieces of zeroes are some of them not in memory.
func cutUp(r *rand.Rand, content []byte, base int64) []stream.Piece {
	var pieces []stream.Piece
	for at := 0; at < len(content); {
		n := min(1+r.IntN(40), len(content)-at)
		p := stream.Piece{Off: base + int64(at), Len: int64(n), Data: content[at : at+n]}
		if verify.IsZero(p.Data) && r.IntN(4) > 0 {
			p.Data = nil
		}
		pieces = append(pieces, p)
		at += n
	}
	return pieces
}

// fewBytes is content with many repetitions and runs of zeroes.
func fewBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; {
		run := r.IntN(30)
		zero := r.IntN(2) == 0
		for ; run >= 0 && i < n; run, i = run-1, i+1 {
			if !zero {
				b[i] = byte(r.IntN(3))
			}
		}
	}
	return b
}

// TestHunt searches pieces of all sizes, and finds what bytes.Index finds in the whole. It is the
// same if several share the work, cut anywhere: each match is found by one of them.
func TestHunt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		content := fewBytes(r, 1+r.IntN(400))
		needle := fewBytes(r, 1+r.IntN(6))
		base := r.Int64N(1000)
		whole := event.Range{Off: base, Len: int64(len(content))}
		var want []int64
		for at := 0; ; {
			i := bytes.Index(content[at:], needle)
			if i < 0 {
				break
			}
			want = append(want, base+int64(at+i))
			at += i + len(needle)
		}
		for shards := range int64(5) {
			var got []int64
			for k := int64(1); k <= shards; k++ {
				from, to := args.Shard{K: k, N: shards}.Part(whole.Len, 1+shards)
				h := &hunt{
					needle: needle, found: tell, whole: whole, back: 1 + r.Int64N(20),
					own: event.Range{Off: base + from, Len: to - from},
				}
				got = append(got, hunted(t, r, h, content)...)
			}
			if shards > 0 && !slices.Equal(got, want) {
				t.Fatalf("%x in %x at %d by %d: %v, want %v", needle, content, base, shards, got,
					want)
			}
		}
	}
}

// tell says where a match is.
func tell(l looking, off int64, n int) error {
	l.say(event.Found{Off: off, Len: int64(n)})
	return nil
}

// hunted is what a hunt finds in content, which is the whole range.
func hunted(t *testing.T, r *rand.Rand, h *hunt, content []byte) (found []int64) {
	t.Helper()
	l := looking{t.Context(), func(e event.Event) { found = append(found, e.(event.Found).Off) }}
	err := h.run(func(c scope) error {
		from := c.Off - h.whole.Off
		for _, p := range cutUp(r, content[from:from+c.Len], c.Off) {
			if err := h.look(l, p); err == errEnough {
				return nil
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDumpLines cuts a dump into events: together they show all of it, each but the last in whole
// lines from the first byte on.
func TestDumpLines(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		content := fewBytes(r, 1+r.IntN(300))
		base := r.Int64N(1000)
		var shown []byte
		v := &view{show: true}
		pieces := cutUp(r, content, base)
		lasts := 0
		for i, p := range pieces {
			v.dump(func(e event.Event) {
				d := e.(event.Dump)
				if d.Off != base+int64(len(shown)) || len(shown)%dumpLine != 0 {
					t.Fatalf("an event at %d after %d bytes from %d", d.Off, len(shown), base)
				}
				shown = append(append(shown, d.Data...), make([]byte, d.Zeroes)...)
				if d.Last {
					lasts++
				}
			}, p, i == len(pieces)-1)
		}
		if !bytes.Equal(shown, content) || lasts != 1 {
			t.Fatalf("%x was shown as %x, with %d ends", content, shown, lasts)
		}
	}
}

// TestZeroesThatNobodyRead wants a search in them to stop when it is told to.
func TestZeroesThatNobodyRead(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	found := 0
	h := &hunt{needle: make([]byte, 1), found: tell, own: event.Range{Len: 1 << 60}}
	err := h.look(looking{ctx, func(event.Event) {
		if found++; found == 10 {
			cancel()
		}
	}}, stream.Piece{Len: 1 << 60})
	if err != context.Canceled || found != 10 {
		t.Errorf("%d found, %v", found, err)
	}
	c := checking{pattern: verify.Random(1), n: 1 << 60, limit: fewPlaces}
	if err := c.piece(ctx, stream.Piece{Len: 1 << 60}); err != context.Canceled {
		t.Errorf("a check of a hole: %v", err)
	}
}

// TestUntold wants nothing to be claimed of storage that a device does not tell of.
func TestUntold(t *testing.T) {
	for _, c := range []struct {
		extent blockdev.Extent
		want   bool
	}{
		{blockdev.Extent{Len: 512, Data: true, Untold: true}, true},
		{blockdev.Extent{Len: 512, Data: true}, false},
		{blockdev.Extent{Len: 512, Zero: true}, false},
	} {
		var sums event.MapTotals
		addRun(&sums, c.extent)
		if sums.Untold > 0 != c.want {
			t.Errorf("%+v: %v", c.extent, sums)
		}
	}
}
