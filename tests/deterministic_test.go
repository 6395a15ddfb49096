package tests

import (
	"strings"
	"testing"
)

// TestDeterministic runs what depends on the clock and on chance twice: both say the same, as text
// and as JSON, and no time.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	lines := []string{
		"write 0 4k", "read $((rand(end - 512))) 512", "verify_write --generation 1", "verify_read",
		"bench -n 10 randread", "bench -n 4 --runs 2 read", "time length", "aio_write 8k 4k",
		"aio_flush",
	}
	for _, json := range []bool{false, true} {
		args := []string{"--deterministic", "mem:1M"}
		if json {
			args = append(args, "--json")
		}
		for _, line := range lines {
			args = append(args, "-c", line)
		}
		first, again := on(t, args...), on(t, args...)
		if first.status != "exit 0" || first.stdout != again.stdout ||
			first.stderr+again.stderr != "" {
			t.Errorf("%s\n%s%s\n%s\n%s%s", first.status, first.stdout, first.stderr, again.status,
				again.stdout, again.stderr)
		}
		if strings.Contains(first.stdout, "/s") || strings.Contains(first.stdout, " in ") &&
			!json &&
			!strings.Contains(first.stdout, "in blocks of") {
			t.Errorf("it tells of a time: %s", first.stdout)
		}
	}
}
