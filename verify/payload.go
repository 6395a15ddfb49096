package verify

// A recipe is how the random content of a request is made. Recipes are equal if they make the same.
type recipe struct {
	filler *filler
	// compress is the percentage of a request that is padding, which is zeroes
	// or repetitions of the padding pattern.
	compress int
	padding  string
	// alternate says that random data and padding, in equal parts, take turns:
	// a quirk of fio before 3.13.
	alternate bool
}

// random is how many bytes of a request of n bytes come before its padding.
func (r *recipe) random(n int) int { return int(int64(n) * int64(100-r.compress) / 100) }

// fill makes a whole request of random content.
func (r *recipe) fill(p []byte, seed uint64) {
	random := r.random(len(p))
	switch {
	case r.compress == 0:
		r.filler.fill(p, seed)
		return
	case random == 0:
		r.pad(p)
		return
	case !r.alternate:
		r.filler.fill(p[:random], seed)
		r.pad(p[random:])
		return
	}
	for len(p) > 0 {
		n := min(random, len(p))
		r.filler.fill(p[:n], seed)
		p = p[n:]
		if n = min(random, len(p)); len(p)-n <= 8 {
			n = len(p)
		}
		r.pad(p[:n])
		p = p[n:]
	}
}

// mayMake reports whether p may be a piece of a request of which neither the beginning nor the end
// is known, for all that can be said of its padding.
func (r *recipe) mayMake(p []byte) bool {
	switch {
	case r.compress == 0:
		return false
	case r.alternate:
		return true
	case r.padding == "":
		return IsZero(p)
	}
	unit := []byte(r.padding)
	for phase := range unit {
		if matchPeriod(p, unit, phase) {
			return true
		}
	}
	return false
}

func (r *recipe) pad(p []byte) {
	if r.padding == "" {
		clear(p)
		return
	}
	for len(p) > 0 {
		p = p[copy(p, r.padding):]
	}
}

// content makes the data of requests. It is immutable.
type content struct {
	recipe
	// pattern, if any, is the data, starting anew every patternInterval bytes
	// of a request; 0 is once a request.
	pattern         *literal
	patternInterval int
	// still says that the pattern of all requests is that of offset 0.
	still bool
}

// fill makes the data of the request p at offset off, those that are random by a recipe.
func (c *content) fill(p []byte, off int64, seed uint64, by *recipe) {
	if c.still {
		off = 0
	}
	switch {
	case c.pattern != nil && c.patternInterval > 0:
		for start := 0; start < len(p); start += c.patternInterval {
			end := min(start+c.patternInterval, len(p))
			c.pattern.instance(p[start:end], off+int64(start))
		}
	case c.pattern != nil:
		c.pattern.instance(p, off)
	default:
		by.fill(p, seed)
	}
}

// repeats reports whether the pattern is the same everywhere and p, from byte
// from of a request on, consists of it.
func (c *content) repeats(p []byte, from int64) bool {
	pat := c.pattern
	return pat != nil && len(pat.stamps) == 0 && c.patternInterval == 0 && matchPeriod(p, pat.unit, int(from%int64(len(pat.unit))))
}

// recipesFrom lists the recipes that are tried if nobody told which it is: first the one, then
// those of other fillers, and those without padding.
func recipesFrom(first recipe) []recipe {
	list := []recipe{first}
	for i := range fillers {
		other := first
		if other.filler = &fillers[i]; other != first {
			list = append(list, other)
		}
	}
	if first.compress > 0 {
		for i := range fillers {
			list = append(list, recipe{filler: &fillers[i]})
		}
	}
	return list
}
