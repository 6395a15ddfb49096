package args

import (
	"strings"
	"testing"
)

func TestNear(t *testing.T) {
	t.Parallel()
	names := strings.Fields(
		"aio_read length l read r readv write writev zone_report -v --pattern sha256 exit")
	for word, want := range map[string]string{
		"raed":                   "read",
		"rea":                    "read readv",
		"wirte":                  "write",
		"zone":                   "zone_report",
		"zone-report":            "zone_report",
		"lenght":                 "length",
		"--patern":               "--pattern",
		"sha":                    "sha256",
		"exit-codes":             "exit",
		"-V":                     "-v",
		"-x":                     "",
		"x":                      "",
		"nonsense":               "",
		"":                       "",
		strings.Repeat("x", 999): "",
	} {
		if got := strings.Join(Near(word, names), " "); got != want {
			t.Errorf("near %q: %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"abc", "xbc", 1},
		{"kitten", "sitting", 3},
		{"abc", strings.Repeat("x", 33), longestGuess},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
