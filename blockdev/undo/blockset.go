package undo

// blockSet is a set of block numbers. It takes memory for what is in it: a bit a block, in pages.
type blockSet map[int64]*[64]uint64

// page is how many blocks one element of the map tells of.
const page = 64 * 64

func (s blockSet) has(block int64) bool {
	p := s[block/page]
	return p != nil && p[block%page/64]&(1<<(block%64)) != 0
}

func (s *blockSet) add(block int64) {
	if *s == nil {
		*s = blockSet{}
	}
	p := (*s)[block/page]
	if p == nil {
		p = new([64]uint64)
		(*s)[block/page] = p
	}
	p[block%page/64] |= 1 << (block % 64)
}
