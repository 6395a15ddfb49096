// Package mem is a protocol whose bytes live in the memory of the program: a scratch disk such as
// mem:64M that needs no file and is gone when it is closed.
//
// The disk is sparse. It is kept in pages of 64 KiB that are allocated by the first write into them
// and given back by Zero and Discard, so that mem:1T costs nothing until it is written to. Pages
// lie in a fixed number of shards, each with a lock of its own: requests for different pages rarely
// meet, and a read that overlaps a write sees whole pages of either.
package mem

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Driver is the memory disk. Its file names are mem:SIZE.
var Driver = driver.Driver{
	Name:      "mem",
	Doc:       "a sparse scratch disk in memory",
	Kind:      driver.Protocol,
	Config:    config{},
	Scratch:   true,
	Schemes:   []string{"mem"},
	ParseName: parseName,
	Open:      open,
}

type config struct {
	Size  *driver.Bytes `option:"size" help:"length of the disk in bytes"`
	Limit *driver.Bytes `option:"limit" help:"most memory that it takes, in bytes; without it all such disks share half of what there is"`
}

const (
	pageSize = 64 << 10
	// maxSize is the longest disk, in bytes. Nothing is allocated for length alone; the limit keeps
	// sums of offsets far from overflow.
	maxSize = 1 << 60
	shards  = 64
)

type page [pageSize]byte

// shard holds the pages whose number is its own index modulo shards.
type shard struct {
	sync.RWMutex
	pages map[int64]*page
}

type disk struct {
	driver.Leaf
	size   atomic.Int64
	limit  int64        // bytes of memory that it may take; 0: see allowed
	taken  atomic.Int64 // bytes of memory that it takes
	shards [shards]shard
}

var _ driver.Node = (*disk)(nil)

func newDisk(size int64) (*disk, error) {
	if size < 0 || size > maxSize {
		return nil, fmt.Errorf("mem: size %d is not between 0 and %d: %w", size, int64(maxSize),
			syscall.EFBIG)
	}
	d := &disk{}
	d.size.Store(size)
	for i := range d.shards {
		d.shards[i].pages = map[int64]*page{}
	}
	return d, nil
}

func parseName(name string, o *driver.Options) error {
	size, ok := strings.CutPrefix(name, "mem:")
	if !ok || size == "" {
		return fmt.Errorf("a memory disk is named by its size, as in mem:64M, not '%s'", name)
	}
	o.Set("size", size)
	return nil
}

func open(_ context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	if c.Size == nil {
		return nil, driver.Refuse("Parameter 'size' is missing")
	}
	d, err := newDisk(c.Size.Int())
	if err != nil {
		return nil, err
	}
	if c.Limit != nil {
		if d.limit = c.Limit.Int(); d.limit < pageSize {
			return nil, driver.Refuse("Parameter 'limit' must be %d at least", int64(pageSize))
		}
	}
	return d, nil
}

func (d *disk) Info() driver.Info {
	return driver.Info{Driver: "mem", Limits: driver.Limits{
		Size:       d.size.Load(),
		WriteTakes: driver.FUA,
		ZeroTakes:  driver.FUA | driver.MayUnmap | driver.NoFallback,
	}}
}

func (d *disk) shard(p int64) *shard { return &d.shards[p%shards] }

// inPages walks the n bytes of v from off on, page by page: number of the page, first byte in it,
// and the memory for it.
func inPages(v driver.Vec, off int64, do func(p, in int64, piece []byte)) {
	for _, piece := range v {
		for len(piece) > 0 {
			in := off % pageSize
			n := min(int64(len(piece)), pageSize-in)
			do(off/pageSize, in, piece[:n])
			piece, off = piece[n:], off+n
		}
	}
}

func (d *disk) ReadVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	inPages(v, off, func(p, in int64, piece []byte) {
		s := d.shard(p)
		s.RLock()
		defer s.RUnlock()
		if pg := s.pages[p]; pg != nil {
			copy(piece, pg[in:])
			return
		}
		clear(piece)
	})
	return nil
}

func (d *disk) WriteVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	if err := d.grow(off, v.Len()); err != nil {
		return err
	}
	var full error
	inPages(v, off, func(p, in int64, piece []byte) {
		if full == nil {
			full = d.writePage(p, in, piece)
		}
	})
	return full
}

