package units

import (
	"testing"
	"time"
)

// The sizes were printed by every qemu-io from 2.4.0 to 11.1.3.
func TestQEMUSize(t *testing.T) {
	for bytes, want := range map[float64]string{
		0:                   "0 bytes",
		1:                   "1 bytes",
		1000:                "1000 bytes",
		1023:                "1023 bytes",
		1024:                "1 KiB",
		1025:                "1.001 KiB",
		1030:                "1.006 KiB",
		1536:                "1.500 KiB",
		5120:                "5 KiB",
		1048575:             "1023.999 KiB",
		1048577:             "1 MiB",
		1049088:             "1 MiB",
		1234567:             "1.177 MiB",
		1073741823:          "1024 MiB",
		1099511627775:       "1024 GiB",
		1 << 40:             "1 TiB",
		3 << 49:             "1.500 PiB",
		9223372036854774784: "8 EiB",
		506.909112:          "506.909112 bytes",
		409.206507:          "409.206507 bytes",
		12.000345:           "12 bytes",
	} {
		if got := QEMUSize(bytes); got != want {
			t.Errorf("QEMUSize(%v) = %q, want %q", bytes, got, want)
		}
	}
}

func TestElapsed(t *testing.T) {
	for _, c := range []struct {
		d              time.Duration
		clock          bool
		qemu24, newest string
	}{
		{0, false, "0.0000 sec", "00.00 sec"},
		{-time.Second, false, "0.0000 sec", "00.00 sec"},
		{654 * time.Microsecond, false, "0.0006 sec", "00.00 sec"},
		{999600 * time.Microsecond, false, "0.9996 sec", "01.00 sec"},
		{time.Second, false, "0:00:01.00", "0:00:01.00"},
		{1250 * time.Millisecond, false, "0:00:01.25", "0:00:01.25"},
		{1999900 * time.Microsecond, false, "0:00:01.99", "0:00:02.00"},
		{59999 * time.Millisecond, false, "0:00:59.99", "0:00:60.00"},
		{41*time.Minute + 39770*time.Millisecond, false, "0:41:39.77", "0:41:39.77"},
		{100*time.Hour + 61*time.Second, false, "100:01:01.00", "100:01:01.00"},
		{654 * time.Microsecond, true, "0:00:00.00", "0:00:00.00"},
	} {
		if got := ReportQEMU24.Elapsed(c.d, c.clock); got != c.qemu24 {
			t.Errorf("2.4 writes %v as %q, want %q", c.d, got, c.qemu24)
		}
		if got := ReportQEMU.Elapsed(c.d, c.clock); got != c.newest {
			t.Errorf("current writes %v as %q, want %q", c.d, got, c.newest)
		}
	}
}

func TestReportLines(t *testing.T) {
	for got, want := range map[string]string{
		ReportQEMU24.Summary(512, 1,
			654900*time.Nanosecond): "512 bytes, 1 ops; 0.0006 sec (764.526 KiB/sec and 1529.0520 ops/sec)",
		ReportQEMU24.Summary(512, 1,
			1251202*time.Microsecond): "512 bytes, 1 ops; 0:00:01.25 (409.206507 bytes/sec and 0.7992 ops/sec)",
		ReportQEMU.Summary(65536, 1,
			2*time.Millisecond): "64 KiB, 1 ops; 00.00 sec (31.250 MiB/sec and 500.0000 ops/sec)",
		ReportQEMU.Summary(0, 1,
			time.Millisecond): "0 bytes, 1 ops; 00.00 sec (0 bytes/sec and 1000.0000 ops/sec)",
		ReportQEMU.Terse(512, 1,
			2*time.Millisecond): "512,1,0:00:00.00,256000.000,500.000",
		ReportQEMU.Rates(1<<20, 2,
			0): "(953.674 TiB/sec and 2000000000.0000 ops/sec)",
		ReportQEMU24.Rates(0, 1,
			0): "(0 bytes/sec and 1000000.0000 ops/sec)",
		ReportQEMU24.Terse(512, 1,
			999): "512,1,0:00:00.00,512000000.000,1000000.000",
		ReportQEMU.Rates(512, 1,
			-time.Hour): "(476.837 GiB/sec and 1000000000.0000 ops/sec)",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
