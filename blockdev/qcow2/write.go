package qcow2

import (
	"context"
	"math/bits"
	"sync"

	"github.com/blksh/blksh/blockdev"
)

// link is a run of clusters with data on its way, which will be entered into an L2 table when the data is there. Until then every
// request for these clusters waits, unless it writes elsewhere in clusters that keep their place.
type link struct {
	guest    int64 // of the first cluster
	host     int64
	clusters int64
	keep     bool // the clusters had this place before
	prealloc bool // with extended L2 tables: no subcluster gets data
	// What is copied from the old contents before and behind the new data, in bytes from guest. The data is between them.
	head, tail span
	copied     bool // head and tail read as zeroes already
	waiters    blockdev.Waiters
}

// start and end bound what the link writes, what it copies included.
func (l *link) start() int64 { return l.guest + l.head.off }
func (l *link) end() int64   { return l.guest + l.tail.end() }

// copies says whether old contents are to be copied.
func (l *link) copies() bool { return !l.copied && l.head.n+l.tail.n > 0 }

// placement is where a write goes: a run of host bytes, and the links to make afterwards.
type placement struct {
	host, n int64
	links   []*link
}

// metaLock lets Waiters give up and take the metadata lock.
type metaLock struct {
	ctx context.Context
	q   *image
}

var _ sync.Locker = metaLock{}

func (l metaLock) Lock()   { _ = l.q.mu.Lock(l.ctx) } // its context never ends
func (l metaLock) Unlock() { l.q.mu.Unlock() }

// waitFor waits until a link is finished.
func (q *image) waitFor(ctx context.Context, l *link) error {
	if err := l.waiters.Wait(ctx, metaLock{steady(ctx), q}); err != nil {
		return err
	}
	return q.alive()
}

// waitForLinks waits until no link touches a range of clusters.
func (q *image) waitForLinks(ctx context.Context, off, n int64) error {
	for {
		i := 0
		for i < len(q.links) && !(span{q.links[i].guest, q.links[i].clusters << q.clusterBits}).overlaps(off, n) {
			i++
		}
		if i == len(q.links) {
			return nil
		}
		if err := q.waitFor(ctx, q.links[i]); err != nil {
			return err
		}
	}
}

// WriteVec writes guest bytes: in place where it can, else to new clusters.
func (q *image) WriteVec(ctx context.Context, v blockdev.Vec, off int64, f blockdev.Flags) error {
	if f&blockdev.Compressed != 0 {
		return q.writeCompressed(ctx, v, off)
	}
	total := v.Len()
	for done := int64(0); done < total; {
		p, pin, err := q.placeWrite(ctx, off+done, total-done)
		if err != nil {
			return err
		}
		err = q.writePlaced(ctx, v.Slice(done, p.n), off+done, p)
		q.pins.remove(pin)
		if err != nil {
			return err
		}
		done += p.n
	}
	return nil
}

// placeWrite finds a place for as many bytes as lie in a row, and pins it.
func (q *image) placeWrite(ctx context.Context, off, n int64) (p placement, pin int, err error) {
	if err := q.lock(ctx); err != nil {
		return p, 0, err
	}
	defer q.mu.Unlock()
	if err := q.allowWrites(steady(ctx)); err != nil {
		return p, 0, err
	}
	p, err = q.place(ctx, off, n)
	if err == nil {
		err = q.guardMetadata(steady(ctx), 0, p.host, p.n)
	}
	if err != nil {
		q.abandon(steady(ctx), p.links)
		return p, 0, err
	}
	return p, q.pins.add(p.host, p.n), nil
}

// place finds where n bytes from off are to be written. It gathers clusters as long as they lie in a row: those that can be
// written in place, and new ones. It needs the lock, and gives it up while it waits.
func (q *image) place(ctx context.Context, off, n int64) (placement, error) {
	for {
		p, busy, err := q.gather(steady(ctx), off, n)
		if busy == nil {
			return p, err
		}
		if err := q.waitFor(ctx, busy); err != nil {
			return placement{}, err
		}
	}
}

// gather is place up to the first link that stands in the way, which it returns if nothing could be gathered before.
func (q *image) gather(ctx context.Context, off, n int64) (p placement, busy *link, err error) {
	for p.n < n {
		at := off + p.n
		want, busy := q.untilLink(at, n-p.n)
		if want == 0 {
			if p.n == 0 {
				return p, busy, nil
			}
			break
		}
		got, err := q.inPlace(ctx, &p, at, want)
		if err == nil && got == 0 {
			got, err = q.inNewPlace(ctx, &p, at, want)
		}
		if err != nil {
			return p, nil, err
		}
		if got <= 0 {
			break
		}
		p.n += got
	}
	return p, nil, nil
}

