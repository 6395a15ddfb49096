package args

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
)

// grammarTable was measured with read -p WORD 0 on builds of 2.4.0, 7.2.22 and 8.2.7 (10.0.2 and
// 11.1.3 agree with the last). N is non-numeric, L too large, past a number above 4 EiB. Negative
// words stood after "--".
const grammarTable = `
written 2.4 7.2 8.2
0                        0                   0                   0
1                        1                   1                   1
1b                       1                   1                   1
1B                       1                   1                   1
1k                       1024                1024                1024
1K                       1024                1024                1024
1m                       1048576             1048576             1048576
1M                       1048576             1048576             1048576
1g                       1073741824          1073741824          1073741824
1G                       1073741824          1073741824          1073741824
1t                       1099511627776       1099511627776       1099511627776
1T                       1099511627776       1099511627776       1099511627776
1p                       1125899906842624    1125899906842624    1125899906842624
1P                       1125899906842624    1125899906842624    1125899906842624
1e                       1152921504606846976 1152921504606846976 1152921504606846976
1E                       1152921504606846976 1152921504606846976 1152921504606846976
3E                       3458764513820540928 3458764513820540928 3458764513820540928
8E                       N                   L                   L
16E                      N                   L                   L
7.9E                     past                past                past
1.5k                     1536                1536                1536
1.5                      N                   N                   N
0.5k                     512                 512                 512
.5k                      512                 N                   512
1.k                      1024                1024                1024
1.                       1                   1                   1
1.5b                     N                   N                   N
0.1k                     102                 102                 102
0.0001k                  0                   0                   0
1.0                      1                   1                   1
1.9                      N                   N                   N
0.9                      N                   N                   N
0.99999999999999999999k  1024                0                   1024
1e3                      1000                N                   N
1E3                      1000                N                   N
1e+3                     1000                N                   N
1e3k                     1024000             N                   N
1.5e1k                   15360               N                   N
0x10                     16                  16                  16
0X10                     16                  16                  16
0xff                     255                 255                 255
0x1k                     1024                1024                N
0x1M                     1048576             1048576             N
0x1b                     27                  27                  27
0x1B                     27                  27                  27
0xE                      14                  14                  14
0x1E                     30                  30                  30
0x1.8                    N                   N                   N
0x1p3                    8                   N                   N
0x                       0                   N                   N
0x0                      0                   0                   0
010                      10                  10                  10
08                       8                   8                   8
+5                       5                   5                   5
+5k                      5120                5120                5120
-0                       0                   N                   L
1kk                      1024                N                   N
1kb                      1024                N                   N
1KB                      1024                N                   N
1KiB                     1024                N                   N
1Kb                      1024                N                   N
1s                       1                   N                   N
k                        N                   N                   N
x                        N                   N                   N
abc                      N                   N                   N
1x                       1                   N                   N
1_000                    1                   N                   N
1,000                    1                   N                   N
0b11                     0                   N                   N
inf                      N                   N                   N
nan                      N                   N                   N
Inf                      N                   N                   N
infinity                 N                   N                   N
1e400                    N                   N                   N
9223372036854775807      N                   past                past
9223372036854775808      N                   L                   L
18446744073709551615     N                   L                   L
18446744073709551616     N                   L                   L
9223372036854774784      past                past                past
9223372036854775296      N                   past                past
9007199254740993         9007199254740992    9007199254740993    9007199254740993
4611686018427387904      4611686018427387904 4611686018427387904 4611686018427387904
1e18                     1000000000000000000 N                   N
00000000000000000000001k 1024                1024                1024
.5                       N                   N                   N
1.1k                     1126                1126                1126
1.7k                     1740                1741                1741
0.9999k                  1023                1024                1024
0.0005k                  0                   1                   1
0.00048828125k           0                   1                   1
1.999999999999999999999k 2048                1024                2048
0.5E                     576460752303423488  576460752303423488  576460752303423488
1.5e                     1729382256910270464 1729382256910270464 1729382256910270464
1.5E3                    1500                N                   N
1.e                      1152921504606846976 1152921504606846976 1152921504606846976
5.b                      5                   5                   5
0.0                      0                   0                   0
0x7fffffffffffffff       N                   past                past
0x8000000000000000       N                   L                   L
-1                       N                   N                   L
-1k                      N                   N                   N
-0k                      0                   N                   N
`

// outcome spells what a grammar made of a word as grammarTable does.
func outcome(n Number, err error) string {
	var refused *NumberError
	switch {
	case errors.As(err, &refused) && refused.Kind == TooLarge:
		return "L"
	case err != nil:
		return "N"
	case n.Value > 1<<62:
		return "past"
	default:
		return strconv.FormatInt(n.Value, 10)
	}
}

