package args

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// PatternByte reads the value of qemu-io's -P: an integer as C's strtol with base 0 has it (010 is
// 8), from 0 to 255 and with nothing after it. The error has QEMU's words.
func PatternByte(word string) (byte, error) {
	n, rest := strtol(word)
	if word == "" || rest != "" || n < 0 || n > math.MaxUint8 {
		return 0, errors.New(word + " is not a valid pattern byte")
	}
	return byte(n), nil
}

// Milliseconds reads the operand of sleep, an integer as of [PatternByte] that is not negative.
// What no Duration can hold is the longest Duration. The error has QEMU's words.
func Milliseconds(word string) (time.Duration, error) {
	n, rest := strtol(word)
	if word == "" || rest != "" || n < 0 {
		return 0, errors.New(word + " is not a valid number")
	}
	if n > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64, nil
	}
	return time.Duration(n) * time.Millisecond, nil
}

// strtol is C's strtol with base 0: blanks, a sign, then hex after 0x, octal after 0, or decimal
// digits. It saturates at the ends of int64. Without a digit rest is the whole word.
func strtol(word string) (n int64, rest string) {
	s, negative := cutSign(skipSpace(word))
	base, valid := 10, isDigit
	switch {
	case hexStarts(s):
		base, valid, s = 16, isHexDigit, s[2:]
	case strings.HasPrefix(s, "0"):
		base, valid = 8, func(c byte) bool { return '0' <= c && c <= '7' }
	}
	digits, rest := span(s, valid)
	if digits == "" {
		return 0, word
	}
	if negative {
		digits = "-" + digits
	}
	// an error can only be the range, and then n is its end
	n, _ = strconv.ParseInt(digits, base, 64)
	return n, rest
}

// skipSpace drops what isspace(3) calls a blank in the C locale, as strtol and strtod do.
func skipSpace(s string) string { return strings.TrimLeft(s, " \t\n\v\f\r") }

func cutSign(s string) (rest string, negative bool) {
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
		return s[1:], s[0] == '-'
	}
	return s, false
}

// span cuts s after its longest prefix of valid bytes.
func span(s string, valid func(c byte) bool) (prefix, rest string) {
	n := 0
	for n < len(s) && valid(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHexDigit(c byte) bool { return isDigit(c) || ('a' <= lower(c) && lower(c) <= 'f') }

// hexStarts reports whether s is "0x" and at least one hex digit.
func hexStarts(s string) bool {
	return len(s) > 2 && s[0] == '0' && lower(s[1]) == 'x' && isHexDigit(s[2])
}

// lower is the lower case of an ASCII letter, and any other byte as it is.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
