package qcow2

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// cache keeps the metadata tables of one kind that were used last, and writes changed ones back late. Two rules bind what it
// writes: all of another cache goes first (after), or the file is flushed first (barrier). All methods need the metadata lock.
type cache struct {
	q     *image
	name  string             // for messages
	own   overlap            // what a table of this kind may lie on
	load  blockdev.EventName // fired before a table is read, "" for none
	store blockdev.EventName // fired before one is written
	unit  int64              // bytes in a table
	limit int                // tables that are kept

	memory memory
	tables map[int64]*table
	lru    table // ring: next is the table used last, prev the one not used for longest
	dirty  []*table

	first   *cache // must be in the file, flushed, before any table of this cache is written
	barrier bool   // the file must be flushed before any table of this cache is written
}

// table is a cached part of the file. A user holds it until put, and it stays in memory until then.
type table struct {
	off        int64
	data       []byte
	dirty      bool
	idle       bool // not used since the last cleaning
	users      int
	prev, next *table
}

func newCache(q *image, name string, own overlap, load, store blockdev.EventName, unit int64, limit int) *cache {
	c := &cache{q: q, name: name, own: own, load: load, store: store, unit: unit, limit: limit, memory: memory{unit: unit}, tables: map[int64]*table{}}
	c.lru.prev, c.lru.next = &c.lru, &c.lru
	return c
}

// get is the table at off, read from the file if it is not in memory.
func (c *cache) get(ctx context.Context, off int64) (*table, error) {
	t, err := c.claim(ctx, off)
	if err != nil || t.data != nil {
		return t, err
	}
	if c.load != "" {
		err = c.q.fire(ctx, c.load)
	}
	if err == nil {
		t.data, err = c.memory.take()
	}
	if err == nil {
		err = readAt(ctx, c.q.file, t.data, off)
	}
	if err != nil {
		c.put(t)
		c.remove(t)
		return nil, err
	}
	return t, nil
}

// fresh is the table at off, all zero, whatever the file holds there.
func (c *cache) fresh(ctx context.Context, off int64) (*table, error) {
	t, err := c.claim(ctx, off)
	if err != nil {
		return nil, err
	}
	if t.data == nil {
		if t.data, err = c.memory.take(); err != nil {
			c.put(t)
			c.remove(t)
			return nil, err
		}
	}
	clear(t.data)
	return t, nil
}

// claim finds or makes the table at off for one more user. A new one has no data yet.
func (c *cache) claim(ctx context.Context, off int64) (*table, error) {
	if t := c.tables[off]; t != nil {
		t.users++
		t.idle = false
		return t, nil
	}
	if off&(c.unit-1) != 0 {
		return nil, c.q.corrupt(ctx, "Cannot get entry from %s cache: Offset %s is unaligned", c.name, hex(off))
	}
	if err := c.makeRoom(ctx); err != nil {
		return nil, err
	}
	t := &table{off: off, users: 1}
	c.tables[off] = t
	c.link(t)
	return t, nil
}

// makeRoom drops the table that was not used for longest. With all in use it lets the cache grow for a while.
func (c *cache) makeRoom(ctx context.Context) error {
	if len(c.tables) < c.limit {
		return nil
	}
	for t := c.lru.prev; t != &c.lru; t = t.prev {
		if t.users > 0 {
			continue
		}
		if err := c.write(ctx, t); err != nil {
			return err
		}
		c.dirty = slices.DeleteFunc(c.dirty, func(d *table) bool { return d == t })
		c.remove(t)
		return nil
	}
	return nil
}

// put ends a use of t, which may be nil.
func (c *cache) put(t *table) {
	if t == nil {
		return
	}
	t.users--
	switch {
	case t.users > 0:
	case t.next == nil: // it was removed while in use
		c.discard(t)
	default:
		c.unlink(t)
		c.link(t)
	}
}

func (c *cache) link(t *table) {
	t.prev, t.next = &c.lru, c.lru.next
	t.prev.next, t.next.prev = t, t
}

func (c *cache) unlink(t *table) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}

func (c *cache) remove(t *table) {
	if c.tables[t.off] != t {
		return
	}
	delete(c.tables, t.off)
	c.unlink(t)
	if t.users == 0 {
		c.discard(t)
	}
}

func (c *cache) discard(t *table) {
	c.memory.give(t.data)
	t.data = nil
}

// changed notes that t must be written back.
func (c *cache) changed(t *table) {
	if !t.dirty {
		t.dirty = true
		c.dirty = append(c.dirty, t)
	}
}

// forget drops the tables in a range of the file that is no longer theirs, with their changes.
func (c *cache) forget(off, n int64) {
	for at := off; at < off+n; at += c.unit {
		t := c.tables[at]
		if t == nil {
			continue
		}
		if t.dirty {
			t.dirty = false
			c.dirty = slices.DeleteFunc(c.dirty, func(d *table) bool { return d == t })
		}
		c.remove(t)
	}
}

// after makes c wait for other: nothing of c reaches the file before all that is changed in other now. A circle cannot arise,
// because what other waits for is done first.
func (c *cache) after(ctx context.Context, other *cache) error {
	if err := other.settle(ctx); err != nil {
		return err
	}
	if c.first != nil && c.first != other {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	c.first = other
	return nil
}

// settle does what c waits for.
func (c *cache) settle(ctx context.Context) error {
	if c.first == nil {
		return nil
	}
	if err := c.first.flush(ctx); err != nil {
		return err
	}
	c.first, c.barrier = nil, false
	return nil
}

// write brings t to the file if it was changed, behind all that must come before it.
func (c *cache) write(ctx context.Context, t *table) error {
	if !t.dirty {
		return nil
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	if c.barrier {
		if err := c.q.file.Flush(ctx); err != nil {
			return err
		}
		c.barrier = false
	}
	if err := c.q.guardMetadata(ctx, c.own, t.off, c.unit); err != nil {
		return err
	}
	if err := c.q.fire(ctx, c.store); err != nil {
		return err
	}
	if err := c.q.writeFile(ctx, t.data, t.off); err != nil {
		return err
	}
	t.dirty = false
	return nil
}

// writeBack brings all changed tables to the file, in the order of their offsets. It goes on after an error; running out of space is
// the error that is told.
func (c *cache) writeBack(ctx context.Context) error {
	if len(c.dirty) == 0 {
		return nil
	}
	if len(c.dirty) > 1 {
		slices.SortFunc(c.dirty, func(a, b *table) int { return cmp.Compare(a.off, b.off) })
	}
	var result error
	for _, t := range c.dirty {
		if err := c.write(ctx, t); err != nil && !errors.Is(result, syscall.ENOSPC) {
			result = err
		}
	}
	c.dirty = slices.DeleteFunc(c.dirty, func(t *table) bool { return !t.dirty })
	return result
}

// flush is writeBack with the file flushed behind it.
func (c *cache) flush(ctx context.Context) error {
	if err := c.writeBack(ctx); err != nil {
		return err
	}
	return c.q.file.Flush(ctx)
}

// clean drops tables that nobody asked for since it was called last. When none is left their memory goes as well.
func (c *cache) clean() {
	for t := c.lru.prev; t != &c.lru; {
		older := t
		t = t.prev
		if older.idle && older.users == 0 && !older.dirty {
			c.remove(older)
		}
		older.idle = true
	}
	c.memory.trim()
}

// empty drops all tables, with what was changed in them.
func (c *cache) empty() {
	for _, t := range c.tables {
		c.remove(t)
	}
}

// end drops all tables and gives the memory back.
func (c *cache) end() {
	c.memory.over = true
	c.empty()
	c.dirty = nil
	c.memory.trim()
}
