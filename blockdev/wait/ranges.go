package wait

// Ranges is a list of requests by the bytes they touch, in the order of their arrival. Of each it
// knows who waits for it, and a T that belongs to the owner of the list. What is removed is used
// again: in the long run a request costs no memory.
//
// Like Waiters it belongs to a lock. The zero value is empty.
type Ranges[T any] struct {
	first, last *Range[T]
	free        *Range[T]
}

// Range is a request in a list, from Off to before End, until it is removed.
type Range[T any] struct {
	Off, End   int64
	Of         T
	Waiters    Waiters // requests that wait for this one
	prev, next *Range[T]
}

// Add puts a request behind all others.
func (l *Ranges[T]) Add(off, end int64, of T) *Range[T] {
	r := l.free
	if r == nil {
		r = new(Range[T])
	} else {
		l.free = r.next
	}
	*r = Range[T]{Off: off, End: end, Of: of, prev: l.last}
	if l.last != nil {
		l.last.next = r
	} else {
		l.first = r
	}
	l.last = r
	return r
}

// Remove takes a request out and wakes those that wait for it. It must not be used afterwards.
func (l *Ranges[T]) Remove(r *Range[T]) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		l.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		l.last = r.prev
	}
	r.Waiters.WakeAll()
	r.prev, r.next, l.free = nil, l.free, r
}

// First is the oldest request, nil if there is none.
func (l *Ranges[T]) First() *Range[T] { return l.first }

// Last is the newest request, nil if there is none.
func (l *Ranges[T]) Last() *Range[T] { return l.last }

// Next is the request that came after r, nil if it was the last.
func (r *Range[T]) Next() *Range[T] { return r.next }

// Prev is the request that came before r, nil if it was the first.
func (r *Range[T]) Prev() *Range[T] { return r.prev }

// Overlaps says whether both touch some byte.
func (r *Range[T]) Overlaps(o *Range[T]) bool { return r.Off < o.End && o.Off < r.End }
