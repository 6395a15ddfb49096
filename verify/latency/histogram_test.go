package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Every value lies in the bucket that claims it, and buckets leave no gap.
func TestBuckets(t *testing.T) {
	for i := range buckets - 1 {
		top := highest(i)
		if top > math.MaxInt64 {
			break
		}
		if bucket(top) != i || bucket(top+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which lies in %d, and the next value in %d", i, top,
				bucket(top), bucket(top+1))
		}
	}
	if at := bucket(math.MaxInt64); at >= buckets {
		t.Errorf("the largest duration lies in bucket %d of %d", at, buckets)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Percentile(50) != 0 || h.Mean() != 0 {
		t.Error("nothing has a duration")
	}
	for i := 1; i <= 10000; i++ {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	h.Add(-time.Second)
	for _, c := range []struct {
		percent float64
		want    time.Duration
	}{
		{50, 5000 * time.Microsecond},
		{99, 9900 * time.Microsecond},
		{99.99, 9999 * time.Microsecond},
		{100, 10 * time.Millisecond},
	} {
		got := h.Percentile(c.percent)
		if wrong := math.Abs(float64(got-c.want)) / float64(c.want); wrong > 0.01 {
			t.Errorf("%v%%: %v, want %v", c.percent, got, c.want)
		}
	}
	if h.Min() != 0 || h.Max() != 10*time.Millisecond {
		t.Errorf("from %v to %v", h.Min(), h.Max())
	}
}

// TestJoin: two halves joined are as the whole, and bars have every duration once.
func TestJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var whole, joined Histogram
	var halves [2]Histogram
	for range 5000 {
		d := time.Duration(r.Int64() >> r.IntN(63))
		whole.Add(d)
		halves[r.IntN(2)].Add(d)
	}
	joined.Join(&Histogram{})
	for i := range halves {
		joined.Join(&halves[i])
	}
	if joined != whole {
		t.Error("the halves are not the whole")
	}
	bars := whole.Bars()
	sum, before := int64(0), time.Duration(-1)
	for _, b := range bars {
		sum += b.Count
		if b.UpTo <= before {
			t.Errorf("a bar up to %v behind one up to %v", b.UpTo, before)
		}
		before = b.UpTo
	}
	if sum != whole.Count() || before < whole.Max() || bars[0].Count == 0 ||
		bars[len(bars)-1].Count == 0 {
		t.Errorf("%d of %d in %v", sum, whole.Count(), bars)
	}
	if (&Histogram{}).Bars() != nil {
		t.Error("bars of nothing")
	}
}

func TestBars(t *testing.T) {
	var h Histogram
	for _, n := range []time.Duration{5, 7, 8, 70, 1000, 1023, 1024} {
		h.Add(n)
	}
	want := []Bar{
		{7, 2},
		{15, 1},
		{31, 0},
		{63, 0},
		{127, 1},
		{255, 0},
		{511, 0},
		{1023, 2},
		{2047, 1},
	}
	if got := h.Bars(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
