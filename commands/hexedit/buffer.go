package hexedit

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
)

// mostChanged is how many bytes may be changed before they are written. Each is held, with what it
// takes to undo it.
const mostChanged = 1 << 20

// ErrFull says that so many bytes are changed that they should be written.
var ErrFull = errors.New("1 MiB is changed: write it before going on")

// Buffer is the bytes that were changed and not written yet. It holds no other bytes of the disk.
type Buffer struct {
	changed map[int64]byte
	done    []step // what undo takes back, the last first
	undone  []step // what redo does again
}

// step is the change of one byte. Before is what was changed there already; it is nothing if there
// was no change.
type step struct {
	off    int64
	was    bool
	before byte
	after  byte
}

// Change is bytes of the disk and what they become. Both are of one length.
type Change struct {
	Off      int64 // in bytes
	Old, New []byte
}

// Set changes the byte at an offset.
func (b *Buffer) Set(off int64, to byte) error {
	if b.changed == nil {
		b.changed = map[int64]byte{}
	}
	if len(b.done) >= mostChanged {
		return ErrFull
	}
	before, was := b.changed[off]
	b.done = append(b.done, step{off, was, before, to})
	b.undone = nil
	b.changed[off] = to
	return nil
}

// Undo takes back the last change and tells where it was; ok is false if there is none.
func (b *Buffer) Undo() (off int64, ok bool) {
	n := len(b.done) - 1
	if n < 0 {
		return 0, false
	}
	s := b.done[n]
	b.done, b.undone = b.done[:n], append(b.undone, s)
	if s.was {
		b.changed[s.off] = s.before
	} else {
		delete(b.changed, s.off)
	}
	return s.off, true
}

// Redo makes the change again that was taken back last.
func (b *Buffer) Redo() (off int64, ok bool) {
	n := len(b.undone) - 1
	if n < 0 {
		return 0, false
	}
	s := b.undone[n]
	b.undone, b.done = b.undone[:n], append(b.done, s)
	b.changed[s.off] = s.after
	return s.off, true
}

// Changed says whether the byte at an offset was changed.
func (b *Buffer) Changed(off int64) bool {
	_, ok := b.changed[off]
	return ok
}

// Len is how many bytes are changed.
func (b *Buffer) Len() int { return len(b.changed) }

// Apply puts the changes over bytes of the disk that begin at an offset.
func (b *Buffer) Apply(p []byte, off int64) {
	if len(b.changed) < len(p) {
		for at, to := range b.changed {
			if at >= off && at < off+int64(len(p)) {
				p[at-off] = to
			}
		}
		return
	}
	for i := range p {
		if to, ok := b.changed[off+int64(i)]; ok {
			p[i] = to
		}
	}
}

// Next is the first changed byte at or behind an offset, end if there is none before that.
func (b *Buffer) Next(off, end int64) int64 {
	for at := range b.changed {
		if at >= off && at < end {
			end = at
		}
	}
	return end
}

// Forget drops all changes, and what could be undone.
func (b *Buffer) Forget() { *b = Buffer{} }

// Changes are the changes as ranges, in order. What was typed as it was before is none.
func (b *Buffer) Changes(ctx context.Context, d Disk) ([]Change, error) {
	var list []Change
	offs := slices.Sorted(maps.Keys(b.changed))
	for len(offs) > 0 {
		n := 1
		for n < len(offs) && offs[n] == offs[0]+int64(n) {
			n++
		}
		c := Change{Off: offs[0], Old: make([]byte, n), New: make([]byte, n)}
		if err := d.Read(ctx, c.Old, c.Off); err != nil {
			return nil, err
		}
		for i, off := range offs[:n] {
			c.New[i] = b.changed[off]
		}
		list = append(list, c.differing()...)
		offs = offs[n:]
	}
	return list, nil
}

// differing are the parts of a change in which bytes become others.
func (c Change) differing() []Change {
	var parts []Change
	for at := 0; at < len(c.Old); {
		if c.Old[at] == c.New[at] {
			at++
			continue
		}
		end := at
		for end < len(c.Old) && c.Old[end] != c.New[end] {
			end++
		}
		parts = append(parts, Change{c.Off + int64(at), c.Old[at:end], c.New[at:end]})
		at = end
	}
	return parts
}

// Holds says whether bytes of the disk are those that the change begins with.
func (c Change) Holds(found []byte) bool { return bytes.Equal(found, c.Old) }

// sum is how many bytes change.
func sum(changes []Change) int {
	n := 0
	for _, c := range changes {
		n += len(c.New)
	}
	return n
}
