package format

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// TablesConfig says what a cache of tables is for.
type TablesConfig struct {
	File driver.Node // where the tables are
	Name string      // of one table, for messages
	Unit int64       // bytes in a table, a power of two; tables begin at multiples of it
	// Sync puts all that was written on stable storage: the file, and what lies elsewhere and
	// tables refer to. nil flushes the file.
	Sync func(ctx context.Context) error
	// Limit is how many tables are kept in memory, but for those in use.
	Limit int
	// Load and Store are the events that are raised at File before a table is read or written; 0
	// for none.
	Load, Store driver.Event
	// Guard refuses to write n bytes at off where no table of this kind may be; nil lets everything
	// pass.
	Guard func(ctx context.Context, off, n int64) error
	// Unaligned is the error for a table that does not begin at a multiple of Unit.
	Unaligned func(ctx context.Context, off int64) error
	// Lost is told of a table that is read as zeroes because the file ends before it, at end. nil
	// tells nobody.
	Lost func(end int64)
}

// Tables keeps the metadata tables of one kind that were used last, and writes changed ones back
// late. Two rules bind what it writes: all of another cache goes first (After), or the file is
// flushed first (Barrier). All methods need the lock of the image.
type Tables struct {
	TablesConfig
	memory tableMemory
	tables map[int64]*Table
	// how many of them are in each part of the file of partBytes; by its number
	inPart map[int64]int
	lru    Table // ring: next is the table used last, prev the one not used for longest
	dirty  []*Table

	first   *Tables // must be in the file, flushed, before any table of this cache is written
	barrier bool    // the file must be flushed before any table of this cache is written
}

// partBytes is the length of the parts of the file that Forget passes over if they have no table in
// memory.
const partBytes = 2 << 20

// Table is a cached part of the file. A user holds it until Put, and it stays in memory until then.
type Table struct {
	Off        int64 // in the file
	Data       []byte
	dirty      bool
	idle       bool // not used since the last cleaning
	users      int
	prev, next *Table
}

// NewTables makes an empty cache.
func NewTables(c TablesConfig) *Tables {
	t := &Tables{
		TablesConfig: c, memory: tableMemory{unit: c.Unit}, tables: map[int64]*Table{},
		inPart: map[int64]int{},
	}
	t.lru.prev, t.lru.next = &t.lru, &t.lru
	return t
}

// Barrier has the file flushed before a table of this cache is written again.
func (c *Tables) Barrier() { c.barrier = true }

// Reset drops all tables, what was changed in them, and what they have to wait for.
func (c *Tables) Reset() {
	c.empty()
	c.dirty, c.first, c.barrier = nil, nil, false
}

// Release ends the wait for other that After began.
func (c *Tables) Release(other *Tables) {
	if c.first == other {
		c.first = nil
	}
}

// Get is the table at off, read from the file if it is not in memory.
func (c *Tables) Get(ctx context.Context, off int64) (*Table, error) {
	t, err := c.claim(ctx, off)
	if err != nil || t.Data != nil {
		return t, err
	}
	if c.Load != 0 {
		err = driver.Fire(ctx, c.File, c.Load)
	}
	if err == nil {
		t.Data, err = c.memory.take()
	}
	if err == nil {
		err = c.File.ReadVec(ctx, driver.Vec{t.Data}, off, 0)
	}
	if err != nil {
		c.Put(t)
		c.remove(t)
		return nil, err
	}
	if c.Lost != nil {
		if end := c.File.Info().Size; off+int64(len(t.Data)) > end {
			c.Lost(end)
		}
	}
	return t, nil
}

// Fresh is the table at off, all zero, whatever the file holds there.
func (c *Tables) Fresh(ctx context.Context, off int64) (*Table, error) {
	t, err := c.claim(ctx, off)
	if err != nil {
		return nil, err
	}
	if t.Data == nil {
		if t.Data, err = c.memory.take(); err != nil {
			c.Put(t)
			c.remove(t)
			return nil, err
		}
	}
	clear(t.Data)
	return t, nil
}

// claim finds or makes the table at off for one more user. A new one has no data yet.
func (c *Tables) claim(ctx context.Context, off int64) (*Table, error) {
	if t := c.tables[off]; t != nil {
		t.users++
		t.idle = false
		return t, nil
	}
	if off&(c.Unit-1) != 0 {
		return nil, c.Unaligned(ctx, off)
	}
	if err := c.makeRoom(ctx); err != nil {
		return nil, err
	}
	t := &Table{Off: off, users: 1}
	c.tables[off] = t
	c.inPart[off/partBytes]++
	c.link(t)
	return t, nil
}

