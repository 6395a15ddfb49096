package fio

import "github.com/blksh/blksh/verify"

// A Recipe is how the random content of a request is made. Recipes are equal if they make the same.
type Recipe struct {
	Filler *Filler
	// Compress is the percentage of a request that is padding, which is zeroes
	// or repetitions of the padding pattern.
	Compress int
	Padding  string
	// Alternate says that random data and padding, in equal parts, take turns:
	// a quirk of fio before 3.13.
	Alternate bool
}

// Random is how many bytes of a request of n bytes come before its padding.
func (r *Recipe) Random(n int) int { return int(int64(n) * int64(100-r.Compress) / 100) }

// Fill makes a whole request of random content.
func (r *Recipe) Fill(p []byte, seed uint64) {
	random := r.Random(len(p))
	switch {
	case r.Compress == 0:
		r.Filler.Fill(p, seed)
		return
	case random == 0:
		r.pad(p)
		return
	case !r.Alternate:
		r.Filler.Fill(p[:random], seed)
		r.pad(p[random:])
		return
	}
	for len(p) > 0 {
		n := min(random, len(p))
		r.Filler.Fill(p[:n], seed)
		p = p[n:]
		if n = min(random, len(p)); len(p)-n <= 8 {
			n = len(p)
		}
		r.pad(p[:n])
		p = p[n:]
	}
}

// MayMake reports whether p may be a piece of a request of which neither the beginning nor the end
// is known, for all that can be said of its padding.
func (r *Recipe) MayMake(p []byte) bool {
	switch {
	case r.Compress == 0:
		return false
	case r.Alternate:
		return true
	case r.Padding == "":
		return verify.IsZero(p)
	}
	unit := []byte(r.Padding)
	for phase := range unit {
		if verify.MatchPeriod(p, unit, phase) {
			return true
		}
	}
	return false
}

func (r *Recipe) pad(p []byte) {
	if r.Padding == "" {
		clear(p)
		return
	}
	for len(p) > 0 {
		p = p[copy(p, r.Padding):]
	}
}

// Payload makes the data of requests. It is immutable.
type Payload struct {
	Recipe
	// Pattern, if any, is the data, starting anew every patternInterval bytes
	// of a request; 0 is once a request.
	Pattern         *verify.Literal
	patternInterval int
	// Still says that the pattern of all requests is that of offset 0.
	Still bool
}

// Fill makes the data of the request p at offset off, those that are random by a recipe.
func (c *Payload) Fill(p []byte, off int64, seed uint64, by *Recipe) {
	if c.Still {
		off = 0
	}
	switch {
	case c.Pattern != nil && c.patternInterval > 0:
		for start := 0; start < len(p); start += c.patternInterval {
			end := min(start+c.patternInterval, len(p))
			c.Pattern.Instance(p[start:end], off+int64(start))
		}
	case c.Pattern != nil:
		c.Pattern.Instance(p, off)
	default:
		by.Fill(p, seed)
	}
}

// Repeats reports whether the pattern is the same everywhere and p, from byte
// from of a request on, consists of it.
func (c *Payload) Repeats(p []byte, from int64) bool {
	pat := c.Pattern
	return pat != nil && len(pat.Stamps) == 0 && c.patternInterval == 0 &&
		verify.MatchPeriod(p, pat.Unit, int(from%int64(len(pat.Unit))))
}

// RecipesFrom lists the recipes that are tried if nobody told which it is: first the one, then
// those of other fillers, and those without padding.
func RecipesFrom(first Recipe) []Recipe {
	list := []Recipe{first}
	for i := range Fillers {
		other := first
		if other.Filler = &Fillers[i]; other != first {
			list = append(list, other)
		}
	}
	if first.Compress > 0 {
		for i := range Fillers {
			list = append(list, Recipe{Filler: &Fillers[i]})
		}
	}
	return list
}
