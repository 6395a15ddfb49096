package fio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/blksh/blksh/verify"
)

// A Distribution is a random_distribution: which blocks of a random job are
// written more often than others. The zero value is uniform.
type Distribution struct {
	Kind string // "", zipf, pareto, normal or zoned
	// Value is the parameter of the first three.
	Value float64
	// Center is the part of the range that is written most, if Centered.
	Center   float64
	Centered bool
	// Zones are the parts of a zoned one.
	Zones []Zone
	// Names are those of the job's files, which give each a distribution of its own;
	// nil for those of [Options.Files].
	Names []string
}

// A Zone is a part of a range: how much of the range it is, and which part of the
// requests it gets, in percent.
type Zone struct{ Requests, Range int }

// maxZones is how many zones a distribution may have, as in fio.
const maxZones = 256

// setDistribution reads KIND:VALUE:CENTER, or zoned:REQUESTS/RANGE:...
func setDistribution(o *Options, v string) error {
	kind, rest, has := strings.Cut(v, ":")
	d := Distribution{Kind: kind}
	switch kind {
	case "random":
		o.Distribution = Distribution{}
		return nil
	case "zipf":
		d.Value = 1.1
	case "pareto":
		d.Value = 0.2
	case "normal", "gauss":
		d.Kind = "normal"
	case "zoned":
	default:
		return errors.New("known are random, zipf, pareto, normal and zoned")
	}
	var err error
	switch {
	case kind == "zoned":
		err = d.zones(rest)
	case has:
		err = d.parameters(rest)
	}
	if err == nil {
		err = d.check()
	}
	if err == nil {
		o.Distribution = d
	}
	return err
}

// check makes sure that blocks can be drawn.
func (d *Distribution) check() error {
	switch {
	case d.Kind == "zipf" && (d.Value == 1 || !(d.Value >= 0 && d.Value <= 100)):
		return errors.New("the value of zipf is within 0 and 100, and not 1")
	case d.Kind == "pareto" && !(d.Value > 0 && d.Value < 1):
		return errors.New("the value of pareto is between 0 and 1")
	case d.Kind == "normal" && !(d.Value >= 0 && d.Value < 100):
		return errors.New("the deviation of normal is within 0 and 100")
	case !(d.Center >= 0 && d.Center <= 1):
		return errors.New("the center is within 0 and 1")
	case d.Kind == "zoned":
		return d.checkZones()
	case !slices.Contains([]string{"", "zipf", "pareto", "normal"}, d.Kind) || d.Zones != nil:
		return errors.New("known are random, zipf, pareto, normal and zoned")
	}
	return nil
}

func (d *Distribution) checkZones() error {
	requests, extent := 0, 0
	for _, z := range d.Zones {
		if z.Requests < 1 || z.Range < 1 || z.Requests > 100 || z.Range > 100 {
			return fmt.Errorf("%d/%d is no zone REQUESTS/RANGE of percentages", z.Requests, z.Range)
		}
		requests, extent = requests+z.Requests, extent+z.Range
	}
	if requests != 100 || extent > 100 || len(d.Zones) > maxZones {
		return errors.New(
			"the percentages of requests do not make 100, or those of the range are more")
	}
	return nil
}

func (d *Distribution) parameters(text string) (err error) {
	value, center, centered := strings.Cut(text, ":")
	d.Value, err = strconv.ParseFloat(value, 64)
	if d.Centered = centered; centered && err == nil {
		value = center
		d.Center, err = strconv.ParseFloat(center, 64)
	}
	if err != nil {
		return fmt.Errorf("%q is no number", verify.Brief(value))
	}
	return nil
}

func (d *Distribution) zones(text string) error {
	if strings.Contains(text, ",") {
		return errors.New("different zones for reads and writes are not supported")
	}
	if strings.Count(text, ":") >= maxZones {
		return fmt.Errorf("more than %d zones", maxZones)
	}
	for part := range strings.SplitSeq(text, ":") {
		a, b, _ := strings.Cut(part, "/")
		n, err := strconv.ParseUint(a, 10, 7)
		m, err2 := strconv.ParseUint(b, 10, 7)
		if err != nil || err2 != nil {
			return fmt.Errorf("%q is no zone REQUESTS/RANGE of percentages", verify.Brief(part))
		}
		d.Zones = append(d.Zones, Zone{Requests: int(n), Range: int(m)})
	}
	return nil
}

// fibonacci spreads numbers over 64 bits: 2^64 times the golden ratio.
const fibonacci = 0x61c8864680b583eb

