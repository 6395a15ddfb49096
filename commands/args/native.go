package args

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/blksh/blksh/commands/units"
)

// Sector is the size in bytes of the unit s of the native grammar, on every device.
const Sector = 512

// Native is the shell's own grammar. It reads what [QEMU] reads, as the same number, but for
// fractions that QEMU rounds, which it refuses; and besides:
//
//	1_000_000 0xffff_0000    underscores between digits
//	64KiB 1.5MiB             binary units spelled out, up to EiB, in any case
//	8s 0x800s                sectors of 512 bytes
//	8lba 0x800lba            logical blocks of env.Block bytes
//	end end-64k end+1        the size of the image, and places before and after it
//
// Errors say what is wrong, at which part of the word, and what to type instead.
func Native(word string, env Env) (Number, error) {
	after, found := strings.CutPrefix(word, "end")
	if !found {
		return absolute(word, env)
	}
	if env.End < 0 {
		return refuse(word, "end has no meaning before an image is open")
	}
	if after == "" {
		return Number{Value: env.End}, nil
	}
	if after[0] != '-' && after[0] != '+' {
		return refuse(word,
			`"%s" after "end" is not understood; write end, end-64k or end+64k`, after)
	}
	distance, err := absolute(after[1:], env)
	switch {
	case err != nil:
		return Number{}, err
	case after[0] == '-' && distance.Value > env.End:
		return refuse(word,
			"lies before the start; the image has %s, so end-%d is the farthest",
			units.Size(env.End), env.End)
	case after[0] == '-':
		return Number{Value: env.End - distance.Value}, nil
	case distance.Value > math.MaxInt64-env.End:
		return Number{}, tooLarge(word)
	default:
		return Number{Value: env.End + distance.Value}, nil
	}
}

// OptionSize is Native for the size that is an option of a driver, which no image can change.
func OptionSize(text string) (uint64, error) {
	n, err := absolute(text, Env{})
	return uint64(n.Value), err
}

// Duration reads a time: a number of milliseconds, or one with the unit ms, s or m, and then it may
// be a fraction. What no Duration can hold is the longest Duration.
func Duration(word string) (time.Duration, error) {
	l := readLiteral(word)
	unit := time.Millisecond
	switch l.rest {
	case "s":
		unit = time.Second
	case "m":
		unit = time.Minute
	case "ms":
	case "":
		if l.dot {
			l.whole = ""
		}
	default:
		l.whole = ""
	}
	if l.whole == "" || l.negative || l.hex {
		return 0, &NumberError{Word: word, Why: "not a time; write one such as 1500, 1500ms, 1.5s or 2m"}
	}
	n, err := strconv.ParseFloat(l.whole+"."+l.fraction+"0", 64)
	if err != nil || n > float64(math.MaxInt64/unit) {
		return math.MaxInt64, nil
	}
	return time.Duration(n * float64(unit)), nil
}

// IsRange reports whether word is written as a range rather than as one number.
func IsRange(word string) bool { return strings.Contains(word, "..") }

// ParseRange reads START..END, both in the native grammar, END not included. A missing START is 0,
// a missing END the end of the image. It returns the first byte and the number of bytes.
func ParseRange(word string, env Env) (off, n int64, err error) {
	from, to, found := strings.Cut(word, "..")
	if !found {
		_, err := refuse(word, "not a range; write START..END, as in 64k..128k")
		return 0, 0, err
	}
	from, to = cmp.Or(from, "0"), cmp.Or(to, "end")
	start, err := Native(from, env)
	if err != nil {
		return 0, 0, err
	}
	end, err := Native(to, env)
	if err != nil {
		return 0, 0, err
	}
	if end.Value < start.Value {
		_, err := refuse(word,
			"ends before it starts (%d is after %d); write %s..%s if that is meant",
			start.Value, end.Value, to, from)
		return 0, 0, err
	}
	return start.Value, end.Value - start.Value, nil
}

func refuse(word, why string, a ...any) (Number, error) {
	return Number{}, &NumberError{Word: word, Why: fmt.Sprintf(why, a...)}
}

