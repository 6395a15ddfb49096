package args

import (
	"math"
	"testing"
	"time"
)

// Every row was measured on qemu-io 7.2.22, except the empty word, which its splitter cannot make.
func TestPatternByte(t *testing.T) {
	for word, want := range map[string]int{
		"0": 0, "7": 7, "+7": 7, "010": 8, "0377": 255, "0xff": 255, "0XFF": 255, "255": 255,
		"-0": 0, "+0x0": 0, "\t7": 7,
		"": -1, "256": -1, "0x100": -1, "-1": -1, "08": -1, "0b1": -1, "0x": -1, "1k": -1, "7 ": -1,
		"-": -1, "\t": -1,
		"abc": -1, "99999999999999999999": -1, "-99999999999999999999": -1,
	} {
		got, err := PatternByte(word)
		if want < 0 {
			if err == nil || err.Error() != word+" is not a valid pattern byte" {
				t.Errorf("PatternByte(%q) = %d, %v", word, got, err)
			}
			continue
		}
		if err != nil || int(got) != want {
			t.Errorf("PatternByte(%q) = %d, %v, want %d", word, got, err, want)
		}
	}
}

func TestMilliseconds(t *testing.T) {
	for word, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Millisecond, "010": 8 * time.Millisecond,
		"0x10": 16 * time.Millisecond, "-0": 0,
		"9223372036854": 9223372036854 * time.Millisecond, "9223372036855": math.MaxInt64,
		"99999999999999999999": math.MaxInt64,
		"":                     -1, "1k": -1, "-5": -1, "0x": -1, "08": -1, "-": -1, "1.5": -1,
	} {
		got, err := Milliseconds(word)
		if want < 0 {
			if err == nil || err.Error() != word+" is not a valid number" {
				t.Errorf("Milliseconds(%q) = %v, %v", word, got, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("Milliseconds(%q) = %v, %v, want %v", word, got, err, want)
		}
	}
}

func FuzzStrtol(f *testing.F) {
	for _, word := range []string{
		"", "0", "0x", "-0x1f", "+017", "08", " 5",
		"99999999999999999999",
	} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		n, rest := strtol(word)
		if len(rest) > len(word) || word[len(word)-len(rest):] != rest {
			t.Errorf("strtol(%q) leaves %q", word, rest)
		}
		if b, err := PatternByte(word); err == nil && int64(b) != n {
			t.Errorf("PatternByte(%q) = %d, strtol says %d", word, b, n)
		}
		if d, err := Milliseconds(word); err == nil && d < 0 {
			t.Errorf("Milliseconds(%q) = %v", word, d)
		}
	})
}
