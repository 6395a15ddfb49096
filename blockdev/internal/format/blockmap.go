package format

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

const (
	blockEntry = 4 // bytes of an entry
	// blockMapUnit is how much of a map is cached at a time, in bytes, and blockMapTables how many
	// of these.
	blockMapUnit   = 512
	blockMapTables = 8192
)

// BlockMapConfig describes a map of one level: a 32-bit little-endian entry for each block of the
// guest, which is the number of the block in the file or says that there is none.
type BlockMapConfig struct {
	Name     string      // of the driver
	File     driver.Node // where map and blocks are
	ReadOnly bool
	Off      int64  // of the map, a multiple of 512
	Blocks   uint32 // entries
	Block    int64  // bytes in a block, a power of two
	Data     int64  // offset of block 0, behind the map
	Size     int64  // what the guest sees, in bytes
	// None and Zero are the entries of blocks without a place: never written, and zeroes. Both are
	// higher than every number.
	None, Zero uint32
	// Count notes that the file has n blocks, before an entry says so. It is in the file before
	// that entry is.
	Count func(ctx context.Context, n uint32) error
	// Notify is Config's.
	Notify func(driver.Notice)
}

// BlockMap is an image with a map of one level, but for its header. A new block gets the lowest
// number that no entry has. Its data and what Count writes are flushed before its entry is written:
// a crash may leave a block that nothing refers to, and never two entries for the same one.
type BlockMap struct {
	Image
	cfg BlockMapConfig
	// the claim on the file includes writing: not ReadOnly, and ahead of it while a reopen is
	// prepared
	claims bool

	// The lock of Image guards what follows.
	entries  *Tables
	used     []uint64 // a bit for each block of the file; nil until the first change
	freeFrom int      // no word of used before it has room
}

var _ interface {
	driver.Node
	driver.Claimer
	driver.Reopener
	Mapper
	driver.WriteBacker
} = (*BlockMap)(nil)

// NewBlockMap makes the image that c describes. Nothing is read yet.
func NewBlockMap(c BlockMapConfig) *BlockMap {
	m := &BlockMap{cfg: c, claims: !c.ReadOnly}
	m.Config = Config{
		Mapper: m, Name: c.Name, Data: c.File, Cluster: c.Block, Unit: c.Block,
		Size: func() int64 { return c.Size }, Notify: c.Notify, Reach: m.reach,
	}
	m.entries = NewTables(
		TablesConfig{File: c.File, Name: "block map", Unit: blockMapUnit, Limit: blockMapTables})
	return m
}

// Info describes the image.
func (m *BlockMap) Info() driver.Info {
	return driver.Info{
		Driver: m.cfg.Name, KnowsSizes: true,
		Limits: driver.Limits{Size: m.cfg.Size, RequestAlign: 1, Cluster: m.cfg.Block},
	}
}

// Primary is the image file.
func (m *BlockMap) Primary() driver.Node { return m.cfg.File }

// Claim takes what the parent asks for of the file, and besides what metadata needs.
func (m *BlockMap) Claim(ctx context.Context, c driver.Claim) error {
	return Claim(ctx, m.cfg.File, c, m.claims)
}

// entry is the entry of a block of the guest. The table is for entries.Put.
func (m *BlockMap) entry(ctx context.Context, block int64) (t *Table, e uint32, err error) {
	at := block * blockEntry
	if t, err = m.entries.Get(ctx, m.cfg.Off+at&^(blockMapUnit-1)); err != nil {
		return nil, 0, err
	}
	e = binary.LittleEndian.Uint32(t.Data[at&(blockMapUnit-1):])
	if e >= m.cfg.Blocks && m.hasPlace(e) {
		m.entries.Put(t)
		return nil, 0, driver.RefuseAs(syscall.EIO, "block index %d too large, is %d", block, e)
	}
	return t, e, nil
}

func (m *BlockMap) hasPlace(e uint32) bool { return e != m.cfg.None && e != m.cfg.Zero }

