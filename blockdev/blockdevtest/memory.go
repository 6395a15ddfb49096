package blockdevtest

import (
	"context"
	"sync"

	"github.com/blksh/blksh/blockdev/driver"
)

// MemoryDriver is a protocol in memory that counts what reaches it. Formats and filters under test
// stand on it.
var MemoryDriver = driver.Driver{
	Name:   "test-memory",
	Doc:    "memory that records its requests",
	Kind:   driver.Protocol,
	Config: memoryConfig{},
	Open:   openMemory,
}

type memoryConfig struct {
	Size driver.Bytes `option:"size" help:"bytes"`
}

// Memory is an open node of MemoryDriver.
type Memory struct {
	driver.Leaf
	mu     sync.Mutex
	data   []byte
	counts map[string]int
}

var _ driver.Node = (*Memory)(nil)

func openMemory(_ context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*memoryConfig)
	return &Memory{data: make([]byte, c.Size.Int()), counts: map[string]int{}}, nil
}

// Count is how many requests of a kind have come: read, write, zero, discard, status, truncate or
// flush.
func (m *Memory) Count(kind string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[kind]
}

// begin counts a request and holds the memory until the result is called.
func (m *Memory) begin(kind string) (end func()) {
	m.mu.Lock()
	m.counts[kind]++
	return m.mu.Unlock
}

// Info takes every flag.
func (m *Memory) Info() driver.Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	flags := driver.FUA | driver.MayUnmap | driver.NoFallback
	return driver.Info{
		Driver: MemoryDriver.Name,
		Limits: driver.Limits{Size: int64(len(m.data)), WriteTakes: driver.FUA, ZeroTakes: flags},
	}
}

// ReadVec copies out.
func (m *Memory) ReadVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	defer m.begin("read")()
	n := 0
	if off < int64(len(m.data)) {
		n = v.CopyFrom(m.data[off:])
	}
	v.Slice(int64(n), v.Len()-int64(n)).Clear()
	return nil
}

// WriteVec copies in and grows.
func (m *Memory) WriteVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	defer m.begin("write")()
	m.reach(off + v.Len())
	v.CopyTo(m.data[off:])
	return nil
}

func (m *Memory) reach(end int64) {
	if more := end - int64(len(m.data)); more > 0 {
		m.data = append(m.data, make([]byte, more)...)
	}
}

// Zero clears.
func (m *Memory) Zero(_ context.Context, off, n int64, _ driver.Flags) error {
	defer m.begin("zero")()
	m.reach(off + n)
	clear(m.data[off : off+n])
	return nil
}

// Discard clears too.
func (m *Memory) Discard(_ context.Context, off, n int64, _ driver.Flags) error {
	defer m.begin("discard")()
	end := min(off+n, int64(len(m.data)))
	clear(m.data[min(off, end):end])
	return nil
}

// Status tells zeroes from data, in blocks of 4 KiB.
func (m *Memory) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	defer m.begin("status")()
	const block = 4096
	n = min(n, block-off%block)
	zero := off >= int64(len(m.data)) || driver.AllZero(m.data[off:min(off+n, int64(len(m.data)))])
	return driver.Extent{
		Off: off, Len: n, Allocated: true, Data: !zero, Zero: zero,
		Node: MemoryDriver.Name, HostOff: off,
	}, nil
}

// Truncate sets the length.
func (m *Memory) Truncate(_ context.Context, size int64, _ driver.Prealloc, _ driver.Flags) error {
	defer m.begin("truncate")()
	if size < int64(len(m.data)) {
		m.data = m.data[:size:size]
	}
	m.reach(size)
	return nil
}

// Flush only counts.
func (m *Memory) Flush(context.Context) error {
	m.begin("flush")()
	return nil
}
