package args

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestHex(t *testing.T) {
	tests := []struct {
		word, want string // want in hex
		bad        string // part of the error
	}{
		{"DEADBEEF", "deadbeef", ""},
		{"0xdeadBEEF", "deadbeef", ""},
		{"00", "00", ""},
		{"55 aa", "55aa", ""},
		{"55:aa-00_01,02", "55aa000102", ""},
		{"", "", "no bytes"},
		{"0x", "", "column 1 stands alone"},
		{"5", "", "column 1 stands alone"},
		{"0x5", "", "column 3 stands alone"},
		{"55 a", "", "column 4 stands alone"},
		{"5 5", "", "column 1 stands alone"},
		{"55  aa", "", "column 3 is no hex digit"},
		{" 55", "", "column 1 is no hex digit"},
		{"55:", "", "column 3 is no hex digit"},
		{"55gg", "", `'g' at column 3 is no hex digit`},
		{"55é", "", "column 3 is no hex digit"},
	}
	for _, tt := range tests {
		got, err := Hex(tt.word)
		switch {
		case tt.bad != "":
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%q: %x, %v; want %q", tt.word, got, err, tt.bad)
			}
		case err != nil || hex.EncodeToString(got) != tt.want:
			t.Errorf("%q: %x, %v; want %s", tt.word, got, err, tt.want)
		}
	}
}

// FuzzHex: what is read back from the plain form is the same, and a word never gives more bytes
// than half its length.
func FuzzHex(f *testing.F) {
	for _, word := range []string{"DEADBEEF", "0x55:aa", "5", "55  aa", "0x", "a-b", "00,01"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		data, err := Hex(word)
		if err != nil {
			if data != nil {
				t.Errorf("%q: bytes and an error", word)
			}
			return
		}
		again, err := Hex(hex.EncodeToString(data))
		if err != nil || !bytes.Equal(again, data) || len(data) == 0 || len(data) > len(word)/2 {
			t.Errorf("%q: %x, then %x, %v", word, data, again, err)
		}
	})
}