func TestQEMUGrammars(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(grammarTable), "\n")[1:]
	for _, row := range rows {
		cells := strings.Fields(row)
		word := cells[0]
		for i, g := range []struct {
			name string
			read Grammar
		}{{"2.4", QEMU24}, {"7.2", QEMU72}, {"8.2", QEMU}} {
			if got, want := outcome(g.read(word, Env{})), cells[1+i]; got != want {
				t.Errorf("%s reads %q as %s, want %s", g.name, word, got, want)
			}
		}
	}
}

func TestGrammarEdges(t *testing.T) {
	zeros := strings.Repeat("0", 400)
	for _, c := range []struct {
		name    string
		grammar Grammar
		word    string
		want    string
	}{
		{"empty", QEMU, "", "N"},
		{"empty", QEMU72, "", "N"},
		{"empty", QEMU24, "", "N"},
		{"blank before", QEMU72, "\t5", "5"},
		{"overflow, then a suffix", QEMU72, "99999999999999999999k", "N"},
		{"overflow, then a dot", QEMU72, "99999999999999999999.", "N"},
		{"overflow before sign", QEMU72, "-99999999999999999999", "L"},
		{"sign before hex overflow", QEMU72, "-0x99999999999999999", "N"},
		{"hex overflow", QEMU72, "0x99999999999999999", "L"},
		{"product overflow in hex", QEMU72, "0x7fffffffffffffffk", "L"},
		{"trailing wins over range", QEMU72, "16Ex", "N"},
		{"fraction below a double", QEMU72, "1." + zeros + "1k", "1024"},
		{"fraction below a double", QEMU, "1." + zeros + "1k", "1024"},
		{"and unscaled", QEMU, "1." + zeros + "1", "N"},
		{"nines unscaled", QEMU, "0.99999999999999999999", "1"},
		{"nines at the top", QEMU, "18446744073709551615.99999999999999999999", "L"},
		{"negative hex", QEMU, "-0x10", "N"},
		{"negative fraction", QEMU, "-.5", "L"},
		{"negative with fraction", QEMU, "-1.5", "N"},
		{"a dot", QEMU, ".", "N"},
		{"a dot and a suffix", QEMU, ".k", "N"},
		{"hex float", QEMU24, "0x1.8k", "1536"},
		{"hex float without integer part", QEMU24, "0x.8k", "512"},
		{"dot alone", QEMU24, ".", "N"},
		{"underflow", QEMU24, "1e-400k", "N"},
		{"zero with an exponent", QEMU24, "0e-400k", "0"},
		{"hex zero with an exponent", QEMU24, "0x0p5", "0"},
		{"exponent too long for anything", QEMU24, "1e99999999999999999999", "N"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := outcome(c.grammar(c.word, Env{})); got != c.want {
				t.Errorf("%q is %s, want %s", c.word, got, c.want)
			}
		})
	}
}

func TestHexSuffixWarning(t *testing.T) {
	for word, want := range map[string]bool{
		"0x1k": true, "0X1M": true, "0x1kk": true, "0x1k.5": true, "0x7fffffffffffffffk": true,
		"0x1": false, "0x1b": false, "0x1z": false, "1k": false, "0x99999999999999999k": false,
	} {
		if n, _ := QEMU72(word, Env{}); n.HexSuffix != want {
			t.Errorf("QEMU72(%q).HexSuffix = %v, want %v", word, n.HexSuffix, want)
		}
	}
}

func TestInt32(t *testing.T) {
	if n, err := Int32("2G", Number{Value: math.MaxInt32}); n != math.MaxInt32 || err != nil {
		t.Errorf("largest int: %d, %v", n, err)
	}
	for _, v := range []int64{1 << 31, 1 << 32, 1<<32 + 512} {
		var refused *NumberError
		if _, err := Int32("x", Number{Value: v}); !errors.As(err, &refused) ||
			refused.Kind != NonNumeric {
			t.Errorf("%d: %v, want non-numeric", v, err)
		}
	}
}

func FuzzGrammars(f *testing.F) {
	for row := range strings.Lines(grammarTable) {
		if cells := strings.Fields(row); len(cells) > 0 {
			f.Add(cells[0])
		}
	}
	f.Add("1_000s")
	f.Add("end-0x10lba")
	f.Add("-0X.8p+3k")
	f.Fuzz(func(t *testing.T, word string) {
		env := Env{End: 1 << 40, Block: 4096}
		for name, g := range map[string]Grammar{
			"2.4": QEMU24, "7.2": QEMU72, "8.2": QEMU,
			"native": Native,
		} {
			n, err := g(word, env)
			var refused *NumberError
			if err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: error of type %T", name, err)
			}
			if n.Value < 0 || (err != nil && n.Value != 0) {
				t.Errorf("%s: %q is %d with error %v", name, word, n.Value, err)
			}
		}
		current, err := QEMU(word, env)
		if err != nil {
			return
		}
		native, err := Native(word, env)
		if err != nil && strings.Contains(err.Error(), "the nearest is") { // QEMU rounds a fraction
			return
		}
		if err != nil || native != current {
			t.Errorf("%q is %d, natively %d, %v", word, current.Value, native.Value, err)
		}
	})
}