// makeRoom drops the table that was not used for longest. With all in use it lets the cache grow
// for a while.
func (c *Tables) makeRoom(ctx context.Context) error {
	if len(c.tables) < c.Limit {
		return nil
	}
	for t := c.lru.prev; t != &c.lru; t = t.prev {
		if t.users > 0 {
			continue
		}
		if err := c.write(ctx, t); err != nil {
			return err
		}
		c.dirty = slices.DeleteFunc(c.dirty, func(d *Table) bool { return d == t })
		c.remove(t)
		return nil
	}
	return nil
}

// Put ends a use of t, which may be nil.
func (c *Tables) Put(t *Table) {
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

func (c *Tables) link(t *Table) {
	t.prev, t.next = &c.lru, c.lru.next
	t.prev.next, t.next.prev = t, t
}

func (c *Tables) unlink(t *Table) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}

func (c *Tables) remove(t *Table) {
	if c.tables[t.Off] != t {
		return
	}
	delete(c.tables, t.Off)
	if part := t.Off / partBytes; c.inPart[part] > 1 {
		c.inPart[part]--
	} else {
		delete(c.inPart, part)
	}
	c.unlink(t)
	if t.users == 0 {
		c.discard(t)
	}
}

func (c *Tables) discard(t *Table) {
	c.memory.give(t.Data)
	t.Data = nil
}

// Changed notes that t must be written back.
func (c *Tables) Changed(t *Table) {
	if !t.dirty {
		t.dirty = true
		c.dirty = append(c.dirty, t)
	}
}

// Forget drops the tables in a range of the file that is no longer theirs, with their changes.
func (c *Tables) Forget(off, n int64) {
	for at := off; at < off+n; at += c.Unit {
		if c.inPart[at/partBytes] == 0 {
			at = (at/partBytes+1)*partBytes - c.Unit
			continue
		}
		t := c.tables[at]
		if t == nil {
			continue
		}
		if t.dirty {
			t.dirty = false
			c.dirty = slices.DeleteFunc(c.dirty, func(d *Table) bool { return d == t })
		}
		c.remove(t)
	}
}

// After makes c wait for other: nothing of c reaches the file before all that is changed in other
// now. A circle cannot arise, because what other waits for is done first.
func (c *Tables) After(ctx context.Context, other *Tables) error {
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
func (c *Tables) settle(ctx context.Context) error {
	if c.first == nil {
		return nil
	}
	if err := c.first.Flush(ctx); err != nil {
		return err
	}
	c.first, c.barrier = nil, false
	return nil
}

// write brings t to the file if it was changed, behind all that must come before it.
func (c *Tables) write(ctx context.Context, t *Table) error {
	if !t.dirty {
		return nil
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	if c.barrier {
		if err := c.sync(ctx); err != nil {
			return err
		}
		c.barrier = false
	}
	if c.Guard != nil {
		if err := c.Guard(ctx, t.Off, c.Unit); err != nil {
			return err
		}
	}
	if c.Store != 0 {
		if err := driver.Fire(ctx, c.File, c.Store); err != nil {
			return err
		}
	}
	if err := c.File.WriteVec(ctx, driver.Vec{t.Data}, t.Off, 0); err != nil {
		return err
	}
	t.dirty = false
	return nil
}

// WriteBack brings all changed tables to the file, in the order of their offsets. It goes on after
// an error; running out of space is the error that is told.
func (c *Tables) WriteBack(ctx context.Context) error {
	if len(c.dirty) == 0 {
		return nil
	}
	if len(c.dirty) > 1 {
		slices.SortFunc(c.dirty, func(a, b *Table) int { return cmp.Compare(a.Off, b.Off) })
	}
	var result error
	for _, t := range c.dirty {
		if err := c.write(ctx, t); err != nil && !errors.Is(result, syscall.ENOSPC) {
			result = err
		}
	}
	c.dirty = slices.DeleteFunc(c.dirty, func(t *Table) bool { return !t.dirty })
	return result
}

// Flush is writeBack with the file flushed behind it.
func (c *Tables) Flush(ctx context.Context) error {
	if err := c.WriteBack(ctx); err != nil {
		return err
	}
	return c.sync(ctx)
}

func (c *Tables) sync(ctx context.Context) error {
	if c.Sync != nil {
		return c.Sync(ctx)
	}
	return c.File.Flush(ctx)
}

// Clean drops tables that nobody asked for since it was called last. When none is left their memory
// goes as well.
func (c *Tables) Clean() {
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

// Empty drops all tables and gives their memory back. Nothing in them may have been changed.
func (c *Tables) Empty() {
	c.empty()
	c.memory.trim()
}

// empty drops all tables, with what was changed in them.
func (c *Tables) empty() {
	for _, t := range c.tables {
		c.remove(t)
	}
}

// End drops all tables and gives the memory back.
func (c *Tables) End() {
	c.memory.over = true
	c.empty()
	c.dirty = nil
	c.memory.trim()
}
