// Package latency counts how long requests take.
//
// A [Histogram] is of one size, so that counting allocates nothing however many requests there are
// and however long they take: it is made once, outside of the loop that it watches.
package latency

import (
	"math/bits"
	"time"
)

const (
	// subBits is how many bits of a value below the highest are kept: a bucket is at most 1/128 of
	// its values wide.
	subBits    = 7
	subBuckets = 1 << subBits
	buckets    = (64 - subBits) * subBuckets
)

// Histogram counts durations in buckets whose width grows with the value, as HDR histograms do: up
// to 128 ns each value has one of its own, and above that 128 share each power of two. It takes 57
// KiB, however many durations and however long they are.
type Histogram struct {
	counts   [buckets]int64
	n        int64
	sum      time.Duration
	min, max time.Duration
}

// bucket is where a value is counted.
func bucket(v uint64) int {
	top := bits.Len64(v)
	if top <= subBits {
		return int(v)
	}
	shift := top - subBits - 1
	return shift*subBuckets + int(v>>shift)
}

// highest is the largest value of a bucket.
func highest(bucket int) uint64 {
	if bucket < 2*subBuckets {
		return uint64(bucket)
	}
	shift := bucket/subBuckets - 1
	low := uint64(bucket-shift*subBuckets) << shift
	return low + 1<<shift - 1
}

// Add counts a duration. One below zero, which clocks that are set back make, counts as zero.
func (h *Histogram) Add(d time.Duration) {
	d = max(0, d)
	h.counts[bucket(uint64(d))]++
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.sum += d
	h.n++
}

// Join adds what another has counted.
func (h *Histogram) Join(other *Histogram) {
	if other.n == 0 {
		return
	}
	for i, n := range other.counts {
		h.counts[i] += n
	}
	if h.n == 0 || other.min < h.min {
		h.min = other.min
	}
	h.max = max(h.max, other.max)
	h.sum += other.sum
	h.n += other.n
}

// Count is how many durations were counted.
func (h *Histogram) Count() int64 { return h.n }

// Bar is how many durations are longer than that of the bar before and no longer than UpTo.
type Bar struct {
	UpTo  time.Duration
	Count int64
}

// Bars are the durations by powers of two, from that of the shortest to that of the longest.
func (h *Histogram) Bars() []Bar {
	var bars []Bar
	bar := Bar{UpTo: 1}
	for i, n := range h.counts {
		for highest(i) > uint64(bar.UpTo) {
			if bar.Count > 0 || len(bars) > 0 {
				bars = append(bars, bar)
			}
			bar = Bar{UpTo: 2*bar.UpTo + 1}
		}
		if bar.Count += n; highest(i) >= uint64(h.max) {
			break
		}
	}
	if bar.Count > 0 {
		bars = append(bars, bar)
	}
	return bars
}

// Min is the shortest duration, 0 if there is none.
func (h *Histogram) Min() time.Duration { return h.min }

// Max is the longest.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean is the average.
func (h *Histogram) Mean() time.Duration { return h.sum / time.Duration(max(1, h.n)) }

// Percentile is a duration that so many percent of all do not exceed, as far as buckets tell.
func (h *Histogram) Percentile(percent float64) time.Duration {
	wanted := max(1, int64(percent/100*float64(h.n)+0.5))
	seen := int64(0)
	for i, n := range h.counts {
		if seen += n; seen >= wanted {
			return min(time.Duration(highest(i)), h.max)
		}
	}
	return h.max
}