// A sampler draws blocks of one file that are not distributed evenly.
type sampler struct {
	d      *Distribution
	g      taus88
	n      uint64 // blocks
	from   uint64 // what is added to each number
	zetaN  float64
	zeta2  float64
	stddev int64
}

// newSampler makes what draws of n blocks. It is nil where each has the same chance, and for zones.
// zetaN is for zipf; see zeta.
func newSampler(d *Distribution, n, seed uint64, zetaN float64) *sampler {
	if d.Kind == "" || d.Kind == "zoned" || n == 0 {
		return nil
	}
	s := &sampler{d: d, n: n}
	s.g.reseed(seed & math.MaxUint32)
	if d.Kind == "normal" {
		s.stddev = min(int64(math.Ceil(float64(n)*d.Value/100)), int64(n/2))
		if d.Centered {
			s.from = uint64(int64(float64(n) * (d.Center - 0.5)))
		}
		return s
	}
	if s.from = s.g.next(); d.Centered {
		s.from = uint64(float64(n) * d.Center)
	}
	if d.Kind == "zipf" {
		s.zeta2 = 1 + math.Pow(0.5, d.Value)
		s.zetaN = zetaN
	}
	return s
}

// maxZetaTerms is where fio stops to sum up.
const maxZetaTerms = 10_000_000

// zeta is the sum of the first n terms of the zeta function, which zipf is about.
func zeta(ctx context.Context, n uint64, theta float64) (sum float64, err error) {
	for i := range min(n, maxZetaTerms) {
		if i%lookEvery == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		sum += math.Pow(1/float64(i+1), theta)
	}
	return sum, nil
}

// next draws a block.
func (s *sampler) next() uint64 {
	var v uint64
	switch s.d.Kind {
	case "zipf":
		v = s.zipf()
	case "pareto":
		u := float64(s.g.next()) / math.MaxUint32
		v = uint64(float64(s.n-1) * math.Pow(u, math.Log(s.d.Value)/math.Log(1-s.d.Value)))
	default:
		v = s.normal()
	}
	return (v*fibonacci + s.from) % s.n
}

// zipf is the method of Gray et al. ("Quickly generating billion-record synthetic
// databases", 1994).
func (s *sampler) zipf() uint64 {
	theta, n := s.d.Value, float64(s.n)
	u := float64(s.g.next()) / math.MaxUint32
	switch z := u * s.zetaN; {
	case z < 1:
		return 0
	case z < 1+math.Pow(0.5, theta):
		return 1
	}
	eta := (1 - math.Pow(2/n, 1-theta)) / (1 - s.zeta2/s.zetaN)
	return uint64(n * math.Pow(eta*u-eta+1, 1/(1-theta)))
}

// normalSum is how many even draws make one that is about normal.
const normalSum = 12

func (s *sampler) normal() uint64 {
	sum := uint64(0)
	for range normalSum {
		sum += s.g.next() % (s.n + 1)
	}
	sum = (sum + normalSum - 1) / normalSum
	if s.stddev == 0 {
		return sum
	}
	delta := int64(float64(s.stddev)*(float64(s.g.next())/(1<<32))) - s.stddev/2
	for uint64(delta)+sum >= s.n {
		delta /= 2
		if delta == 0 {
			break // the sum itself may be the number of blocks
		}
	}
	return sum + uint64(delta)
}

// nameHash is Bob Jenkins's hash of a file's name, 12 bytes at a time, which
// seeds the distribution of the file.
func nameHash(name string) uint32 {
	k := []byte(name)
	rol, le := bits.RotateLeft32, binary.LittleEndian
	a := uint32(0x61c88647) + uint32(len(k))
	b, c := a, a
	for ; len(k) > 12; k = k[12:] {
		a, b, c = a+uint32(k[0]), b+uint32(k[4]), c+uint32(k[8])
		for _, n := range [2][3]int{{4, 6, 8}, {16, 19, 4}} {
			a = (a - c) ^ rol(c, n[0])
			c += b
			b = (b - a) ^ rol(a, n[1])
			a += c
			c = (c - b) ^ rol(b, n[2])
			b += a
		}
	}
	if len(k) == 0 {
		return c
	}
	var last [12]byte
	copy(last[:], k)
	a, b, c = a+le.Uint32(last[:]), b+le.Uint32(last[4:]), c+le.Uint32(last[8:])
	c = (c ^ b) - rol(b, 14)
	a = (a ^ c) - rol(c, 11)
	b = (b ^ a) - rol(a, 25)
	c = (c ^ b) - rol(b, 16)
	a = (a ^ c) - rol(c, 4)
	b = (b ^ a) - rol(a, 14)
	c = (c ^ b) - rol(b, 24)
	return c
}
