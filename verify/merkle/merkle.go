// Package merkle sums up content in a tree of hashes, so that parts of it can be summed up apart,
// and zeroes without looking at them.
//
// Content is cut into leaves of [Leaf] bytes, of which the last may be shorter. With H a hash
// function, || for one thing behind the other and D[n] for a list of n leaves,
//
//	T(D[0]) = H()
//	T(D[1]) = H(0x00 || the bytes of the leaf)
//	T(D[n]) = H(0x01 || T(the first k leaves) || T(the rest))
//
// where k is the largest power of two below n. That is the tree of RFC 6962 (Certificate
// Transparency, section 2.1) with leaves of a fixed length. The first byte tells leaves from inner
// nodes, so that no content has the sum of another one unless H has collisions; the length needs no
// place of its own, since the shape of the tree and the last leaf tell it. All that matters is the
// bytes: not how they are stored, nor who read which part.
//
// A [Part] is what is known of a run of leaves: the hashes of the largest subtrees that have no
// other leaves, at most two for each power of two. Parts that touch are joined, in any grouping,
// and the one of all leaves has the root.
package merkle

import (
	"errors"
	"fmt"
	"hash"
	"math/bits"

	"github.com/blksh/blksh/verify"
)

// Leaf is the length of a leaf, in bytes.
const Leaf = 64 << 10

// Leaves is how many leaves n bytes have.
func Leaves(n int64) int64 { return n/Leaf + min(n%Leaf, 1) }

// mostLevel is the level of the largest subtree: content has less than 2^63 bytes.
const mostLevel = 63 - 16

// The first byte of what is hashed.
var leafMark, nodeMark = []byte{0}, []byte{1}

// zeroLeaf is what a leaf of a hole holds. Nobody writes to it.
var zeroLeaf [Leaf]byte

// Tree makes parts with one hash function. It is not for several goroutines at once.
type Tree struct {
	h hash.Hash
	// zeroes are the hashes of subtrees of nothing but zeroes, by their level, as far as they were
	// asked for.
	zeroes [][]byte
}

// New is a tree of hashes that h makes.
func New(h func() hash.Hash) *Tree { return &Tree{h: h()} }

// hash is H(mark || a || b).
func (t *Tree) hash(mark, a, b []byte) []byte {
	t.h.Reset()
	t.h.Write(mark)
	t.h.Write(a)
	t.h.Write(b)
	return t.h.Sum(nil)
}

// zero is the hash of a subtree of zeroes with 1<<level leaves.
func (t *Tree) zero(level int) []byte {
	for len(t.zeroes) <= level {
		if n := len(t.zeroes); n == 0 {
			t.zeroes = append(t.zeroes, t.hash(leafMark, zeroLeaf[:], nil))
		} else {
			t.zeroes = append(t.zeroes, t.hash(nodeMark, t.zeroes[n-1], t.zeroes[n-1]))
		}
	}
	return t.zeroes[level]
}

// Node is the hash of a subtree with 1<<Level leaves, of which the first has a number that is a
// multiple of that.
type Node struct {
	Level int             `json:"level"`
	Sum   verify.HexBytes `json:"sum"`
}

// Part is a run of leaves.
type Part struct {
	// First is the number of its first leaf, Leaves how many it has.
	First  int64 `json:"first"`
	Leaves int64 `json:"leaves"`
	// Nodes are the subtrees that it is made of, from left to right.
	Nodes []Node `json:"nodes"`
}

// Add adds a leaf. Only the last of all may be shorter than others.
func (t *Tree) Add(p *Part, data []byte) {
	if len(data) == Leaf && verify.IsZero(data) {
		t.push(p, Node{Sum: t.zero(0)})
		return
	}
	t.push(p, Node{Sum: t.hash(leafMark, data, nil)})
}

// AddZeroes adds n leaves of nothing but zeroes, in a time that does not depend on n.
func (t *Tree) AddZeroes(p *Part, n int64) {
	for n > 0 {
		level := min(bits.TrailingZeros64(uint64(p.First+p.Leaves)), bits.Len64(uint64(n))-1)
		t.push(p, Node{Level: level, Sum: t.zero(level)})
		n -= 1 << level
	}
}

// Join adds the leaves of next, which begin where those of p end.
func (t *Tree) Join(p, next *Part) error {
	if p.First+p.Leaves != next.First {
		return fmt.Errorf("a part with the leaves from %d on does not follow one up to %d",
			next.First, p.First+p.Leaves)
	}
	for _, n := range next.Nodes {
		t.push(p, n)
	}
	return nil
}

// push adds a subtree, and joins those that are the two halves of one.
func (t *Tree) push(p *Part, n Node) {
	p.Leaves += 1 << n.Level
	end := p.First + p.Leaves
	for last := len(p.Nodes) - 1; last >= 0 && p.Nodes[last].Level == n.Level &&
		end&(1<<(n.Level+1)-1) == 0; last-- {
		n = Node{Level: n.Level + 1, Sum: t.hash(nodeMark, p.Nodes[last].Sum, n.Sum)}
		p.Nodes = p.Nodes[:last]
	}
	p.Nodes = append(p.Nodes, n)
}

// Root is the hash of all leaves, which p has from the first on.
func (t *Tree) Root(p *Part) ([]byte, error) {
	if p.First != 0 {
		return nil, fmt.Errorf("the first %d leaves are missing", p.First)
	}
	if len(p.Nodes) == 0 {
		return t.hash(nil, nil, nil), nil
	}
	last := len(p.Nodes) - 1
	root := []byte(p.Nodes[last].Sum)
	for i := last - 1; i >= 0; i-- {
		root = t.hash(nodeMark, p.Nodes[i].Sum, root)
	}
	return root, nil
}

// errPart is what is wrong with parts that nobody can have made.
var errPart = errors.New("not the hashes of a run of leaves")

// Check refuses a part from elsewhere that is none, or whose hashes are of another length than
// size.
func (p *Part) Check(size int) error {
	if p.First < 0 || p.Leaves < 0 || p.First > 1<<mostLevel || p.Leaves > 1<<mostLevel-p.First {
		return fmt.Errorf("%d leaves from %d on: %w", p.Leaves, p.First, errPart)
	}
	if len(p.Nodes) > 2*(mostLevel+1) {
		return fmt.Errorf("%d subtrees: %w", len(p.Nodes), errPart)
	}
	at := p.First
	for _, n := range p.Nodes {
		switch {
		case n.Level < 0 || n.Level > mostLevel || at&(1<<n.Level-1) != 0 ||
			1<<n.Level > p.First+p.Leaves-at:
			return fmt.Errorf("a subtree of level %d at leaf %d: %w", n.Level, at, errPart)
		case len(n.Sum) != size:
			return fmt.Errorf("a hash of %d bytes, not %d: %w", len(n.Sum), size, errPart)
		}
		at += 1 << n.Level
	}
	if at != p.First+p.Leaves {
		return fmt.Errorf("%d of %d leaves: %w", at-p.First, p.Leaves, errPart)
	}
	return nil
}
