//go:build !purego

package sectorcipher

import "testing"

// TestWipe: an expanded key does not stay.
func TestWipe(t *testing.T) {
	if !hasAES() {
		t.Skip("needs a processor with AES and AVX")
	}
	xts := newCipher(t, "aes", "xts-plain64", fill(64, 1), Unit)
	cbc := newCipher(t, "aes", "cbc-plain64", fill(32, 1), Unit)
	xts.Wipe()
	cbc.Wipe()
	x, c := xts.mode.(*fastXTS), cbc.mode.(*fastCBC)
	if x.data != (schedule{}) || x.tweak != (schedule{}) || c.schedule != (schedule{}) {
		t.Error("a key is still there")
	}
}
