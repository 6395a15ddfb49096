package job

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"sync"

	"github.com/blksh/blksh/verify/fio"
)

// rewritten keeps count of the blocks of a job that writes blocks more than once: each is judged by
// the last write to it, which says its number in the header.
type rewritten struct {
	// judged are the blocks that were judged, and replaced those that were found to be of a later
	// write than the one whose turn it was. One that is never judged is of another job.
	judged, replaced blockSet
	// bad are those that were told of. An earlier write that is still there is intact when it is
	// its turn, and bad when it is that of the write that was lost.
	bad blockSet
	// many says that there are more writes than short headers can tell apart.
	many bool
}

func newRewritten(l *fio.Layout) *rewritten {
	unit := int64(max(l.BlockLen, 1))
	return &rewritten{
		judged: blockSet{unit: unit}, replaced: blockSet{unit: unit}, bad: blockSet{unit: unit},
		many: l.TimeBased || l.Size/int64(l.MinBlock) > math.MaxInt16/int64(l.Loops),
	}
}

// left lists the blocks that were found to be replaced and by nothing that the job wrote.
func (r *rewritten) left() (list []int64) {
	for pos := range r.replaced.all {
		if !r.judged.has(pos) {
			list = append(list, pos)
		}
	}
	return list
}

// reset forgets all blocks, when nobody judges any.
func (r *rewritten) reset() {
	for _, s := range []*blockSet{&r.judged, &r.replaced, &r.bad} {
		clear(s.pages)
	}
}

// A blockSet is a set of blocks, by their offsets, which are multiples of unit from some offset on.
// It has a bit for each block near one that is in it. Any goroutine may use it.
type blockSet struct {
	unit  int64
	mu    sync.Mutex
	pages map[int64]*blockPage
	phase int64 // of all offsets
}

const blockPageBits = 1 << 15

type blockPage [blockPageBits / 64]uint64

// at finds the bit of a block.
func (s *blockSet) at(pos int64) (page int64, word int, bit uint64) {
	n := pos / s.unit
	return n / blockPageBits, int(n % blockPageBits / 64), 1 << (n % 64)
}

// add puts a block into the set, and reports false if it was in there.
func (s *blockSet) add(pos int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil {
		s.pages, s.phase = map[int64]*blockPage{}, pos%s.unit
	}
	page, word, bit := s.at(pos)
	p := s.pages[page]
	if p == nil {
		p = new(blockPage)
		s.pages[page] = p
	}
	added := p[word]&bit == 0
	p[word] |= bit
	return added
}

func (s *blockSet) has(pos int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	page, word, bit := s.at(pos)
	p := s.pages[page]
	return p != nil && p[word]&bit != 0
}

// all yields all blocks in ascending order; nobody adds any meanwhile.
func (s *blockSet) all(yield func(pos int64) bool) {
	for _, n := range slices.Sorted(maps.Keys(s.pages)) {
		for i, word := range s.pages[n] {
			for ; word != 0; word &= word - 1 {
				block := n*blockPageBits + int64(i*64+bits.TrailingZeros64(word))
				if !yield(block*s.unit + s.phase) {
					return
				}
			}
		}
	}
}
