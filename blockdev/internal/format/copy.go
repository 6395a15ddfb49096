package format

import (
	"context"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// mergeReads is the length of data up to which what is before and behind it is read in one go, in
// bytes.
const mergeReads = 16 << 10

// maxPieces is how many pieces of memory one system call takes, less two for what is copied around.
const maxPieces = 1024 - 2

// zeroAround makes new clusters zero at once, where what would be copied around the data reads as
// zeroes and the file can do that without writing it out; zeroes that a Transform changed are none.
// In clusters that keep their place only what is around the data: the rest may hold what a crash
// must not lose.
func (i *Image) zeroAround(ctx context.Context, list []*Allocation) error {
	if i.Transform != nil || i.Data.Info().ZeroTakes&driver.NoFallback == 0 {
		return nil
	}
	for _, a := range list {
		if !a.copies() {
			continue
		}
		zero, err := i.readsZero(ctx, Span{a.Guest + a.Head.Off, a.Head.Len},
			Span{a.Guest + a.Tail.Off, a.Tail.Len})
		if err != nil {
			return err
		}
		if !zero {
			continue
		}
		parts := []Span{{a.Head.Off, a.Tail.End() - a.Head.Off}}
		if a.InPlace {
			parts = []Span{a.Head, a.Tail}
		}
		done := true
		for _, p := range parts {
			if p.Len == 0 || !done {
				continue
			}
			var err error
			if done, err = i.zeroSpace(ctx, a.Host+p.Off, p.Len); err != nil {
				return err
			}
		}
		a.copied = done
	}
	return nil
}

// zeroSpace makes a part of the file zero, if that can be had without writing zeroes.
func (i *Image) zeroSpace(ctx context.Context, off, n int64) (done bool, err error) {
	if err := i.guardData(ctx, off, n); err != nil {
		return false, err
	}
	if err := i.Fire(ctx, driver.EvClusterAllocSpace); err != nil {
		return false, err
	}
	err = i.Data.Zero(ctx, off, n, driver.NoFallback)
	if errors.Is(err, driver.ErrNotSupported) || errors.Is(err, syscall.EAGAIN) {
		return false, nil
	}
	return err == nil, err
}

// guardData takes the lock for Guard.
func (i *Image) guardData(ctx context.Context, off, n int64) error {
	if err := i.Lock(ctx); err != nil {
		return err
	}
	defer i.Unlock()
	return i.Guard(ctx, off, n)
}

// readsZero says whether guest bytes are known to read as zeroes, without reading them. Unknown is
// false.
func (i *Image) readsZero(ctx context.Context, parts ...Span) (bool, error) {
	for _, p := range parts {
		for p.Len > 0 {
			e, _, err := i.mapped(ctx, p.Off, p.Len)
			if err != nil || !e.Zero {
				return false, err
			}
			p.Off, p.Len = p.Off+e.Len, p.Len-e.Len
		}
	}
	return true, nil
}

// mergeable is the allocation whose data and copies make one write, nil if there is none.
func mergeable(list []*Allocation, off int64, v driver.Vec) *Allocation {
	for _, a := range list {
		if a.copies() && a.Guest+a.Head.End() == off && a.Guest+a.Tail.Off == off+v.Len() &&
			len(v) <= maxPieces {
			return a
		}
	}
	return nil
}

// CopyAround copies what an allocation must keep of the old contents, together with its data if
// that was not written yet.
func (i *Image) CopyAround(ctx context.Context, a *Allocation, data driver.Vec) error {
	if !a.copies() {
		return nil
	}
	between := a.Tail.Off - a.Head.End()
	n := a.Head.Len + a.Tail.Len
	oneRead := a.Head.Len > 0 && a.Tail.Len > 0 && between <= mergeReads
	if oneRead {
		n += between
	}
	buf := i.Buffers.Get(n)
	defer i.Buffers.Put(buf)
	head, tail := (*buf)[:a.Head.Len], (*buf)[n-a.Tail.Len:]
	var err error
	if oneRead {
		err = i.readOld(ctx, *buf, a.Guest+a.Head.Off)
	} else if err = i.readOld(ctx, head, a.Guest+a.Head.Off); err == nil {
		err = i.readOld(ctx, tail, a.Guest+a.Tail.Off)
	}
	if err != nil {
		return err
	}
	if data == nil {
		if err := i.writeCopy(ctx, driver.Vec{head}, a, a.Head.Off); err != nil {
			return err
		}
		return i.writeCopy(ctx, driver.Vec{tail}, a, a.Tail.Off)
	}
	all := make(driver.Vec, 0, len(data)+2)
	all = append(append(append(all, head), data...), tail)
	if err := i.Fire(ctx, driver.EvWriteAIO); err != nil {
		return err
	}
	return i.writeCopy(ctx, all, a, a.Head.Off)
}

func (i *Image) readOld(ctx context.Context, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	if err := i.Fire(ctx, driver.EvCowRead); err != nil {
		return err
	}
	return i.ReadVec(ctx, driver.Vec{p}, off, 0)
}

// writeCopy writes guest bytes to the clusters of an allocation, off bytes into the first.
func (i *Image) writeCopy(ctx context.Context, v driver.Vec, a *Allocation, off int64) error {
	n := v.Len()
	if n == 0 {
		return nil
	}
	if err := i.guardData(ctx, a.Host+off, n); err != nil {
		return err
	}
	if err := i.Fire(ctx, driver.EvCowWrite); err != nil {
		return err
	}
	return i.store(ctx, v, a.Guest+off, a.Host+off)
}