// absolute reads a native number that does not start with end.
func absolute(word string, env Env) (Number, error) {
	plain, err := joinDigits(word)
	if err != nil {
		return Number{}, err
	}
	l := readLiteral(plain)
	switch {
	case l.whole == "" && l.fraction == "":
		return refuse(word,
			"not a number; write one such as 4096, 64k, 1.5MiB, 0x1000, 8s or end-64k")
	case l.negative:
		return refuse(word,
			"a number cannot be negative; end-N counts back from the end")
	}
	digits := plain[:len(plain)-len(l.rest)]
	switch unit := strings.ToLower(l.rest); {
	case unit == "s":
		return blocks(word, digits, l, "sectors", Sector)
	case unit == "lba":
		if env.Block <= 0 {
			return refuse(word,
				"the size of a logical block is not known before an image is open")
		}
		return blocks(word, digits, l, "logical blocks", env.Block)
	case len(unit) == 3 && strings.HasSuffix(unit, "ib") &&
		strings.IndexByte("kmgtpe", unit[0]) >= 0:
		return bytesOf(word, digits, unit[:1], l)
	default:
		return bytesOf(word, digits, l.rest, l)
	}
}

// blocks reads a whole number of units of size bytes.
func blocks(word, digits string, l literal, units string, size int64) (Number, error) {
	if l.dot {
		return refuse(word, "%s come whole; drop the fraction or write bytes", units)
	}
	n, err := QEMU(digits, Env{})
	if err != nil || n.Value > math.MaxInt64/size {
		return Number{}, tooLarge(word)
	}
	return Number{Value: n.Value * size}, nil
}

// bytesOf reads a number of bytes with at most one suffix letter, and explains what is wrong with
// others.
func bytesOf(word, digits, letter string, l literal) (Number, error) {
	shift, given, ok := suffix(letter)
	switch {
	case l.hex && l.dot:
		return refuse(word, "a hex number has no fraction")
	case !ok:
		return refuse(word, "%q after %q is no unit; %s", letter, digits,
			unitHint(letter))
	case l.hex && given:
		return refuse(word,
			"a hex number takes no %q; write it out, or in decimal as in 64k", letter)
	}
	n, err := QEMU(digits+letter, Env{})
	switch {
	case err == nil && !l.exact(shift):
		return refuse(word, "not a whole number of bytes; the nearest is %d", n.Value)
	case err == nil:
		return n, nil
	}
	if shift == 0 && l.dot && err.(*NumberError).Kind == NonNumeric {
		return refuse(word,
			"not a whole number of bytes; a fraction needs a unit, as in 1.5k")
	}
	return Number{}, tooLarge(word)
}

// exact says whether the number is a whole one in units of 2^shift: the fraction has no more
// decimal places than there are factors of 2, and is a multiple of as many factors of 5.
func (l *literal) exact(shift uint) bool {
	digits := strings.TrimRight(l.fraction, "0")
	if len(digits) > int(shift) {
		return false
	}
	n, _ := new(big.Int).SetString("0"+digits, 10)
	fives := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(len(digits))), nil)
	return n.Rem(n, fives).Sign() == 0
}

// unitHint says what to type in place of a unit that is none.
func unitHint(unit string) string {
	if len(unit) == 2 && lower(unit[1]) == 'b' {
		if at := strings.IndexByte("kmgtpe", lower(unit[0])); at >= 0 {
			return fmt.Sprintf("write %ciB for 2^%d bytes", "KMGTPE"[at], 10*(at+1))
		}
	}
	if strings.Trim(unit[1:], "+-0123456789") == "" && lower(unit[0]) == 'e' {
		return "exponents are not read (e is the unit EiB); write the number out"
	}
	return "units are b, k, M, G, T, P, E (or KiB to EiB), s (sectors of 512 bytes) and lba (logical blocks)"
}

// joinDigits drops the underscores, each of which must stand between two digits.
func joinDigits(word string) (string, error) {
	if !strings.Contains(word, "_") {
		return word, nil
	}
	digit := isDigit
	if unsigned, _ := cutSign(word); hexStarts(unsigned) {
		digit = isHexDigit
	}
	var joined strings.Builder
	for i := range len(word) {
		switch {
		case word[i] != '_':
			joined.WriteByte(word[i])
		case i == 0 || i == len(word)-1 || !digit(word[i-1]) || !digit(word[i+1]):
			_, err := refuse(word,
				`the "_" at column %d must stand between two digits, as in 1_000`, i+1)
			return "", err
		}
	}
	return joined.String(), nil
}
