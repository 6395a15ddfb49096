package tests

import (
	"strings"
	"testing"
)

// TestNamesInFailures fails because of a name with control characters in it: the name is shown
// whole, escaped, and in the first line.
func TestNamesInFailures(t *testing.T) {
	t.Parallel()
	const name, shown = "a\nb\x1b[31m", `a\x0ab\x1b[31m`
	null := []string{"--image-opts", "driver=null-co,size=1M"}
	for _, words := range [][]string{
		{name, "length"},
		{"-r", "x:" + name, "length"},
		{"create", name + "/x", "1M"},
		{"create", "-f", name, "x", "1M"},
		{"--script", name},
		{name},
		{"source", name},
		{"merge", name},
		{"verify_job", name},
		{"exports", name},
		{"--object", "secret,id=a,file=" + name},
		{"--dialect", name},
		{"--color", name},
		{"--" + name},
		append(null, "write", "-s", name, "0", "512"),
		append(null, "read", name),
		append(null, "bench", name),
		append(null, "sum", "-a", name),
		append(null, "map", "--svg", name+"/x"),
		append(null, "serve", "--port", "0", "--tls", name),
		append(null, "-T", name, "length"),
	} {
		said := on(t, words...).stderr
		first, _, _ := strings.Cut(said, "\n")
		if !strings.Contains(first, shown) || strings.Contains(said, "\x1b") {
			t.Errorf("%q: %q", words, said)
		}
	}
}
