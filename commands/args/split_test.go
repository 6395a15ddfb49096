package args

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSplitSpaces(t *testing.T) {
	for line, want := range map[string][]string{
		"":                             {},
		"   ":                          {},
		"  read  0 512 ":               {"read", "0", "512"},
		"read\t0 512\r":                {"read\t0", "512\r"},
		`write -P "0 1" '#'`:           {"write", "-P", `"0`, `1"`, "'#'"},
		"open \xff\u00a0x":             {"open", "\xff\u00a0x"},
		`open json:{"driver": "null"}`: {"open", `json:{"driver":`, `"null"}`},
	} {
		if got := SplitSpaces(line); !slices.Equal(got, want) {
			t.Errorf("SplitSpaces(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestSplitNative(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{" \t\r\n", nil},
		{"\tread 0\t512\r\n", []string{"read", "0", "512"}},
		{`open "my file.img"`, []string{"open", "my file.img"}},
		{`open 'my "own" file.img'`, []string{"open", `my "own" file.img`}},
		{`open "a \"b\" \\c"`, []string{"open", `a "b" \c`}},
		{`open "a"b' c'\ d#e next`, []string{"open", "ab c d#e", "next"}},
		{`open ""`, []string{"open", ""}},
		{"open '\xff\u00fc \x80.img'", []string{"open", "\xff\u00fc \x80.img"}},
		{"open \"\x00#\"", []string{"open", "\x00#"}},
		{`open it's.img`, []string{"open", "it's.img"}},
		{`open a"b c"d`, []string{"open", `a"b`, `c"d`}},
		{`open C:\x a#b`, []string{"open", `C:\x`, "a#b"}},
		{`open #1.img`, []string{"open", "#1.img"}},
		{`open json:{"a":"b"}`, []string{"open", `json:{"a":"b"}`}},
		{`open json:{"a": {"b": [1, 2]}, "c": "} d"} -r`, []string{"open", `json:{"a": {"b": [1, 2]}, "c": "} d"}`, "-r"}},
		{`open json:{'a': 'it"s {', "b": "it's \" {"}x -r`, []string{"open", `json:{'a': 'it"s {', "b": "it's \" {"}x`, "-r"}},
		{`open 'json:{"a": "b"}'`, []string{"open", `json:{"a": "b"}`}},
		{`open -o file.filename={x y}`, []string{"open", "-o", "file.filename={x", "y}"}},
		{`write -P "abc def" 0 1k`, []string{"write", "-P", `"abc def"`, "0", "1k"}},
		{`write -P 0xff"a b"-12'c d' 0`, []string{"write", "-P", `0xff"a b"-12'c d'`, "0"}},
		{`write -P "a\" 0`, []string{"write", "-P", `"a\"`, "0"}},
		{`write -qP "a b" 0`, []string{"write", "-qP", `"a b"`, "0"}},
		{`write -P"a b" 0`, []string{"write", `-P"a b"`, "0"}},
		{`write -qP0x1"a b" 0`, []string{"write", `-qP0x1"a b"`, "0"}},
		{`write -P -P "a b"`, []string{"write", "-P", "-P", "a b"}},
		{`write -P 0xaa "a b"`, []string{"write", "-P", "0xaa", "a b"}},
		{`write -P`, []string{"write", "-P"}},
		{`write - P "a b"`, []string{"write", "-", "P", "a b"}},
	} {
		if got, err := SplitNative(c.line, false); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("SplitNative(%q) = %q, %v, want %q", c.line, got, err, c.want)
		}
	}
}

func TestSplitNativeComments(t *testing.T) {
	for line, want := range map[string][]string{
		"# all of it":           nil,
		"read 0 512 # a 'tail":  {"read", "0", "512"},
		"read 0#1":              {"read", "0#1"},
		`open "#1.img" #2`:      {"open", "#1.img"},
		"write -P '# x' 0 1 #y": {"write", "-P", "'# x'", "0", "1"},
	} {
		if got, err := SplitNative(line, true); err != nil || !slices.Equal(got, want) {
			t.Errorf("SplitNative(%q) = %q, %v, want %q", line, got, err, want)
		}
	}
}

func TestSplitNativeErrors(t *testing.T) {
	for line, want := range map[string]string{
		`open "a b`:            `column 6: the quote " has no closing "`,
		`open 'a`:              `column 6: the quote ' has no closing '`,
		`open "a" 'b" c`:       `column 10: the quote ' has no closing '`,
		`open "a"'b`:           `column 9: the quote ' has no closing '`,
		`open "a\`:             `column 6: the quote " has no closing "`,
		`open "a"\`:            `column 9: nothing follows the \`,
		`write -P "a b 0`:      `column 10: the quote " has no closing "`,
		`write -P0x1"a b 0`:    `column 12: the quote " has no closing "`,
		`open json:{"a": "b" `: `column 6: json:{ has no closing }`,
		`open json:{"a": "b }`: `column 17: the quote " has no closing "`,
		`open json:{"a\`:       `column 12: the quote " has no closing "`,
	} {
		words, err := SplitNative(line, false)
		var split *SplitError
		if !errors.As(err, &split) || err.Error() != want || words != nil {
			t.Errorf("SplitNative(%q) = %q, %v, want %s", line, words, err, want)
		}
	}
}

// Lines that people give to qemu-io in their scripts must mean natively what they mean there.
func TestSplitNativeKeepsQemuLines(t *testing.T) {
	for _, line := range []string{
		"r 1 1",
		"w -P 11 1048575 4094305",
		"w -zu 2k 512",
		"r -P0 0 512",
		"read 0 512 -P 9",
		"read -vC 0 64k",
		"writev -P 42 0 512 1024",
		"open -r -o driver=qcow2 /tmp/a.qcow2",
		"open -o driver=blkdebug,image.filename=it's.img",
		"aio_write -P 2 512 512",
		"discard 7340031 2097153",
		"reopen -o lazy-refcounts=on,cache-size=1M",
		"break write_aio A",
		"Pattern # verification",
		"  flush ",
		"",
	} {
		if got, err := SplitNative(line, false); err != nil ||
			!slices.Equal(got, SplitSpaces(line)) {
			t.Errorf("SplitNative(%q) = %q, %v, qemu-io has %q", line, got, err, SplitSpaces(line))
		}
	}
}

func FuzzSplitNative(f *testing.F) {
	for _, line := range []string{
		"read -P 0xaa 0 512 # x", `open "a b"'c'\ d`, `json:{"a": "}", 'b': {}} x`, `-qP0x1"a b" '`,
		"'\xff\\", "a\tb\r",
	} {
		f.Add(line, true)
		f.Add(line, false)
	}
	f.Fuzz(func(t *testing.T, line string, comments bool) {
		words, err := SplitNative(line, comments)
		var split *SplitError
		if err != nil {
			if !errors.As(err, &split) || split.Column < 1 || split.Column > len(line) ||
				words != nil {
				t.Errorf("SplitNative(%q) = %q, %v", line, words, err)
			}
			return
		}
		length := 0
		for _, w := range words {
			length += len(w)
		}
		if length > len(line) {
			t.Errorf("SplitNative(%q) = %q, longer than the line", line, words)
		}
		if !strings.ContainsAny(line, "\t\r\n\"'{#") && !slices.Equal(words, SplitSpaces(line)) {
			t.Errorf("SplitNative(%q) = %q, qemu-io has %q", line, words, SplitSpaces(line))
		}
	})
}
