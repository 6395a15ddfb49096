package fio

// A ddir is the direction of a request.
type ddir uint8

const (
	reads ddir = iota
	writes
)

// A rwMix decides which requests of a mixed job read. fio draws for each, but
// after a change of direction only when the new one has had its percentage of as
// many requests as the old one had until then. It begins with reads.
type rwMix struct {
	issued [2]int64 // requests so far, by way
	now    ddir
	// least is how many requests the present direction has before another draw.
	least int64
}

// draw decides on the next request: percent of all read.
func (m *rwMix) draw(g Generator, percent int) ddir {
	if m.issued[m.now] < m.least {
		return m.now
	}
	next, share := writes, 100-percent
	if below(g, 100) < int64(percent) {
		next, share = reads, percent
	}
	if next != m.now {
		m.least = m.issued[m.now] * int64(share) / 100
	}
	m.now = next
	return next
}
