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

// TestAbsentAdvice advises to make an image only where one is made.
func TestAbsentAdvice(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"nosuch": "makes an image", "/dev/shm/nosuch": "makes an image",
		"/dev/nosuch": "there is no such device", "/dev/../dev/nosuch": "there is no such device",
		"/proc/nosuch": "there is no such file of the system",
		"/sys/nosuch":  "there is no such file of the system",
	} {
		said := on(t, name, "length")
		if said.status != "exit 3" || !strings.Contains(said.stderr, want) ||
			strings.Count(said.stderr, "\n") != 2 {
			t.Errorf("%s: %s, %q", name, said.status, said.stderr)
		}
	}
}
