package args

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Number is a word that was read as one.
type Number struct {
	Value int64 // bytes, or whatever the word counts; never negative
	// HexSuffix says that a hex number carried a multiplier. QEMU 7.2 accepts that and warns on
	// stderr: "warning: Using a multiplier suffix on hex numbers is deprecated: WORD". It is set
	// beside an error too: the warning comes before the complaint.
	HexSuffix bool
}

// Env is what a number may be relative to.
type Env struct {
	End   int64 // size of the image in bytes; negative if none is open
	Block int64 // size of its logical blocks in bytes; 0 if unknown
}

// Grammar reads one word as a number. The error is a [*NumberError]. QEMU's grammars ignore env.
type Grammar func(word string, env Env) (Number, error)

// Kind says why a word is no number.
type Kind int

// The kinds that QEMU's messages tell apart.
const (
	NonNumeric Kind = iota // not a number in this grammar, or one with something after it
	TooLarge               // a number above 2^63-1
)

// NumberError is a word that a grammar refuses. A dialect has its own words for each Kind; Why is
// for people.
type NumberError struct {
	Word string
	Kind Kind
	Why  string
}

func (e *NumberError) Error() string { return e.Word + ": " + e.Why }

func nonNumeric(word string) error {
	return &NumberError{Word: word, Kind: NonNumeric, Why: "not a number"}
}

func tooLarge(word string) error {
	return &NumberError{Word: word, Kind: TooLarge, Why: "larger than 8 EiB - 1"}
}

// Int32 narrows a number for the places where QEMU 2.4 keeps one in a C int. There a value from
// 2^31 to 2^32-1 turns negative and is refused as non-numeric, and larger ones wrap; all of them
// are refused here.
func Int32(word string, n Number) (int32, error) {
	if n.Value > math.MaxInt32 {
		return 0, nonNumeric(word)
	}
	return int32(n.Value), nil
}

// QEMU is the grammar of QEMU 8.2 and later: digits, "0x" and hex digits, or a decimal fraction,
// then at most one of the suffixes b k m g t p e in either case, and nothing after it. A hex number
// takes no suffix, and a fraction that is not zero needs one above b. The integer part is exact,
// the fraction a double, the product rounded to the nearest byte. Measured on 8.2.7, 10.0.2 and
// 11.1.3.
func QEMU(word string, _ Env) (Number, error) {
	l := readLiteral(word)
	if l.whole == "" && l.fraction == "" {
		return Number{}, nonNumeric(word)
	}
	if l.negative {
		// QEMU stops at the sign and calls the number too large, and calls what then
		// trails non-numeric: 0x, a dot after digits, a suffix.
		if l.hex || l.rest != "" || (l.dot && l.whole != "") {
			return Number{}, nonNumeric(word)
		}
		return Number{}, tooLarge(word)
	}
	shift, scaled, ok := suffix(l.rest)
	if !ok || (l.hex && scaled) {
		return Number{}, nonNumeric(word)
	}
	whole, ok := l.integer()
	if !ok {
		return Number{}, l.overflow(word)
	}
	fraction := l.fractionPart()
	fixed := uint64(0)
	switch {
	case fraction == 1: // nines enough to round up
		var carry uint64
		if whole, carry = bits.Add64(whole, 1, 0); carry != 0 {
			return Number{}, tooLarge(word)
		}
	case strings.Trim(l.fraction, "0") != "":
		fixed = max(1, uint64(fraction*0x1p64))
	}
	return scale(word, whole, fixed, shift)
}

// QEMU72 is the grammar of QEMU 7.2. It differs from [QEMU] so: a suffix may follow a hex number
// (see [Number]), a digit must stand before the dot, a fraction that rounds up to one is lost, and
// a negative number is non-numeric. Measured on 7.2.22.
//
// One accident is not copied: after a fraction too small for a double 7.2 skips one character
// unread.
func QEMU72(word string, _ Env) (n Number, err error) {
	l := readLiteral(word)
	if l.whole == "" || (l.hex && (l.negative || l.dot)) {
		return n, nonNumeric(word)
	}
	whole, ok := l.integer()
	switch {
	case !ok:
		return n, l.overflow(word) // also of a negative number
	case l.negative:
		return n, nonNumeric(word)
	}
	if l.hex && l.rest != "" {
		_, n.HexSuffix, _ = suffix(l.rest[:1])
	}
	shift, _, ok := suffix(l.rest)
	if !ok {
		return n, nonNumeric(word)
	}
	fixed := uint64(0)
	if fraction := l.fractionPart(); fraction < 1 {
		fixed = uint64(fraction * 0x1p64)
	}
	scaled, err := scale(word, whole, fixed, shift)
	n.Value = scaled.Value
	return n, err
}

// scale multiplies whole + fixed/2^64 by 2^shift and rounds to the nearest byte, half up.
func scale(word string, whole, fixed uint64, shift uint) (Number, error) {
	if shift == 0 && fixed != 0 {
		return Number{}, nonNumeric(word)
	}
	high, low := bits.Mul64(whole, 1<<shift)
	extra, rest := bits.Mul64(fixed, 1<<shift)
	low, carry := bits.Add64(low, extra, 0)
	low, round := bits.Add64(low, rest>>63, 0)
	if high+carry+round != 0 || low > math.MaxInt64 {
		return Number{}, tooLarge(word)
	}
	return Number{Value: int64(low)}, nil
}

// suffix reads what follows the digits: nothing, or one letter. shift is the power of two it stands
// for, given whether there was a letter, ok whether that is all there was.
func suffix(rest string) (shift uint, given, ok bool) {
	if rest == "" {
		return 0, false, true
	}
	at := strings.IndexByte("bkmgtpe", lower(rest[0]))
	if at < 0 {
		return 0, false, false
	}
	return uint(at) * 10, true, len(rest) == 1
}

// literal is a number taken apart where its parts meet, before any arithmetic.
type literal struct {
	negative bool
	hex      bool
	whole    string // digits before the dot, without 0x
	dot      bool
	fraction string // digits after the dot
	rest     string // the suffix, and whatever trails
}

// readLiteral takes word apart. A hex number has no fraction: its dot, if any, starts rest, and dot
// is set.
func readLiteral(word string) (l literal) {
	s := skipSpace(word)
	s, l.negative = cutSign(s)
	if hexStarts(s) {
		l.hex = true
		l.whole, l.rest = span(s[2:], isHexDigit)
		l.dot = strings.HasPrefix(l.rest, ".")
		return l
	}
	l.whole, l.rest = span(s, isDigit)
	if after, found := strings.CutPrefix(l.rest, "."); found {
		l.dot = true
		l.fraction, l.rest = span(after, isDigit)
	}
	return l
}

func (l literal) integer() (n uint64, ok bool) {
	if l.whole == "" {
		return 0, true
	}
	base := 10
	if l.hex {
		base = 16
	}
	n, err := strconv.ParseUint(l.whole, base, 64)
	return n, err == nil
}

// overflow is the complaint about an integer part above 64 bits, which is
// only then "too large" when nothing follows it.
func (l literal) overflow(word string) error {
	if l.dot || l.rest != "" {
		return nonNumeric(word)
	}
	return tooLarge(word)
}

// fractionPart is the fraction as the nearest double, from 0 to 1 inclusive.
func (l literal) fractionPart() float64 {
	if l.fraction == "" {
		return 0
	}
	f, _ := strconv.ParseFloat("0."+l.fraction, 64) // neither syntax nor range can fail
	return f
}
