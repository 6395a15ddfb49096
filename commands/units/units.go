// Package units writes what was counted and measured for people: sizes, counts with their noun,
// times and rates.
//
// The shell's own dialect has one function for each, so that all its texts, tables, pictures and
// progress lines write the same figure alike: [Size] and [Exact] for sizes, [Rough] where they
// change while one looks, [Bytes] where each byte counts, [Count] for anything else, [Time], [Rate]
// and [IOPS]. What was measured has three digits, as more of them would change from one run to the
// next. Everything is ASCII.
//
// The QEMU dialects have their originals' forms, [QEMUSize] and [Report].
package units

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
)

// Size writes a number of bytes, to a thousandth of the largest unit that fits: "1 byte", "1 KiB",
// "9.766 KiB".
func Size[N ~int | ~int64 | ~uint32 | ~uint64 | ~float64](bytes N) string {
	if bytes == 1 {
		return "1 byte"
	}
	return QEMUSize(float64(bytes))
}

// Exact is Size with the number of bytes wherever the unit is another:
// "9.766 KiB (10000 bytes)".
func Exact(bytes int64) string {
	if bytes < 1024 {
		return Size(bytes)
	}
	return fmt.Sprintf("%s (%d bytes)", Size(bytes), bytes)
}

// Whole is Size where that is the exact number, and Exact where it is not: "64 KiB",
// "9.766 KiB (10000 bytes)".
func Whole(bytes int64) string {
	for _, u := range binaryUnits {
		if unit := int64(u.size); bytes >= unit && bytes%unit == 0 {
			return Size(bytes)
		} else if bytes >= unit {
			break
		}
	}
	return Exact(bytes)
}

// Rough writes a number of bytes with three digits: "1.50 GiB". One below zero counts as none.
func Rough(bytes float64) string {
	if bytes < 1024 { // there are no parts of them
		return humanize.IBytes(uint64(max(0, bytes)))
	}
	return humanize.IBytesN(uint64(bytes), 3)
}

// Rate writes bytes a second: "1.50 GiB/s".
func Rate(bytes float64) string { return Rough(bytes) + "/s" }

// IOPS writes requests a second as fio does: "2170 IOPS", "277k IOPS".
func IOPS(requests float64) string { return Requests(requests) + " IOPS" }

// Requests is the number of IOPS alone.
func Requests(requests float64) string {
	unit := ""
	for _, larger := range []string{"k", "M", "G"} {
		if requests < 9999.5 {
			break
		}
		requests, unit = requests/1000, larger
	}
	return digits(requests) + unit
}

// digits writes a number with three digits, or all that stand before its point.
func digits(x float64) string {
	decimals := 0
	switch {
	case x < 9.995:
		decimals = 2
	case x < 99.95:
		decimals = 1
	}
	scale := math.Pow10(decimals)
	return strconv.FormatFloat(math.Round(x*scale)/scale, 'f', -1, 64)
}

// Count writes a number and its noun: "1 range", "3 ranges". The plural is told where an s behind
// the noun is wrong.
func Count[N ~int | ~int64 | ~uint32 | ~uint64](n N, one string, plural ...string) string {
	if n == 1 {
		return "1 " + one
	}
	many := one + "s"
	if len(plural) > 0 {
		many = plural[0]
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Are is the verb for so many bytes: "is" for one.
func Are(bytes int64) string {
	if bytes == 1 {
		return "is"
	}
	return "are"
}

// Bytes counts bytes without a larger unit: "1 byte", "10000 bytes".
func Bytes[N ~int | ~int64 | ~uint32 | ~uint64](n N) string { return Count(n, "byte") }

// Time writes a duration with three digits, and whole seconds from a minute on: "461us", "1.23s",
// "2m3s". A negative one counts as none.
func Time(d time.Duration) string {
	d = max(0, d)
	if d >= time.Minute-50*time.Millisecond {
		return d.Round(time.Second).String()
	}
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		// what rounds to a thousand of the unit below belongs to this one
		if float64(d) >= 0.9995*float64(u.size) {
			return digits(float64(d)/float64(u.size)) + u.name
		}
	}
	if d == 0 {
		return "0s"
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}
