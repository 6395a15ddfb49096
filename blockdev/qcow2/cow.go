package qcow2

import (
	"context"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// mergeReads is the length of data up to which what is before and behind it is read in one go, in bytes.
const mergeReads = 16 << 10

// maxPieces is how many pieces of memory one system call takes, less two for what is copied around.
const maxPieces = 1024 - 2

// zeroAround makes new clusters zero at once, where what would be copied around the data reads as zeroes and the file can do that without
// writing it out. In clusters that keep their place only what is around the data: the rest may hold what a crash must not lose.
func (q *image) zeroAround(ctx context.Context, links []*link) error {
	if q.file.Info().ZeroTakes&blockdev.NoFallback == 0 {
		return nil
	}
	for _, l := range links {
		if !l.copies() {
			continue
		}
		zero, err := q.readsZero(ctx, span{l.guest + l.head.off, l.head.n}, span{l.guest + l.tail.off, l.tail.n})
		if err != nil {
			return err
		}
		if !zero {
			continue
		}
		parts := []span{{l.head.off, l.tail.end() - l.head.off}}
		if l.keep {
			parts = []span{l.head, l.tail}
		}
		done := true
		for _, p := range parts {
			if p.n == 0 || !done {
				continue
			}
			var err error
			if done, err = q.zeroSpace(ctx, l.host+p.off, p.n); err != nil {
				return err
			}
		}
		l.copied = done
	}
	return nil
}

// zeroSpace makes a part of the file zero, if that can be had without writing zeroes.
func (q *image) zeroSpace(ctx context.Context, off, n int64) (done bool, err error) {
	if err := q.guardData(ctx, off, n); err != nil {
		return false, err
	}
	if err := q.fire(ctx, blockdev.EvClusterAllocSpace); err != nil {
		return false, err
	}
	err = q.file.Zero(ctx, off, n, blockdev.NoFallback)
	if errors.Is(err, blockdev.ErrNotSupported) || errors.Is(err, syscall.EAGAIN) {
		return false, nil
	}
	return err == nil, err
}

// guardData is guardMetadata for who has not got the lock.
func (q *image) guardData(ctx context.Context, off, n int64) error {
	if err := q.lock(ctx); err != nil {
		return err
	}
	defer q.mu.Unlock()
	return q.guardMetadata(ctx, 0, off, n)
}

// readsZero says whether guest bytes are known to read as zeroes, without reading them. Unknown is false.
func (q *image) readsZero(ctx context.Context, parts ...span) (bool, error) {
	for _, p := range parts {
		for p.n > 0 {
			e, err := q.mapped(ctx, p.off, p.n)
			if err != nil || !e.Zero {
				return false, err
			}
			p.off, p.n = p.off+e.Len, p.n-e.Len
		}
	}
	return true, nil
}

// mergeable is the link whose data and copies make one write, nil if there is none.
func (q *image) mergeable(links []*link, off int64, v blockdev.Vec) *link {
	for _, l := range links {
		if l.copies() && l.guest+l.head.end() == off && l.guest+l.tail.off == off+v.Len() && len(v) <= maxPieces {
			return l
		}
	}
	return nil
}

// copyAround copies what a link must keep of the old contents, together with its data if that was not written yet.
func (q *image) copyAround(ctx context.Context, l *link, data blockdev.Vec) error {
	if !l.copies() {
		return nil
	}
	between := l.tail.off - l.head.end()
	n := l.head.n + l.tail.n
	oneRead := l.head.n > 0 && l.tail.n > 0 && between <= mergeReads
	if oneRead {
		n += between
	}
	buf := q.codec.buffer(n)
	defer q.codec.recycle(buf)
	head, tail := (*buf)[:l.head.n], (*buf)[n-l.tail.n:]
	var err error
	if oneRead {
		err = q.readOld(ctx, *buf, l.guest+l.head.off)
	} else if err = q.readOld(ctx, head, l.guest+l.head.off); err == nil {
		err = q.readOld(ctx, tail, l.guest+l.tail.off)
	}
	if err != nil {
		return err
	}
	if data == nil {
		if err := q.writeCopy(ctx, blockdev.Vec{head}, l.host+l.head.off); err != nil {
			return err
		}
		return q.writeCopy(ctx, blockdev.Vec{tail}, l.host+l.tail.off)
	}
	all := make(blockdev.Vec, 0, len(data)+2)
	all = append(append(append(all, head), data...), tail)
	if err := q.fire(ctx, blockdev.EvWriteAIO); err != nil {
		return err
	}
	return q.writeCopy(ctx, all, l.host+l.head.off)
}

func (q *image) readOld(ctx context.Context, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	if err := q.fire(ctx, blockdev.EvCowRead); err != nil {
		return err
	}
	return q.ReadVec(ctx, blockdev.Vec{p}, off, 0)
}

func (q *image) writeCopy(ctx context.Context, v blockdev.Vec, off int64) error {
	n := v.Len()
	if n == 0 {
		return nil
	}
	if err := q.guardData(ctx, off, n); err != nil {
		return err
	}
	if err := q.fire(ctx, blockdev.EvCowWrite); err != nil {
		return err
	}
	return q.file.WriteVec(ctx, v, off, 0)
}
