package nbdwire

import "slices"

// maxPieces is how many separate pieces of one read may have arrived. Servers send theirs more or
// less in order, and pieces that touch become one; only one that means harm needs more.
const maxPieces = 1024

// Coverage is the part of a read that has arrived. Its chunks may come in any order, but no byte
// may come twice, and at the end none may be missing.
type Coverage struct{ pieces []piece }

type piece struct{ from, to uint64 }

// Reset forgets everything and keeps the memory.
func (c *Coverage) Reset() { c.pieces = c.pieces[:0] }

// Add notes that n bytes from off have come (n > 0), offsets counted as the caller likes. It is an
// error if one of them had come before.
func (c *Coverage) Add(off, n uint64) error {
	to := off + n
	i, _ := slices.BinarySearchFunc(c.pieces, off, func(p piece, off uint64) int {
		if p.to < off {
			return -1
		}
		return 1
	})
	// c.pieces[i] is the first that ends at off or behind it.
	if i < len(c.pieces) && c.pieces[i].from < to && c.pieces[i].to > off ||
		i+1 < len(c.pieces) && c.pieces[i+1].from < to {
		return protocolError("%d bytes at %d came twice", n, off)
	}
	joinsLeft := i < len(c.pieces) && c.pieces[i].to == off
	right := i
	if joinsLeft {
		right++
	}
	joinsRight := right < len(c.pieces) && c.pieces[right].from == to
	switch {
	case joinsLeft && joinsRight:
		c.pieces[i].to = c.pieces[right].to
		c.pieces = slices.Delete(c.pieces, right, right+1)
	case joinsLeft:
		c.pieces[i].to = to
	case joinsRight:
		c.pieces[right].from = off
	case len(c.pieces) == maxPieces:
		return protocolError("a read came in more than %d pieces", maxPieces)
	default:
		c.pieces = slices.Insert(c.pieces, i, piece{off, to})
	}
	return nil
}

// Whole says whether all of n bytes from off have come, n > 0.
func (c *Coverage) Whole(off, n uint64) bool {
	return len(c.pieces) == 1 && c.pieces[0] == piece{off, off + n}
}
