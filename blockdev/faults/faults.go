// Package faults is a filter that is a bad disk: it is slow, loses writes, tears them, and changes
// bits, while it says that all is well. It is there to try what finds such damage.
//
// Which requests it strikes is drawn from a seed: each sort of fault has a chance of one in so many
// requests, so that the same requests in the same order meet the same faults. Errors that are told
// are the part of blkdebug.
package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
)

// Driver is the filter.
var Driver = driver.Driver{
	Name:     "faults",
	Doc:      "a bad disk: late requests, lost and torn writes, flipped bits; for tests",
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

var _ driver.Node = (*filter)(nil)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	for name, n := range map[string]int64{
		"delay-ns": c.Delay, "lost-writes": c.Lost, "torn-writes": c.Torn,
		"corrupt-writes": c.Corrupt, "corrupt-reads": c.Misread,
	} {
		if n < 0 {
			return nil, driver.Refuse("%s is invalid", name)
		}
	}
	next, err := o.Child(ctx, c.File, driver.RoleFiltered)
	if err != nil {
		return nil, err
	}
	return &filter{
		Filter: driver.Filter{Next: next}, config: *c,
		random: rand.New(rand.NewPCG(uint64(c.Seed), 0)),
	}, nil
}

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
	if f.Delay == 0 {
		return nil
	}
	t := time.NewTimer(time.Duration(f.Delay))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for %v: %w", Driver.Name, time.Duration(f.Delay),
			context.Cause(ctx))
	}
}

// ReadVec reads, and may change a bit of what was read.
func (f *filter) ReadVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.wait(ctx); err != nil {
		return err
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

// WriteVec writes all, a part, something else, or nothing, and says that it wrote.
func (f *filter) WriteVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	n := v.Len()
	if !f.touches(off, n) {
		return f.Next.WriteVec(ctx, v, off, fl)
	}
	unit := max(driver.SectorSize, f.Next.Info().RequestAlign)
	if _, ok := f.strikes(f.Lost, n); ok {
		return nil
	}
	if stored, ok := f.strikes(f.Torn, n/unit); ok {
		if stored == 0 {
			return nil
		}
		return f.Next.WriteVec(ctx, v.Slice(0, stored*unit), off, fl)
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