// lookup is the entry of a block of the guest.
func (m *BlockMap) lookup(ctx context.Context, block int64) (uint32, error) {
	t, e, err := m.entry(ctx, block)
	if err == nil {
		m.entries.Put(t)
	}
	return e, err
}

// place is where block number e of the file lies.
func (m *BlockMap) place(e uint32) int64 { return m.cfg.Data + int64(e)*m.cfg.Block }

// Lookup describes blocks of one sort; those with data lie one behind the other.
func (m *BlockMap) Lookup(ctx context.Context, off, n int64) (Mapping, error) {
	block := off / m.cfg.Block
	first, err := m.lookup(ctx, block)
	if err != nil {
		return Mapping{}, err
	}
	run := Mapping{Len: m.cfg.Block - m.within(off), Host: -1}
	next, step := first, uint32(0) // what the entry behind must be
	switch first {
	case m.cfg.None:
		run.Kind = Absent
	case m.cfg.Zero:
		run.Kind = Zero
	default:
		run.Kind, run.Host, step = Data, m.place(first)+m.within(off), 1
	}
	for run.Len < n {
		block++
		next += step
		e, err := m.lookup(ctx, block)
		if err != nil || e != next { // an error belongs to the request for that block
			break
		}
		run.Len += m.cfg.Block
	}
	run.Len = min(run.Len, n)
	return run, nil
}

// BeginChange finds out which blocks of the file are in use, at the first change.
func (m *BlockMap) BeginChange(ctx context.Context, _, _ int64) error {
	if m.used != nil {
		return nil
	}
	used := make([]uint64, (int64(m.cfg.Blocks)+63)/64)
	err := m.EachEntry(ctx, func(_, e uint32) {
		if e < m.cfg.Blocks {
			used[e/64] |= 1 << (e % 64)
		}
	})
	if err == nil {
		m.used = used
	}
	return err
}

// reach is where the last block of the file ends that has an entry.
func (m *BlockMap) reach(ctx context.Context) (end int64, err error) {
	err = m.EachEntry(ctx, func(_, e uint32) {
		if e < m.cfg.Blocks {
			end = max(end, m.place(e+1))
		}
	})
	return end, err
}

// Guard lets everything pass: blocks lie behind the map, and there is no other metadata.
func (m *BlockMap) Guard(context.Context, int64, int64) error { return nil }

// Target finds the place of a block, or takes one.
func (m *BlockMap) Target(ctx context.Context, off, n, after int64) (Target, error) {
	head := m.within(off)
	n = min(n, m.cfg.Block-head)
	e, err := m.lookup(ctx, off/m.cfg.Block)
	if err != nil {
		return Target{}, err
	}
	fresh := !m.hasPlace(e)
	if fresh {
		if e, err = m.lowestFree(); err != nil {
			return Target{}, err
		}
	}
	t := Target{Host: m.place(e) + head, Len: n}
	if after >= 0 && t.Host != after {
		return Target{}, nil
	}
	if fresh {
		m.used[e/64] |= 1 << (e % 64)
		t.Allocation = &Allocation{
			Guest: off - head, Host: m.place(e), Len: m.cfg.Block,
			Head: Span{0, head}, Tail: Span{head + n, m.cfg.Block - head - n},
		}
	}
	return t, nil
}

// InPlace finds blocks that lie one behind the other.
func (m *BlockMap) InPlace(ctx context.Context, off, n int64) (host int64, ok bool, err error) {
	run, err := m.Lookup(ctx, off, n)
	return run.Host, err == nil && run.Kind == Data && run.Len == n, err
}

// lowestFree is the lowest number that no entry has.
func (m *BlockMap) lowestFree() (uint32, error) {
	for ; m.freeFrom < len(m.used); m.freeFrom++ {
		if word := m.used[m.freeFrom]; word != ^uint64(0) {
			if e := uint32(m.freeFrom*64 + bits.TrailingZeros64(^word)); e < m.cfg.Blocks {
				return e, nil
			}
		}
	}
	return 0, syscall.ENOSPC
}

