package commands_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNextGoesOn: what an expression asks of the beginning of the range, or of the byte before, is
// asked of the range that find looked through, not of where next goes on.
func TestNextGoesOn(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create disk.raw 64k", "open -f raw disk.raw", "write --text aaaabba 0",
		"write --text aab 100")
	for _, c := range []struct {
		find string
		want []string
	}{
		{"find --max 1 --regex ^a 0 1k", []string{"0 (0x0)"}},
		{"find --max 1 --regex ^a 1 1k", []string{"1 (0x1)"}},
		{`find --max 1 --regex '\ba' 0 1k`, []string{"0 (0x0)", "100 (0x64)"}},
		{"find --max 1 --regex a+", []string{"0 (0x0)", "6 (0x6)", "100 (0x64)"}},
		{"find --max 1 --regex aa", []string{"0 (0x0)", "2 (0x2)", "100 (0x64)"}},
		{"find --max 1 --text aa", []string{"0 (0x0)", "2 (0x2)", "100 (0x64)"}},
	} {
		lines := []string{"open -r -f raw disk.raw", c.find}
		for range c.want {
			lines = append(lines, "next")
		}
		said, status := in(t, dir, nil, lines...)
		var found []string
		for line := range strings.Lines(said) {
			if strings.HasSuffix(line, ")\n") && !strings.Contains(line, " in ") {
				found = append(found, strings.TrimSpace(line))
			}
		}
		if !slices.Equal(found, c.want) || status != 1 {
			t.Errorf("%s: %q, status %d, not %q: %s", c.find, found, status, c.want, said)
		}
	}
}

// TestFindEnds where an image does, within its last sector, and refuses to find nothing.
func TestFindEnds(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "odd.raw"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{
		"find --hex 00": 1, "find --regex '[\\x00]'": 1, "find --text c": 0, "find --regex 'c$'": 0,
		"find --max 0 --text c": 2, "next --max 0": 2,
	} {
		if said, status := in(t, dir, nil, "open -f raw odd.raw", line); status != want {
			t.Errorf("%s: status %d, %s", line, status, said)
		}
	}
}
