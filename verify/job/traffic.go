package job

import (
	"time"

	"github.com/blksh/blksh/verify/latency"
)

// Traffic is requests of one direction that have ended, those that failed included.
type Traffic struct {
	Bytes int64
	// of the requests, from the call that sent them to the one that got them
	Latency latency.Histogram
}

// join adds the traffic of another pipeline.
func (t *Traffic) join(other *Traffic) {
	t.Bytes += other.Bytes
	t.Latency.Join(&other.Latency)
}

// A meter measures the requests of a pipeline. It belongs to the goroutine that runs it; nil
// measures nothing.
type meter struct {
	clock         func() time.Duration
	reads, writes Traffic
	began         []time.Duration // of each slot's request
}

// newMeter measures the slots of a queue of so many by the clock, if there is one.
func newMeter(clock func() time.Duration, slots int) *meter {
	if clock == nil {
		return nil
	}
	return &meter{clock: clock, began: make([]time.Duration, slots)}
}

// send notes that the requests of these slots are about to be sent.
func (m *meter) send(slots []int) {
	if m == nil || len(slots) == 0 {
		return
	}
	now := m.clock()
	for _, i := range slots {
		m.began[i] = now
	}
}

// ended notes that those of these slots have ended.
func (m *meter) ended(slots []int, all []slot) {
	if m == nil || len(slots) == 0 {
		return
	}
	now := m.clock()
	for _, i := range slots {
		t := &m.reads
		if all[i].op == opWrite {
			t = &m.writes
		}
		t.Bytes += int64(all[i].n)
		t.Latency.Add(now - m.began[i])
	}
}

// measured adds what a meter measured to the result.
func (t *task) measured(m *meter) {
	if m == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.result
	if r.ReadTraffic == nil {
		r.ReadTraffic, r.WriteTraffic = &Traffic{}, &Traffic{}
	}
	r.ReadTraffic.join(&m.reads)
	r.WriteTraffic.join(&m.writes)
}
