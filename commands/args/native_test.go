package args

import (
	"errors"
	"math"
	"strings"
	"testing"
)

var testEnv = Env{End: 1 << 30, Block: 4096}

func TestNative(t *testing.T) {
	for word, want := range map[string]int64{
		"0": 0, "4096": 4096, "64k": 65536, "64K": 65536, "1.5k": 1536, ".5k": 512, "1.k": 1024,
		"1.500000000000000000000k": 1536, "0.9765625k": 1000, "0.0000009536743164062500M": 1,
		"7b": 7, "1e": 1 << 60,
		"0x1000": 4096, "0x1b": 27,
		"1_000_000": 1000000, "0xffff_0000": 0xffff0000, "1_0.2_5k": 10496, "1_024KiB": 1 << 20,
		"64KiB": 65536, "64kib": 65536, "1.5MiB": 3 << 19, "1GiB": 1 << 30, "1TiB": 1 << 40,
		"1PiB": 1 << 50, "1EiB": 1 << 60,
		"8s": 4096, "8S": 4096, "0x8s": 4096, "0x1es": 0x1e * 512,
		"2lba": 8192, "0x10LBA": 65536,
		"end": 1 << 30, "end-64k": 1<<30 - 65536, "end-1s": 1<<30 - 512, "end-2lba": 1<<30 - 8192,
		"end-0x10": 1<<30 - 16,
		"end+1":    1<<30 + 1, "end-1GiB": 0,
		"9223372036854775807": math.MaxInt64,
	} {
		if n, err := Native(word, testEnv); err != nil || n.Value != want {
			t.Errorf("Native(%q) = %d, %v, want %d", word, n.Value, err, want)
		}
	}
}

func TestNativeRefuses(t *testing.T) {
	for _, c := range []struct {
		word string
		kind Kind
		says string // a part of the message: what to do about it
	}{
		{"", NonNumeric, "write one such as"},
		{"abc", NonNumeric, "write one such as"},
		{"1x", NonNumeric, `"x" after "1" is no unit`},
		{"1KB", NonNumeric, "write KiB for 2^10 bytes"},
		{"1eb", NonNumeric, "write EiB for 2^60 bytes"},
		{"1kk", NonNumeric, "units are"},
		{"1e3", NonNumeric, "exponents"},
		{"1.5e+3", NonNumeric, "exponents"},
		{"0x1k", NonNumeric, `a hex number takes no "k"`},
		{"0x1MiB", NonNumeric, "a hex number takes no"},
		{"0x1.8", NonNumeric, "no fraction"},
		{"0x1.8s", NonNumeric, "no fraction"},
		{"0x", NonNumeric, "is no unit"},
		{"1.5", NonNumeric, "a fraction needs a unit"},
		{"1.5b", NonNumeric, "a fraction needs a unit"},
		{"1.5s", NonNumeric, "sectors come whole"},
		{"0.5lba", NonNumeric, "logical blocks come whole"},
		{"1.0001k", NonNumeric, "the nearest is 1024"},
		{"0.1GiB", NonNumeric, "the nearest is 107374182"},
		{"end-0.3k", NonNumeric, "not a whole number of bytes"},
		{"1.00000000000000000000000000000000000000000000000000000000000001E", NonNumeric, "the nearest is"},
		{"-1", NonNumeric, "end-N counts back"},
		{"1_", NonNumeric, "column 2"},
		{"_1", NonNumeric, "column 1"},
		{"1__0", NonNumeric, "column 2"},
		{"1_k", NonNumeric, "column 2"},
		{"0x_1", NonNumeric, "column 3"},
		{"8E", TooLarge, "8 EiB"},
		{"8EiB", TooLarge, "8 EiB"},
		{"9223372036854775808", TooLarge, "8 EiB"},
		{"99999999999999999999k", TooLarge, "8 EiB"},
		{"99999999999999999999s", TooLarge, "8 EiB"},
		{"36028797018963968s", TooLarge, "8 EiB"},
		{"9223372036854775807lba", TooLarge, "8 EiB"},
		{"end+9223372036854775807", TooLarge, "8 EiB"},
		{"end-2G", NonNumeric, "the image has 1 GiB"},
		{"end64k", NonNumeric, "write end, end-64k"},
		{"end-", NonNumeric, "write one such as"},
		{"end--5", NonNumeric, "cannot be negative"},
		{"end-end", NonNumeric, "write one such as"},
	} {
		_, err := Native(c.word, testEnv)
		var refused *NumberError
		if !errors.As(err, &refused) {
			t.Errorf("Native(%q): %v, want a NumberError", c.word, err)
			continue
		}
		if refused.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Native(%q): kind %d, %q, want kind %d and %q", c.word, refused.Kind, err,
				c.kind, c.says)
		}
	}
	for _, word := range []string{"end", "end-5", "1lba"} {
		if _, err := Native(word, Env{End: -1}); err == nil ||
			!strings.Contains(err.Error(), "before an image is open") {
			t.Errorf("Native(%q) without an image: %v", word, err)
		}
	}
}

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		word   string
		off, n int64
	}{
		{"0..64k", 0, 65536},
		{"64k..128k", 65536, 65536},
		{"8s..16s", 4096, 4096},
		{"end-64k..end", 1<<30 - 65536, 65536},
		{"1M..", 1 << 20, 1<<30 - 1<<20},
		{"..1M", 0, 1 << 20},
		{"..", 0, 1 << 30},
		{"5..5", 5, 0},
		{"1...5k", 1, 511},
	} {
		if !IsRange(c.word) {
			t.Errorf("IsRange(%q) is false", c.word)
		}
		if off, n, err := ParseRange(c.word, testEnv); off != c.off || n != c.n || err != nil {
			t.Errorf("ParseRange(%q) = %d, %d, %v, want %d, %d", c.word, off, n, err, c.off, c.n)
		}
	}
	for word, says := range map[string]string{
		"64k":       "write START..END",
		"128k..64k": "write 64k..128k",
		"x..1":      "x: ",
		"1..y":      "y: ",
		"1..2..3":   `".3" after "2." is no unit`,
	} {
		if _, _, err := ParseRange(word, testEnv); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("ParseRange(%q): %v, want %q", word, err, says)
		}
	}
	if IsRange("1.5k") {
		t.Error("a fraction is no range")
	}
}

func FuzzParseRange(f *testing.F) {
	for _, word := range []string{
		"0..64k", "..", "end-1..end", "1...2k", "9223372036854775807..0",
		"1_0..0x_",
	} {
		f.Add(word, int64(1<<30), int64(512))
	}
	f.Fuzz(func(t *testing.T, word string, end, block int64) {
		off, n, err := ParseRange(word, Env{End: end, Block: block})
		if off < 0 || n < 0 || off+n < 0 {
			t.Errorf("ParseRange(%q) = %d, %d", word, off, n)
		}
		if err != nil && (off != 0 || n != 0) {
			t.Errorf("ParseRange(%q) = %d, %d, %v", word, off, n, err)
		}
	})
}
