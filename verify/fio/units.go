package fio

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/blksh/blksh/verify"
)

// unitLetters are the letters of units, by the power of the base that they stand for.
const unitLetters = " kmgtp"

// unit is what a suffix in lower case multiplies by. In job files kb_base decides:
// with fio's usual 1024, k, kb and ki are 1024, and kib is 1000; with 1000 it is
// the other way round. Without a base, all of them are 1024.
func (o *Options) unit(suffix string) (n int64, ok bool) {
	if suffix == "" || suffix == "b" {
		return 1, true
	}
	power := strings.IndexByte(unitLetters, suffix[0])
	if power <= 0 {
		return 0, false
	}
	base := int64(1024)
	switch rest := suffix[1:]; {
	case rest == "ib" && o.KBBase == 1024:
		base = 1000
	case rest == "ib":
	case rest == "", rest == "b", rest == "i":
		if o.KBBase == 1000 {
			base = 1000
		}
	default:
		return 0, false
	}
	n = 1
	for range power {
		n *= base
	}
	return n, true
}

// size reads a size in bytes: decimal, or hexadecimal after 0x, with a unit k, m,
// g, t or p; see [Options.KBBase].
func (o *Options) size(s string) (int64, error) {
	text := strings.ToLower(s)
	digits, base := 0, 10
	if strings.HasPrefix(text, "0x") {
		digits, base = 2, 16
	}
	from := digits
	for digits < len(text) && isDigit(text[digits], base) {
		digits++
	}
	unit, ok := o.unit(text[digits:])
	if base == 16 && !ok && text[digits-1] == 'b' { // the b of kb is a digit as well
		digits--
		unit, ok = o.unit(text[digits:])
	}
	n, err := strconv.ParseInt(text[from:digits], base, 64)
	if err != nil || !ok || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is no size", verify.Brief(s))
	}
	return n * unit, nil
}

func isDigit(c byte, base int) bool {
	return c >= '0' && c <= '9' || base == 16 && c >= 'a' && c <= 'f'
}

// percent reads N%.
func percent(s string) (n int, ok bool) {
	digits, has := strings.CutSuffix(s, "%")
	n, err := percentage(digits)
	return n, has && err == nil
}
