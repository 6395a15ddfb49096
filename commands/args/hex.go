package args

import "strings"

// Hex reads bytes written as pairs of hex digits: DEADBEEF. Before the first pair 0x is ignored,
// and between pairs a blank, ':', '-', '_' or ',' is. The error is a [*NumberError] that says where
// the word goes wrong.
func Hex(word string) ([]byte, error) {
	digits := word
	if hexStarts(digits) {
		digits = digits[2:]
	}
	at := func(i int) int { return len(word) - len(digits) + i + 1 }
	data := make([]byte, 0, len(digits)/2)
	for i := 0; i < len(digits); {
		c := digits[i]
		if len(data) > 0 && strings.IndexByte(" :-_,", c) >= 0 && i+1 < len(digits) &&
			isHexDigit(digits[i+1]) && isHexDigit(digits[i-1]) {
			i++
			continue
		}
		if !isHexDigit(c) {
			return nil, badHex(word, "%q at column %d is no hex digit", c, at(i))
		}
		if i+1 == len(digits) || !isHexDigit(digits[i+1]) {
			return nil, badHex(word, "the digit at column %d stands alone; write two for each byte",
				at(i))
		}
		data = append(data, hexValue(c)<<4|hexValue(digits[i+1]))
		i += 2
	}
	if len(data) == 0 {
		return nil, badHex(word, "no bytes; write pairs of hex digits, as in DEADBEEF")
	}
	return data, nil
}

func badHex(word, why string, a ...any) error {
	_, err := refuse(word, why, a...)
	return err
}

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}
