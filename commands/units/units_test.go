package units

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Size(0), "0 bytes"},
		{Size(1), "1 byte"},
		{Size(1023), "1023 bytes"},
		{Size(10000), "9.766 KiB"},
		{Size(int64(1) << 40), "1 TiB"},
		{Size(^uint64(0)), "16 EiB"},
		{Exact(1), "1 byte"},
		{Exact(1024), "1 KiB (1024 bytes)"},
		{Whole(1000), "1000 bytes"},
		{Whole(65536), "64 KiB"},
		{Whole(1049088), "1 MiB (1049088 bytes)"},
		{Whole(1<<40 + 1<<30), "1.001 TiB (1100585369600 bytes)"},
		{Rough(0), "0 B"},
		{Rough(-5), "0 B"},
		{Rough(50), "50 B"},
		{Rough(1.5 * (1 << 30)), "1.50 GiB"},
		{Rate(520.735153), "520 B/s"},
		{Rate(24.7024 * (1 << 40)), "24.7 TiB/s"},
		{IOPS(0.5), "0.5 IOPS"},
		{IOPS(2170.4), "2170 IOPS"},
		{IOPS(9999.4), "9999 IOPS"},
		{IOPS(275959.9868), "276k IOPS"},
		{IOPS(9999500), "10M IOPS"},
		{IOPS(2e9), "2000M IOPS"},
		{Requests(99.96), "100"},
		{Count(0, "range", "ranges"), "0 ranges"},
		{Count(1, "range", "ranges"), "1 range"},
		{Count(uint64(3), "range", "ranges"), "3 ranges"},
		{Bytes(1), "1 byte"},
		{Bytes(10000), "10000 bytes"},
		{Time(-time.Second), "0s"},
		{Time(0), "0s"},
		{Time(445), "445ns"},
		{Time(999), "999ns"},
		{Time(1000), "1us"},
		{Time(461234), "461us"},
		{Time(999400), "999us"},
		{Time(999600), "1ms"},
		{Time(12345678), "12.3ms"},
		{Time(999600 * time.Microsecond), "1s"},
		{Time(1234 * time.Millisecond), "1.23s"},
		{Time(59940 * time.Millisecond), "59.9s"},
		{Time(59960 * time.Millisecond), "1m0s"},
		{Time(123400 * time.Millisecond), "2m3s"},
		{Time(100*time.Hour + 61*time.Second), "100h1m1s"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
