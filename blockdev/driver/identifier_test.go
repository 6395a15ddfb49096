package driver

import "testing"

func TestIsIdentifier(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "Z9": true, "a-b.c_d": true, "node0": true,
		"": false, "0a": false, "-a": false, "_a": false, "#block1": false, "a b": false,
		"ä": false, "aä": false,
		"a\n": false, "a/b": false, "[": false, "@a": false, "a{": false,
	} {
		if got := IsIdentifier(s); got != want {
			t.Errorf("IsIdentifier(%q) = %v", s, got)
		}
	}
}
