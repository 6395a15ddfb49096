package args

import (
	"math"
	"strconv"
	"strings"
)

// QEMU24 is the grammar of QEMU 2.4: a floating point number as C's strtod reads it (exponents, hex
// floats), then at most one suffix letter, and whatever follows is ignored. The product is a double
// and is cut off towards zero, so numbers above 2^53 lose their last bits. All errors are
// [NonNumeric]: that version has no words for a range. Measured on a build of 2.4.0.
func QEMU24(word string, _ Env) (Number, error) {
	value, rest, ok := strtod(word)
	if !ok || value < 0 {
		return Number{}, nonNumeric(word)
	}
	var shift uint
	if rest != "" {
		shift, _, _ = suffix(rest[:1])
	}
	if shift == 0 && value != math.Trunc(value) {
		return Number{}, nonNumeric(word)
	}
	product := math.Ldexp(value, int(shift))
	if product >= 1<<63 {
		return Number{}, nonNumeric(word)
	}
	return Number{Value: int64(product)}, nil
}

// strtod is C's strtod for numbers. It reports ok=false without one, for infinities and NaN, and
// where strtod sets errno: a value too large for a double, or too small for a normal one.
func strtod(word string) (value float64, rest string, ok bool) {
	s := skipSpace(word)
	unsigned, negative := cutSign(s)
	text, rest := scanFloat(unsigned)
	if text == "" {
		return 0, word, false
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || (value < 0x1p-1022 && mantissaIsSet(text)) {
		return 0, rest, false
	}
	if negative {
		value = -value
	}
	return value, rest, true
}

// scanFloat takes the longest prefix of s that strtod reads as a finite number and spells it for
// strconv.ParseFloat; it is "" if there is none.
func scanFloat(s string) (text, rest string) {
	digit, exponent, prefix := isDigit, "e", ""
	if len(s) > 2 && s[0] == '0' && lower(s[1]) == 'x' &&
		(isHexDigit(s[2]) || (s[2] == '.' && len(s) > 3 && isHexDigit(s[3]))) {
		digit, exponent, prefix, s = isHexDigit, "p", "0x", s[2:]
	}
	whole, rest := span(s, digit)
	fraction := ""
	if after, found := strings.CutPrefix(rest, "."); found {
		if f, afterFraction := span(after, digit); whole != "" || f != "" {
			fraction, rest = f, afterFraction
		}
	}
	if whole == "" && fraction == "" {
		return "", s
	}
	power, rest := scanExponent(rest, exponent[0])
	return prefix + whole + "." + fraction + exponent + power, rest
}

// scanExponent takes the letter, an optional sign and digits off the front of s; without
// digits the letter is not an exponent's and the power is 0.
func scanExponent(s string, letter byte) (power, rest string) {
	if s == "" || lower(s[0]) != letter {
		return "0", s
	}
	unsigned, negative := cutSign(s[1:])
	digits, after := span(unsigned, isDigit)
	if digits == "" {
		return "0", s
	}
	if negative {
		digits = "-" + digits
	}
	return digits, after
}

// mantissaIsSet reports whether a digit other than zero stands before the exponent of text, as
// scanFloat spells it.
func mantissaIsSet(text string) bool {
	text, isHex := strings.CutPrefix(text, "0x")
	end := strings.LastIndexByte(text, 'e')
	if isHex {
		end = strings.LastIndexByte(text, 'p')
	}
	return strings.Trim(text[:end], "0.") != ""
}
