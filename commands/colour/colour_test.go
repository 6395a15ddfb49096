package colour

import (
	"slices"
	"testing"
)

func TestFor(t *testing.T) {
	for _, c := range []struct {
		when     When
		terminal bool
		env      map[string]string
		want     Palette
	}{
		{Auto, true, map[string]string{"TERM": "xterm"}, true},
		{Auto, true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{Auto, true, map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true},
		{Auto, true, map[string]string{"TERM": "dumb"}, false},
		{Auto, true, nil, false},
		{Auto, false, map[string]string{"TERM": "xterm"}, false},
		{Always, false, map[string]string{"TERM": "dumb", "NO_COLOR": "1"}, true},
		{Never, true, map[string]string{"TERM": "xterm"}, false},
	} {
		if got := For(c.when, c.terminal,
			func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestPaint(t *testing.T) {
	if got := Palette(true).Paint(Wrong, "00"); got != "\x1b[1;31m00\x1b[m" {
		t.Errorf("%q", got)
	}
	for _, text := range []string{
		Palette(false).Paint(Wrong, "00"), Palette(true).Paint(Plain, "00"),
	} {
		if text != "00" {
			t.Errorf("%q", text)
		}
	}
	if got := Palette(true).Paint(Wrong, ""); got != "" {
		t.Errorf("%q", got)
	}
}

// TestReadable: no role looks like one of the shades that vanish on a light or on a dark
// background.
func TestReadable(t *testing.T) {
	bad := []string{"30", "33", "34", "37", "90", "93", "94", "97"}
	for role, code := range codes {
		if slices.Contains(bad, code[max(0, len(code)-2):]) {
			t.Errorf("role %d is %s", role, code)
		}
	}
}