// number is the block of the file that an allocation has taken.
func (m *BlockMap) number(a *Allocation) uint32 {
	return uint32((a.Host - m.cfg.Data) / m.cfg.Block)
}

// Commit enters a block into the map.
func (m *BlockMap) Commit(ctx context.Context, a *Allocation) error {
	e := m.number(a)
	if err := m.cfg.Count(ctx, e+1); err != nil {
		return err
	}
	return m.enter(ctx, a.Guest/m.cfg.Block, e)
}

// enter makes e the entry of a block of the guest, once what was written before is stored.
func (m *BlockMap) enter(ctx context.Context, block int64, e uint32) error {
	t, _, err := m.entry(ctx, block)
	if err != nil {
		return err
	}
	defer m.entries.Put(t)
	m.entries.Barrier()
	binary.LittleEndian.PutUint32(t.Data[block*blockEntry&(blockMapUnit-1):], e)
	m.entries.Changed(t)
	return nil
}

// Compact moves blocks of the file to lower numbers that no entry has until there are none, and
// has their number stored by set when that is so. No two entries may have one block. It needs the
// lock.
func (m *BlockMap) Compact(
	ctx context.Context, set func(ctx context.Context, n uint32) error,
) error {
	if err := m.BeginChange(ctx, 0, 0); err != nil {
		return err
	}
	n := uint32(0)
	for _, word := range m.used {
		n += uint32(bits.OnesCount64(word))
	}
	var far []int64 // blocks of the guest
	if err := m.EachEntry(ctx, func(block, e uint32) {
		if m.hasPlace(e) && e >= n {
			far = append(far, int64(block))
		}
	}); err != nil {
		return err
	}
	data := driver.Vec{make([]byte, m.cfg.Block)}
	for _, block := range far {
		if err := m.move(ctx, block, data); err != nil {
			return err
		}
	}
	err := m.entries.WriteBack(ctx)
	if err == nil {
		err = m.cfg.File.Flush(ctx)
	}
	if err == nil {
		err = set(ctx, n)
	}
	if err == nil {
		err = m.cfg.File.Flush(ctx)
	}
	return err
}

// move gives a block of the guest the lowest number that no entry has. data has room for it.
func (m *BlockMap) move(ctx context.Context, block int64, data driver.Vec) error {
	from, err := m.lookup(ctx, block)
	if err != nil {
		return err
	}
	to, err := m.lowestFree()
	if err == nil {
		err = m.cfg.File.ReadVec(ctx, data, m.place(from), 0)
	}
	if err == nil {
		err = m.cfg.File.WriteVec(ctx, data, m.place(to), 0)
	}
	if err == nil {
		err = m.enter(ctx, block, to)
	}
	if err == nil {
		m.used[to/64] |= 1 << (to % 64)
		m.used[from/64] &^= 1 << (from % 64)
	}
	return err
}

// Abort gives a number back.
func (m *BlockMap) Abort(_ context.Context, a *Allocation) {
	e := m.number(a)
	m.used[e/64] &^= 1 << (e % 64)
	m.freeFrom = min(m.freeFrom, int(e/64))
}

// ZeroMap leaves zeroes to be written, as QEMU does in formats with such maps.
func (m *BlockMap) ZeroMap(context.Context, int64, int64, bool) error {
	return driver.ErrNotSupported
}

// Unmap keeps the blocks, as QEMU does.
func (m *BlockMap) Unmap(context.Context, int64, int64) error { return driver.ErrNotSupported }

// Unpack is never asked for: no block is compressed.
func (m *BlockMap) Unpack(context.Context, Mapping, []byte) error { return driver.ErrNotSupported }

