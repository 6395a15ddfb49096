package commands

import (
	"context"
	"encoding/binary"
	"hash"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/merkle"
)

// leafing cuts the pieces of a part of a range, which begins with a leaf, into leaves.
type leafing struct {
	leaf  func(data []byte) // of merkle.Leaf bytes, or less at the end of the range
	holes func(n int64)     // so many leaves that are zero
	begun []byte            // of a leaf of which more is to come
}

func (l *leafing) take(p stream.Piece) {
	data := p.Data
	for n := p.Len; n > 0; {
		some := min(n, int64(merkle.Leaf-len(l.begun)))
		switch whole := some == merkle.Leaf; {
		case whole && data == nil:
			some = n - n%merkle.Leaf
			l.holes(some / merkle.Leaf)
		case whole:
			l.leaf(data[:some])
		case data == nil:
			l.begun = append(l.begun, zeroes[:some]...)
		default:
			l.begun = append(l.begun, data[:some]...)
		}
		if data != nil {
			data = data[some:]
		}
		if n -= some; len(l.begun) == merkle.Leaf {
			l.end()
		}
	}
}

// end ends a leaf that is shorter than others, or just whole.
func (l *leafing) end() {
	if len(l.begun) > 0 {
		l.leaf(l.begun)
		l.begun = l.begun[:0]
	}
}

// treePart is the tree of a part of a range.
type treePart struct {
	leafing
	tree *merkle.Tree
	part merkle.Part
}

func newTreePart(kind checksum, first int64) *treePart {
	t := &treePart{tree: merkle.New(kind.make), part: merkle.Part{First: first}}
	t.leaf = func(data []byte) { t.tree.Add(&t.part, data) }
	t.holes = func(n int64) { t.tree.AddZeroes(&t.part, n) }
	return t
}

// sumTree is the sum of a tree whose leaves count from an offset on. That of a shard is made of
// several subtrees.
func (c *sharded) sumTree(
	ctx context.Context, s *session.Session, im *session.Image, kind checksum, base int64,
) (event.Event, error) {
	all := newTreePart(kind, (c.Off-base)/merkle.Leaf)
	err := gather(ctx, s, im, c.scope, "sum", merkle.Leaf, false,
		func(_ context.Context, part **treePart, p stream.Piece) error {
			if *part == nil {
				*part = newTreePart(kind, (p.Off-base)/merkle.Leaf)
			}
			(*part).take(p)
			return nil
		}, func(part **treePart) error {
			if *part == nil {
				return nil
			}
			(*part).end()
			return all.tree.Join(&all.part, &(*part).part)
		})
	if err != nil {
		return nil, err
	}
	name := event.TreeSum + kind.name
	if c.Shard.N > 0 {
		return event.SumPart{
			Range: c.Range, Algorithm: name, Leaf: merkle.Leaf,
			First: all.part.First, Leaves: all.part.Leaves, Nodes: all.part.Nodes,
		}, nil
	}
	root, err := all.tree.Root(&all.part)
	return event.Sum{Range: c.Range, Algorithm: name, Sum: root}, err
}

// blocksPart is the hashes of a part's blocks: a run of zeroes, and behind it those in sums.
type blocksPart struct {
	leafing
	h      hash.Hash
	zeroes int64
	sums   []byte
}

func newBlocksPart(kind checksum, zero []byte) *blocksPart {
	b := &blocksPart{h: kind.make()}
	b.leaf = func(data []byte) {
		if len(data) == merkle.Leaf && verify.IsZero(data) {
			b.sums = append(b.sums, zero...)
			return
		}
		b.h.Reset()
		b.h.Write(data)
		b.sums = b.h.Sum(b.sums)
	}
	b.holes = func(n int64) {
		if len(b.sums) == 0 {
			b.zeroes += n
			return
		}
		for range n { // those of one part of data
			b.sums = append(b.sums, zero...)
		}
	}
	return b
}

// sumBlocks is the sum of blksum: the hash of the hashes of all blocks of 64 KiB, of which the last
// may be shorter, and of the length in bytes as 64 bits, little end first.
func (c *sharded) sumBlocks(
	ctx context.Context, s *session.Session, im *session.Image, kind checksum,
) (event.Event, error) {
	h := kind.make()
	h.Write(zeroes[:merkle.Leaf])
	zero := h.Sum(nil)
	h.Reset()
	run := make([]byte, 0, 1024*len(zero))
	for len(run) < cap(run) {
		run = append(run, zero...)
	}
	err := gather(ctx, s, im, c.scope, "sum", merkle.Leaf, false,
		func(_ context.Context, part **blocksPart, p stream.Piece) error {
			if *part == nil {
				*part = newBlocksPart(kind, zero)
			}
			(*part).take(p)
			return nil
		}, func(part **blocksPart) error {
			if *part == nil {
				return nil
			}
			(*part).end()
			err := inParts(ctx, 0, (*part).zeroes*int64(len(zero)), int64(len(run)),
				func(_, n int64) error {
					h.Write(run[:n])
					return nil
				})
			h.Write((*part).sums)
			return err
		})
	if err != nil {
		return nil, err
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(c.Len)))
	return event.Sum{Range: c.Range, Algorithm: kind.name, Sum: h.Sum(nil)}, nil
}