// untilLink is how many of n bytes from off can be written before a link stands in the way, and which one does if it is none.
func (q *image) untilLink(off, n int64) (int64, *link) {
	for i := len(q.links) - 1; i >= 0; i-- {
		l := q.links[i]
		from, to := q.startOf(l.start()), q.roundUp(l.end())
		if off+n <= from || off >= to {
			continue
		}
		if l.keep && (off+n <= l.start() || off >= l.end()) {
			continue
		}
		if off >= from {
			return 0, l
		}
		n = from - off
	}
	return n, nil
}

// nothingThere is the answer of inPlace where clusters could be written in place, but not in a row with what p has.
const nothingThere = -1

// inPlace adds clusters to p that are ours alone. It returns the number of bytes: 0 if the first cluster needs a new place.
func (q *image) inPlace(ctx context.Context, p *placement, off, n int64) (int64, error) {
	s, slot, err := q.writable(ctx, off)
	if err != nil {
		return 0, err
	}
	defer q.l2.put(s.table)
	e := s.entry(slot)
	if q.needsPlace(e) {
		return 0, nil
	}
	if q.within(e.host()) != 0 {
		what := "Data"
		if e.desc&flagZero != 0 {
			what = "Preallocated zero"
		}
		return 0, q.corrupt(ctx, "%s cluster offset %s unaligned (guest offset: %s)", what, hex(e.host()), hex(off))
	}
	if p.n > 0 && e.host() != p.host+p.n {
		return nothingThere, nil
	}
	clusters := int64(1)
	for most := min(q.clustersIn(q.within(off)+n), s.slots()-slot); clusters < most; clusters++ {
		next := s.entry(slot + clusters)
		if q.needsPlace(next) || next.host() != e.host()+clusters<<q.clusterBits {
			break
		}
	}
	n = min(n, clusters<<q.clusterBits-q.within(off))
	if err := q.addLink(ctx, p, s, slot, span{off, n}, e.host(), true); err != nil {
		return 0, err
	}
	if p.n == 0 {
		p.host = e.host() + q.within(off)
	}
	return n, nil
}

// needsPlace says whether a cluster must get a new place before it can be written.
func (q *image) needsPlace(e entry) bool {
	k := q.clusterKind(e)
	return k != normal && k != zeroHost || e.desc&flagCopied == 0
}

// inNewPlace adds new clusters to p, right behind what it has. It returns the number of bytes, 0 if there is no room there.
func (q *image) inNewPlace(ctx context.Context, p *placement, off, n int64) (int64, error) {
	s, slot, err := q.writable(ctx, off)
	if err != nil {
		return 0, err
	}
	defer q.l2.put(s.table)
	clusters := int64(1)
	for most := min(q.clustersIn(q.within(off)+n), s.slots()-slot); clusters < most && q.needsPlace(s.entry(slot+clusters)); {
		clusters++
	}
	var host int64
	if p.n == 0 {
		host, err = q.allocate(ctx, clusters<<q.clusterBits)
	} else {
		host = q.startOf(p.host + p.n)
		clusters, err = q.allocateAt(ctx, host, clusters)
	}
	if err != nil || clusters == 0 {
		return 0, err
	}
	n = min(n, clusters<<q.clusterBits-q.within(off))
	if err := q.addLink(ctx, p, s, slot, span{off, n}, host, false); err != nil {
		return 0, err
	}
	if p.n == 0 {
		p.host = host + q.within(off)
	}
	return n, nil
}

// addLink makes the link for a part of a write, unless all of it goes to data that is there already. host is the place of the
// first cluster.
func (q *image) addLink(ctx context.Context, p *placement, s slice, slot int64, part span, host int64, keep bool) error {
	from := q.within(part.off)
	to := from + part.n
	clusters := q.clustersIn(to)
	plain := keep // whether all subclusters that are written have data
	for i := range clusters {
		e := s.entry(slot + i)
		k := q.subKind(e, 0)
		if plain {
			first := q.subIndex(max(from, i<<q.clusterBits))
			last := q.subIndex(min(to, (i+1)<<q.clusterBits) - 1)
			var n int
			k, n = q.subRun(e, first)
			plain = k == normal && first+n > last
		}
		if k == invalid {
			return q.corrupt(ctx, "Invalid cluster entry found (L2 offset: %s, L2 index: %s)", hex(s.tableAt), hex(slot+i))
		}
	}
	if plain {
		return nil
	}
	l := &link{guest: q.startOf(part.off), host: host, clusters: clusters, keep: keep}
	copyFrom := q.copyFrom(s.entry(slot), from, keep)
	copyTo := q.copyTo(s.entry(slot+clusters-1), to, keep)
	l.head, l.tail = span{copyFrom, from - copyFrom}, span{to, copyTo - to}
	p.links = append(p.links, l)
	q.links = append(q.links, l)
	return nil
}