// writePage writes a part of a page, from byte in on.
func (d *disk) writePage(p, in int64, piece []byte) error {
	s := d.shard(p)
	s.Lock()
	defer s.Unlock()
	pg := s.pages[p]
	if pg == nil {
		if err := d.take(); err != nil {
			return err
		}
		pg = new(page)
		s.pages[p] = pg
	}
	copy(pg[in:], piece)
	return nil
}

// grow makes the disk long enough for n bytes at off.
func (d *disk) grow(off, n int64) error {
	if off > maxSize-n {
		return syscall.EFBIG
	}
	for end := off + n; ; {
		size := d.size.Load()
		if end <= size || d.size.CompareAndSwap(size, end) {
			return nil
		}
	}
}

func (d *disk) Zero(_ context.Context, off, n int64, _ driver.Flags) error {
	if err := d.grow(off, n); err != nil {
		return err
	}
	d.free(off, off+n)
	return nil
}

func (d *disk) Discard(_ context.Context, off, n int64, _ driver.Flags) error {
	d.free(off, off+n)
	return nil
}

// free gives back the pages that lie wholly within off to end, and clears what is within of the
// others.
func (d *disk) free(off, end int64) {
	first, last := (off+pageSize-1)/pageSize, end/pageSize
	if first > last { // all within one page
		d.clear(last, off%pageSize, end%pageSize)
		return
	}
	if in := off % pageSize; in != 0 {
		d.clear(off/pageSize, in, pageSize)
	}
	if in := end % pageSize; in != 0 {
		d.clear(last, 0, in)
	}
	for i := range d.shards {
		d.giveBack(d.shards[i].drop(int64(i), first, last))
	}
}

func (d *disk) clear(p, from, to int64) {
	s := d.shard(p)
	s.Lock()
	defer s.Unlock()
	if pg := s.pages[p]; pg != nil {
		clear(pg[from:to])
	}
}

// drop forgets the pages from first to before last, and returns how many there were. It takes the
// shorter way: number by number, or through all there are.
func (s *shard) drop(index, first, last int64) int64 {
	s.Lock()
	defer s.Unlock()
	before := len(s.pages)
	if (last-first)/shards > int64(len(s.pages)) {
		for p := range s.pages {
			if first <= p && p < last {
				delete(s.pages, p)
			}
		}
		return int64(before - len(s.pages))
	}
	start := first + (index-first%shards+shards)%shards
	for p := start; p < last; p += shards {
		delete(s.pages, p)
	}
	return int64(before - len(s.pages))
}

func (d *disk) has(p int64) bool {
	s := d.shard(p)
	s.RLock()
	defer s.RUnlock()
	return s.pages[p] != nil
}

// statusPages is how many pages Status looks at one by one before it goes another way.
const statusPages = 1024

// Status tells pages from holes.
func (d *disk) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	first, end := off/pageSize, off+n
	data := d.has(first)
	p, stop := first+1, min(first+statusPages, (end+pageSize-1)/pageSize)
	for p < stop && d.has(p) == data {
		p++
	}
	if p == first+statusPages && !data {
		p = d.nextPage(p)
	}
	if p < (end+pageSize-1)/pageSize {
		end = p * pageSize
	}
	return driver.Extent{
		Off: off, Len: end - off, Allocated: true, Data: data, Zero: !data,
		Node: "mem", HostOff: off,
	}, nil
}

// nextPage is the number of the first page at p or behind it, or one behind the longest disk.
func (d *disk) nextPage(p int64) int64 {
	next := int64(maxSize / pageSize)
	for i := range d.shards {
		s := &d.shards[i]
		s.RLock()
		for q := range s.pages {
			if q >= p {
				next = min(next, q)
			}
		}
		s.RUnlock()
	}
	return next
}

func (d *disk) Truncate(_ context.Context, size int64, p driver.Prealloc, _ driver.Flags) error {
	if p != driver.PreallocOff {
		return driver.RefuseAs(syscall.ENOTSUP, "Unsupported preallocation mode '%s'", p)
	}
	if size > maxSize {
		return driver.RefuseAs(syscall.EFBIG, "Could not resize file: File too large")
	}
	if old := d.size.Swap(size); size < old {
		d.free(size, old)
	}
	return nil
}
