// Package faults is a filter that is a bad disk: it is slow, loses writes, tears them, and changes
// bits, while it says that all is well; or it fails in the midst of a transfer. It is there to try
// what finds such damage.
//
// Which requests it strikes is drawn from a seed: each sort of fault has a chance of one in so many
// requests, so that the same requests in the same order meet the same faults. Other errors that are
// told are the part of blkdebug. A reopen changes the chances while the disk is in use.
package faults

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// Driver is the filter.
var Driver = driver.Driver{
	Name:     "faults",
	Doc:      "a bad disk: late requests, lost, torn and short writes, flipped bits; for tests",
	Kind:     driver.FilterKind,
	Resolves: driver.OverFormat,
	Config:   config{},
	Open:     open,
}

type config struct {
	File    driver.Child  `option:"file" help:"the disk that seems to be bad"`
	Delay   int64         `option:"delay-ns" default:"0" help:"time that each read, write and flush takes longer, in nanoseconds"`
	Lost    int64         `option:"lost-writes" default:"0" help:"of so many writes one is not stored; 0 for none"`
	Torn    int64         `option:"torn-writes" default:"0" help:"of so many writes one is stored in part, up to some sector; 0 for none"`
	Corrupt int64         `option:"corrupt-writes" default:"0" help:"of so many writes one is stored with a wrong bit; 0 for none"`
	Short   int64         `option:"short-writes" default:"0" help:"of so many writes one is stored in part, up to some sector, and fails; 0 for none"`
	Cut     int64         `option:"short-reads" default:"0" help:"of so many reads one fails behind its first part; 0 for none"`
	Misread int64         `option:"corrupt-reads" default:"0" help:"of so many reads one gives a wrong bit; 0 for none"`
	Seed    int64         `option:"seed" default:"1" help:"where the numbers begin that say which requests are struck"`
	Offset  driver.Bytes  `option:"offset" default:"0" help:"only requests that touch what lies from here on are struck"`
	Size    *driver.Bytes `option:"size" help:"how many bytes that is, without it all"`
}

type filter struct {
	driver.Filter
	config
	mu     sync.Mutex
	random *rand.Rand
}

var (
	_ driver.Node     = (*filter)(nil)
	_ driver.Reopener = (*filter)(nil)
)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	if err := c.check(); err != nil {
		return nil, err
	}
	next, err := o.Child(ctx, c.File, driver.RoleFiltered)
	if err != nil {
		return nil, err
	}
	return &filter{
		Filter: driver.Filter{Next: next}, config: *c,
		random: newRandom(c.Seed),
	}, nil
}

func (c *config) check() error {
	for name, n := range map[string]int64{
		"delay-ns": c.Delay, "lost-writes": c.Lost, "torn-writes": c.Torn, "short-writes": c.Short,
		"corrupt-writes": c.Corrupt, "corrupt-reads": c.Misread, "short-reads": c.Cut,
	} {
		if n < 0 {
			return driver.Refuse("%s cannot be negative", name)
		}
	}
	return nil
}

// Prepare lets faults begin and end while the disk is open. With another seed the numbers begin
// anew.
func (f *filter) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	c := o.Config.(*config)
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	return func() { // nothing else goes on meanwhile
		if c.Seed != f.Seed {
			f.random = newRandom(c.Seed)
		}
		f.config = *c
	}, nil, nil
}

func newRandom(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 0)) }

// Info is that of the node below.
func (f *filter) Info() driver.Info {
	info := f.Next.Info()
	info.Driver = Driver.Name
	return info
}

// touches says whether a request may be struck.
func (f *filter) touches(off, n int64) bool {
	from := f.Offset.Int()
	return off+n > from && (f.Size == nil || off-from < f.Size.Int())
}

// strikes says whether a fault that one in so many requests has is drawn, and a number below n that
// says where in the request.
func (f *filter) strikes(one, n int64) (at int64, ok bool) {
	if one == 0 || n == 0 {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.Int64N(n), f.random.Int64N(one) == 0
}

// wait takes the time that a request takes longer, or fails when ctx ends first.
func (f *filter) wait(ctx context.Context) error {
	return wait.Pass(ctx, Driver.Name, time.Duration(f.Delay))
}

// errShort is a transfer that ended early and is told to have.
var errShort error = &driver.Refusal{Text: "the transfer was short", Err: syscall.EIO}

// part does a part of a request of so many bytes, up to some multiple of the length that the disk
// below takes, and fails.
func (f *filter) part(v driver.Vec, n int64, do func(driver.Vec) error) error {
	if n > 0 {
		if err := do(v.Slice(0, n)); err != nil {
			return err
		}
	}
	return errShort
}

// unit is the least that the disk below stores as a whole, in bytes.
func (f *filter) unit() int64 { return max(driver.SectorSize, f.Next.Info().RequestAlign) }

// ReadVec reads, and may change a bit of what was read, or fail behind a part of it.
func (f *filter) ReadVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	if n := v.Len(); f.touches(off, n) {
		unit := f.unit()
		if read, ok := f.strikes(f.Cut, max(1, n/unit)); ok {
			return f.part(v, read*unit, func(v driver.Vec) error {
				return f.Next.ReadVec(ctx, v, off, fl)
			})
		}
	}
	if err := f.Next.ReadVec(ctx, v, off, fl); err != nil || !f.touches(off, v.Len()) {
		return err
	}
	if bit, ok := f.strikes(f.Misread, 8*v.Len()); ok {
		flip(v, bit)
	}
	return nil
}

// flip changes a bit.
func flip(v driver.Vec, bit int64) { v.Slice(bit/8, 1)[0][0] ^= 1 << (bit % 8) }

// WriteVec writes all, a part, something else, or nothing, and says that it wrote, unless the write
// is to be short.
func (f *filter) WriteVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	n := v.Len()
	if !f.touches(off, n) {
		return f.Next.WriteVec(ctx, v, off, fl)
	}
	unit := f.unit()
	if _, ok := f.strikes(f.Lost, n); ok {
		return nil
	}
	if stored, ok := f.strikes(f.Torn, n/unit); ok {
		if stored == 0 {
			return nil
		}
		return f.Next.WriteVec(ctx, v.Slice(0, stored*unit), off, fl)
	}
	if stored, ok := f.strikes(f.Short, max(1, n/unit)); ok {
		return f.part(v, stored*unit, func(v driver.Vec) error {
			return f.Next.WriteVec(ctx, v, off, fl)
		})
	}
	if bit, ok := f.strikes(f.Corrupt, 8*n); ok {
		return f.writeWrong(ctx, v, off, fl, bit)
	}
	return f.Next.WriteVec(ctx, v, off, fl)
}

// mostCopied is how much of a write is copied to have a bit of it changed.
const mostCopied = 1 << 20

// writeWrong writes with a wrong bit. What belongs to the caller is left as it is.
func (f *filter) writeWrong(ctx context.Context, v driver.Vec, off int64, fl driver.Flags,
	bit int64,
) error {
	for at, piece := range v.Pieces(mostCopied) {
		if in := bit - 8*at; in >= 0 && in < 8*piece.Len() {
			buf := driver.Aligned(piece.Len(), f.Next.Info().MemAlign)
			piece.CopyTo(buf)
			piece = driver.Vec{buf}
			flip(piece, in)
		}
		if err := f.Next.WriteVec(ctx, piece, off+at, fl); err != nil {
			return err
		}
	}
	return nil
}

// Flush is late as well.
func (f *filter) Flush(ctx context.Context) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.Next.Flush(ctx)
}