// copyFrom is where copying must begin in a cluster that is written from byte from on.
func (q *image) copyFrom(e entry, from int64, keep bool) int64 {
	sub := q.subIndex(from)
	k := q.subKind(e, sub)
	switch {
	case keep && k == normal:
		return from
	case keep, k == unallocated, k == zeroPlain:
		return int64(sub) << q.subBits
	case k != compressed && q.extended: // leading subclusters without data need no copy
		return int64(min(sub, bits.TrailingZeros32(uint32(e.bitmap)))) << q.subBits
	}
	return 0
}

// copyTo is where copying must end behind a write that ends at byte to, counted from the first cluster of the write, of which e
// is the last.
func (q *image) copyTo(e entry, to int64, keep bool) int64 {
	sub := q.subIndex(to - 1)
	k := q.subKind(e, sub)
	switch {
	case keep && k == normal:
		return to
	case keep, k == unallocated, k == zeroPlain:
		return (to + q.sub - 1) &^ (q.sub - 1)
	case k != compressed && q.extended:
		return q.roundUp(to) - int64(min(q.subs-1-sub, bits.LeadingZeros32(uint32(e.bitmap))))<<q.subBits
	}
	return q.roundUp(to)
}

// finish takes a link off the list and lets those go on that wait for it.
func (q *image) finish(l *link) {
	for i := range q.links {
		if q.links[i] == l {
			q.links = append(q.links[:i], q.links[i+1:]...)
			break
		}
	}
	l.waiters.WakeAll()
}

// abandon gives back what links that will not be made have taken.
func (q *image) abandon(ctx context.Context, links []*link) {
	for _, l := range links {
		if !l.keep {
			q.free(ctx, l.host, l.clusters<<q.clusterBits, freeNever)
		}
		q.finish(l)
	}
}

// writePlaced writes data to its place and makes the links.
func (q *image) writePlaced(ctx context.Context, v blockdev.Vec, off int64, p placement) error {
	if len(p.links) == 0 {
		if err := q.fire(ctx, blockdev.EvWriteAIO); err != nil {
			return err
		}
		return q.file.WriteVec(ctx, v, p.host, 0)
	}
	err := q.zeroAround(ctx, p.links)
	merged := q.mergeable(p.links, off, v)
	if err == nil && merged == nil {
		if err = q.fire(ctx, blockdev.EvWriteAIO); err == nil {
			err = q.file.WriteVec(ctx, v, p.host, 0)
		}
	}
	links := p.links
	for err == nil && len(links) > 0 {
		data := blockdev.Vec(nil)
		if links[0] == merged {
			data = v
		}
		if err = q.copyAround(ctx, links[0], data); err == nil {
			err = q.makeLink(ctx, links[0])
		}
		if err == nil {
			links = links[1:]
		}
	}
	if len(links) == 0 {
		return nil
	}
	ctx = steady(ctx)
	if lockErr := q.mu.Lock(ctx); lockErr != nil {
		return lockErr
	}
	defer q.mu.Unlock()
	q.abandon(ctx, links)
	return err
}

// makeLink enters a link into its L2 table, and gives back what was there before.
func (q *image) makeLink(ctx context.Context, l *link) error {
	ctx = steady(ctx)
	if err := q.lock(ctx); err != nil {
		return err
	}
	defer q.mu.Unlock()
	if err := q.enterLink(ctx, l); err != nil {
		return err
	}
	q.finish(l)
	return nil
}

// orderLink has the refcounts and all data written so far reach the file before the next L2 table does.
func (q *image) orderLink(ctx context.Context) error {
	if q.settings.lazy {
		if err := q.markDirty(ctx); err != nil {
			return err
		}
	}
	q.l2.barrier = true
	if !q.accurate() {
		return nil
	}
	return q.l2.after(ctx, q.refs)
}

func (q *image) enterLink(ctx context.Context, l *link) error {
	if err := q.orderLink(ctx); err != nil {
		return err
	}
	s, slot, err := q.writable(ctx, l.guest)
	if err != nil {
		return err
	}
	var old []entry
	for i := range l.clusters {
		e := s.entry(slot + i)
		place := q.placeOf(e)
		if !l.keep && place.n > 0 && !place.overlaps(l.host, l.clusters<<q.clusterBits) { // else it was in use and counted as free
			old = append(old, e)
		}
		e.desc = uint64(l.host+i<<q.clusterBits) | flagCopied
		if q.extended && !l.prealloc {
			from := max(l.head.off, i<<q.clusterBits)
			to := min(l.tail.end(), (i+1)<<q.clusterBits)
			mask := subMask(q.subIndex(from), q.subIndex(to-1)+1)
			e.bitmap = (e.bitmap | mask) &^ (mask << 32)
		}
		s.set(slot+i, e)
	}
	q.l2.changed(s.table)
	q.l2.put(s.table)
	for _, e := range old {
		q.freeEntry(ctx, e, freeNever) // the next write takes them again
	}
	return nil
}
