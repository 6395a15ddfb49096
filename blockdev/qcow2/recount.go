package qcow2

// countPage is how many clusters share a page of counts.
const countPage = 1 << 16

// recount has the references per cluster as a check finds them. Pages exist only where something
// was found, and a count takes a byte unless it is very large, so that memory goes with what is
// used and not with the length of a sparse file.
type recount struct {
	pages map[int64]*[countPage]uint8
	large map[int64]uint64 // counts from 255 on

	last   *[countPage]uint8 // the page asked for last, which mostly is the next as well
	lastAt int64
}

// page is the one that cluster is in, nil if there is none.
func (c *recount) page(cluster int64) *[countPage]uint8 {
	at := cluster / countPage
	if c.last == nil || c.lastAt != at {
		c.last, c.lastAt = c.pages[at], at
	}
	return c.last
}

func (c *recount) get(cluster int64) uint64 {
	p := c.page(cluster)
	if p == nil {
		return 0
	}
	if n := p[cluster%countPage]; n < 255 {
		return uint64(n)
	}
	return c.large[cluster]
}

func (c *recount) set(cluster int64, n uint64) {
	p := c.page(cluster)
	if p == nil {
		if c.pages == nil {
			c.pages, c.large = map[int64]*[countPage]uint8{}, map[int64]uint64{}
		}
		p = new([countPage]uint8)
		c.pages[cluster/countPage] = p
	}
	if n < 255 {
		p[cluster%countPage] = uint8(n)
		delete(c.large, cluster)
		return
	}
	p[cluster%countPage] = 255
	c.large[cluster] = n
}

// unused says whether no cluster of the page that cluster is in was counted.
func (c *recount) unused(cluster int64) bool { return c.page(cluster) == nil }
