package repl

import (
	"slices"
	"strings"
	"testing"
)

// keysOf takes all keys; rest is what is not whole.
func keysOf(sent string) (keys []key, rest string) {
	b := []byte(sent)
	for {
		k, n := nextKey(b)
		if n == 0 {
			return keys, string(b)
		}
		b = b[n:]
		if k.kind != keyNone {
			keys = append(keys, k)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sent string
		want []key
		rest string
	}{
		{"a", []key{{keyText, "a"}}, ""},
		{"read 0\r", []key{{keyText, "read 0"}, {keyEnter, ""}}, ""},
		{"re\t", []key{{keyText, "re"}, {keyTab, ""}}, ""},
		{"re\t\t", []key{{keyText, "re"}, {keyTab, ""}, {keyTab, ""}}, ""},
		{"read\t0", []key{{keyText, "read\t0"}}, ""},
		{"\tx", []key{{keyTab, ""}, {keyText, "x"}}, ""},
		{"a\nb\rc", []key{{keyText, "a"}, {keyEnter, ""}, {keyText, "b"}, {keyEnter, ""}, {keyText, "c"}}, ""},
		{"é\xc3", []key{{keyText, "é"}}, "\xc3"},
		{"\xc3\xa9", []key{{keyText, "é"}}, ""},
		{"\xffa\u0080\u200d\ufffdb", []key{{keyText, "a"}, {keyText, "b"}}, ""},
		{"\x1b[A\x1bOB", []key{{keyEdit, "\x10"}, {keyEdit, "\x0e"}}, ""},
		{"\x1b[1;5", nil, "\x1b[1;5"},
		{"\x1b[1;5C", []key{{keyEdit, "\x1bf"}}, ""},
		{"\x1b", nil, "\x1b"},
		{"\x1b\x03", []key{{keyInterrupt, ""}}, ""},
		{"\x1b\x1b[A", []key{{keyEdit, "\x10"}}, ""},
		{"\x1b[12\x03", []key{{keyInterrupt, ""}}, ""},
		{"\x1b\x7f\x1bb", []key{{keyRubWord, ""}, {keyEdit, "\x1bb"}}, ""},
		{"\x00\x14\x1a", []key{{keySuspend, ""}}, ""},
		{"\x1b[" + strings.Repeat("1;", 20) + "R", []key{{keyText, "1;1;1;1;1;R"}}, ""},
	} {
		if keys, rest := keysOf(c.sent); !slices.Equal(keys, c.want) || rest != c.rest {
			t.Errorf("%q: %q, %q left; want %q, %q left", c.sent, keys, rest, c.want, c.rest)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("re\tad 0\r\x1b[A\x1bO\x03\xc3")
	f.Fuzz(func(t *testing.T, sent string) {
		keys, rest := keysOf(sent)
		if len(rest) > longestSequence {
			t.Errorf("%q is waited on", rest)
		}
		for _, k := range keys {
			if k.kind == keyText && (k.text == "" || !printable(k.text)) {
				t.Errorf("%q is no text", k.text)
			}
		}
	})
}
