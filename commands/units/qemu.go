package units

import (
	"fmt"
	"strings"
	"time"
)

// QEMUSize writes a number of bytes as qemu-io does: six decimals below 1024, otherwise three after
// division by the largest power of 1024 that fits, and cut before ".000" wherever that shows. So
// 1023.9999 KiB is "1024 KiB". Every QEMU from 2.4 to 11.1 agrees.
func QEMUSize(bytes float64) string {
	unit, decimals := " bytes", 6
	for _, u := range binaryUnits {
		if bytes >= u.size {
			bytes, unit, decimals = bytes/u.size, u.name, 3
			break
		}
	}
	text, _, _ := strings.Cut(fmt.Sprintf("%.*f", decimals, bytes), ".000")
	return text + unit
}

var binaryUnits = []struct {
	size float64
	name string
}{
	{1 << 60, " EiB"},
	{1 << 50, " PiB"},
	{1 << 40, " TiB"},
	{1 << 30, " GiB"},
	{1 << 20, " MiB"},
	{1 << 10, " KiB"},
}

// Report is how a dialect writes the time that requests took, and the rates.
//
// An elapsed time below the resolution of the original's clock counts as one tick, so a rate is
// always a number; the originals print inf and nan there.
type Report struct {
	tick  time.Duration
	short func(d time.Duration) string // below a second
	clock func(d time.Duration) string // hours, minutes and seconds
}

// ReportQEMU is the report of QEMU 7.2 and later: nanoseconds, hundredths rounded (0.9996 s is
// "01.00 sec").
var ReportQEMU = Report{
	tick:  time.Nanosecond,
	short: func(d time.Duration) string { return fmt.Sprintf("%05.2f sec", d.Seconds()) },
	clock: func(d time.Duration) string {
		return hoursMinutes(d) + fmt.Sprintf(":%05.2f", (d%time.Minute).Seconds())
	},
}

// ReportQEMU24 is the report of QEMU 2.4: microseconds, decimals cut off (1.9999 s is
// "0:00:01.99").
var ReportQEMU24 = Report{
	tick:  time.Microsecond,
	short: func(d time.Duration) string { return fmt.Sprintf("0.%04d sec", d/(100*time.Microsecond)) },
	clock: func(d time.Duration) string {
		rest := d % time.Minute
		return hoursMinutes(d) + fmt.Sprintf(":%02d.%02d", rest/time.Second,
			rest%time.Second/(10*time.Millisecond))
	},
}

func hoursMinutes(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}

// Elapsed writes a duration: "00.00 sec" below a second, "H:MM:SS.cc" from there on, or always if
// clock is set. A negative duration counts as none.
func (r Report) Elapsed(d time.Duration, clock bool) string {
	d = max(0, d)
	if clock || d >= time.Second {
		return r.clock(d)
	}
	return r.short(d)
}

// Rates writes what d gives: "(358.612 KiB/sec and 717.2248 ops/sec)".
func (r Report) Rates(bytes int64, ops int, d time.Duration) string {
	seconds := r.seconds(d)
	return fmt.Sprintf("(%s/sec and %.4f ops/sec)", QEMUSize(float64(bytes)/seconds),
		float64(ops)/seconds)
}

// Summary is the second line of a report, without its newline:
// "512 bytes, 1 ops; 00.00 sec (358.612 KiB/sec and 717.2248 ops/sec)".
func (r Report) Summary(bytes int64, ops int, d time.Duration) string {
	return fmt.Sprintf("%s, %d ops; %s %s", QEMUSize(float64(bytes)), ops, r.Elapsed(d, false),
		r.Rates(bytes, ops, d))
}

// Terse is the line of -C, without its newline: bytes, operations, time, bytes and operations a
// second, as in "512,1,0:00:00.00,32864753.835,64188.972".
func (r Report) Terse(bytes int64, ops int, d time.Duration) string {
	seconds := r.seconds(d)
	return fmt.Sprintf("%d,%d,%s,%.3f,%.3f", bytes, ops, r.Elapsed(d, true), float64(bytes)/seconds,
		float64(ops)/seconds)
}

// seconds is d as the original's clock saw it, at least one tick.
func (r Report) seconds(d time.Duration) float64 {
	return max(r.tick, d.Truncate(r.tick)).Seconds()
}
