package commands

import "testing"

// FuzzParseWire reads any request. What is taken has a text that is read as the same, and no more
// data than a request may carry.
func FuzzParseWire(f *testing.F) {
	for _, text := range []string{
		"read 0 512 =ok", "write+fua 1M 4k 0x5a", "write 0 hex:00ff", "7+df+bare end-1s 0xffffffff",
		"0xffff+0x8000 -1",
		"write 0 0xffffffff 1", "trim 18446744073709551615 1 =einval", "write+bare 0 64M hex:",
	} {
		f.Add(text, uint64(1<<20))
	}
	f.Fuzz(func(t *testing.T, text string, size uint64) {
		call, err := parseWire(text, size)
		if err != nil {
			return
		}
		if len(call.Data) > mostWireData {
			t.Errorf("%q carries %d bytes", text, len(call.Data))
		}
		again, err := parseWire(call.text, size)
		if err != nil || again.Command != call.Command || again.Flags != call.Flags ||
			again.Offset != call.Offset || again.Length != call.Length {
			t.Errorf("%q is %+v, and its own text %q %+v, %v", text, call.WireRequest, call.text, again, err)
		}
	})
}
