package zstd

// What the symbols of the three parts of a sequence stand for, RFC 8878 section 3.1.1.3.2.1.1.
var (
	literalLengths = symbolsOf{
		base: []uint32{
			0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
			16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1 << 10, 1 << 11, 1 << 12,
			1 << 13, 1 << 14, 1 << 15, 1 << 16,
		},
		more: []uint8{
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		},
	}
	matchLengths = symbolsOf{
		base: []uint32{
			3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
			19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34,
			35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051,
			4099, 8195, 16387, 32771, 65539,
		},
		more: []uint8{
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		},
	}
	offsets = symbolsOf{
		base: []uint32{
			1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10,
			1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19,
			1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 28,
			1 << 29, 1 << 30, 1 << 31,
		},
		more: []uint8{
			0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
			16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
		},
	}
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