// EachEntry calls do for each block of the guest with its entry, once all that was changed is in
// the file. It needs the lock.
func (m *BlockMap) EachEntry(ctx context.Context, do func(block, e uint32)) error {
	if err := m.entries.WriteBack(ctx); err != nil {
		return err
	}
	const piece = 64 << 10
	length := int64(m.cfg.Blocks) * blockEntry
	buf := make([]byte, min(piece, length))
	for done := int64(0); done < length; done += piece {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		b := buf[:min(piece, length-done)]
		if err := m.cfg.File.ReadVec(ctx, driver.Vec{b}, m.cfg.Off+done, 0); err != nil {
			return err
		}
		for at := int64(0); at < int64(len(b)); at += blockEntry {
			do(uint32((done+at)/blockEntry), binary.LittleEndian.Uint32(b[at:]))
		}
	}
	return nil
}

// maxMessages bounds what a check remembers to say; the numbers are right in any case.
const maxMessages = 1000

// Wrong notes something that a check found.
func Wrong(res *driver.CheckResult, text string, args ...any) {
	res.Corruptions++
	if len(res.Messages) < maxMessages {
		res.Messages = append(res.Messages, fmt.Sprintf(text, args...))
	}
}

// CheckEntries tells of entries that cannot be, that have one block, and of blocks that are behind
// the end of the file. count is how many entries have a block. It needs the lock.
func (m *BlockMap) CheckEntries(
	ctx context.Context, res *driver.CheckResult,
) (count uint32, err error) {
	if err := m.WaitIdle(ctx, 0, math.MaxInt64); err != nil {
		return 0, err
	}
	taken := make([]uint64, (int64(m.cfg.Blocks)+63)/64)
	lost, end := 0, m.cfg.File.Info().Size
	err = m.EachEntry(ctx, func(block, e uint32) {
		switch {
		case !m.hasPlace(e):
			return
		case e >= m.cfg.Blocks:
			Wrong(res, "ERROR: block index %d too large, is %d", block, e)
			return
		case taken[e/64]>>(e%64)&1 != 0:
			Wrong(res, "ERROR: block index %d also used by %d", e, e)
		}
		count++
		taken[e/64] |= 1 << (e % 64)
		res.ImageEnd = max(res.ImageEnd, m.place(e+1))
		if m.place(e) >= end {
			lost++
		}
	})
	if err != nil {
		res.CheckErrors++
		return 0, fmt.Errorf("read the block map: %w", err)
	}
	if lost > 0 {
		Wrong(res, "ERROR: the file ends at %d, before %d of its blocks", end, lost)
	}
	return count, nil
}

// Flush writes the map and flushes the file.
func (m *BlockMap) Flush(ctx context.Context) error {
	if _, err := m.WriteBack(ctx); err != nil {
		return err
	}
	return m.cfg.File.Flush(ctx)
}

// WriteBack writes the map.
func (m *BlockMap) WriteBack(ctx context.Context) (settle func(context.Context) error, err error) {
	if err := m.Lock(ctx); err != nil {
		return nil, err
	}
	defer m.Unlock()
	return nil, m.entries.WriteBack(ctx)
}

// Close writes what is left of the map.
func (m *BlockMap) Close() error {
	ctx := context.Background()
	if err := m.Lock(ctx); err != nil {
		return err
	}
	defer m.Unlock()
	defer m.entries.End()
	if m.cfg.ReadOnly {
		return nil
	}
	return m.entries.WriteBack(ctx)
}

// Prepare writes the map, which another program may change once the image is read-only.
func (m *BlockMap) Prepare(
	ctx context.Context, o *driver.Opening,
) (commit, abort func(), err error) {
	if !m.cfg.ReadOnly {
		if err := m.Flush(ctx); err != nil {
			return nil, nil, err
		}
	}
	m.claims = !o.Mode.ReadOnly
	return func() { m.cfg.ReadOnly = o.Mode.ReadOnly }, func() { m.claims = !m.cfg.ReadOnly }, nil
}
