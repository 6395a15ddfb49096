package zstd

// What the symbols of the three parts of a sequence stand for, RFC 8878 section 3.1.1.3.2.1.1.
var (
	literalLengths = symbolsOf{first: 0, more: []uint8{
		16: 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	}}
	matchLengths = symbolsOf{first: 3, more: []uint8{
		32: 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	}}
	offsets = symbolsOf{first: 1, more: []uint8{
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	}}
)

// The standard distributions, section 3.1.1.3.2.2.
var (
	standardLiteralLengths = distribution{log: 6, states: []int16{
		4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1,
		1, 1, -1, -1, -1, -1,
	}}
	standardMatchLengths = distribution{log: 6, states: []int16{
		1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
	}}
	standardOffsets = distribution{log: 5, states: []int16{
		1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
	}}
)

// code is how one part of sequences is written.
type code struct {
	of       *symbolsOf
	standard *distribution
	maxLog   int // of the states of one that is given
}

// The codes, in the order in which a block gives them.
const (
	ofLiterals = iota
	ofOffset
	ofMatch
)

var codes = [3]code{
	ofLiterals: {&literalLengths, &standardLiteralLengths, 9},
	ofOffset:   {&offsets, &standardOffsets, 8},
	ofMatch:    {&matchLengths, &standardMatchLengths, 9},
}
