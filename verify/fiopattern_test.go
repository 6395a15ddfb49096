package verify

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// What fio 3.33 and 3.42 wrote for each pattern at offset 0 of a file; an empty
// want is refused by them.
var literalFacts = []struct{ pattern, want string }{
	{"0xdeadbeef", "deadbeefdeadbeef"},
	{"0XdeadBEEF", "deadbeefdeadbeef"},
	{"0xabc", "0abc0abc"},
	{"0x1", "0101"},
	{"0x0", "0000"},
	{"0", "0000"},
	{"66", "4242"},
	{"255", "ffff"},
	{"256", "00010001"},
	{"-1", "ffffffffffffffff"},
	{"-1024", "00fcffff00fcffff"},
	{"-100", "9cffffff9cffffff"},
	{"2147483647", "ffffff7fffffff7f"},
	{"2147483648", ""},
	{"-2147483648", "0000008000000080"},
	{"-2147483649", ""},
	{"4294967295", ""},
	{`"abcd"`, "6162636461626364"},
	{`"abc"-12"xyz"`, "616263f4ffffff78797a616263f4ffffff78797a616263f4"},
	{`"abcd"-120xdeadface`, "61626364f4ffffffdeadface61626364f4ffffffdeadface"},
	{"0xff0x14", "ff14ff14"},
	{"0xff0X1", "ff01ff01"},
	{"0x10x2", "01020102"},
	{"%o", "00000000000000000000000000000000"},
	{"0xff%o0xee", "ff0000000000000000eeff0000000000000000eeff000000"},
	{`"123"0xFFeeCC`, "313233ffeecc313233ffeecc"},
	{`-100xab"1"%o"2"`, "f6ffffffab31000000000000000032f6ffffffab31000000"},
	{"%o0xdeadbeef%o", "0000000000000000deadbeef000000000000000000000000"},
	{`%o"abcd"-120xdeadface`, "000000000000000061626364f4ffffffdeadface00000000"},
	{"0x0000", "00000000"},
	{"0x00ff00", "00ff0000ff00"},
	{"deadbeef", ""},
	{"ff", ""},
	{"0xzz", ""},
	{"0x", ""},
	{`""`, ""},
	{"", ""},
	{`"a b"`, "612062612062"},
	{`"abc`, ""},
	{"'pf.bin'", "46494c450001444154"},
	{"'pf.bin'0xff%o", "46494c450001444154ff000000000000000046494c4500"},
	{"'nope.bin'", ""},
	{"'empty.bin'", ""},
	{"%x", ""},
	{"12%o", "0c00000000000000000c"},
	{"0x12 0x34", ""},
	{"12 34", "0c220c22"},
	{`"%o"`, "256f256f"},
	{"007", "0707"},
	{"010", "0a0a"},
	{"1e3", ""},
	{"+5", "0505"},
	{`"a"0x0a"b"`, "610a62610a62"},
	{"0xff-1", "ffffffffffffffff"},
	{"1234567890", "d2029649d2029649"},
	{`1"a"2`, "016102016102"},
	{"%o%o%o%o%o%o%o%o%o", ""},
}

func testFiles(name string, limit int) ([]byte, error) {
	switch name {
	case "pf.bin":
		return []byte("FILE\x00\x01DAT")[:min(9, limit)], nil
	case "empty.bin":
		return nil, nil
	}
	return nil, errors.New("no such file")
}

func TestLiteral(t *testing.T) {
	for _, c := range literalFacts {
		pat, err := Parser{ReadFile: testFiles, Interval: 4096}.Parse(c.pattern)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s is %v, want an error", c.pattern, pat)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		want, _ := hex.DecodeString(c.want)
		got := make([]byte, len(want))
		pat.Fill(got, 0)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is %x, want %x", c.pattern, got, want)
		}
	}
}

func TestLiteralOffset(t *testing.T) {
	pat, err := Parser{Interval: 4096}.Parse(`%o"x"`)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 18)
	pat.Fill(got, 8192)
	if want := "002000000000000078002000000000000078"; hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestLiteralLimit(t *testing.T) {
	ps := Parser{Limit: 4, ReadFile: testFiles}
	if _, err := ps.Parse("0x0102030405"); err == nil {
		t.Error("a literal beyond the limit was taken")
	}
	pat, err := ps.Parse("0x01'pf.bin'")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	pat.Fill(got, 0)
	if string(got) != "\x01FIL\x01" {
		t.Errorf("got %q", got)
	}
	if _, err := ParsePattern("'pf.bin'"); err == nil {
		t.Error("a file was read without leave")
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, c := range literalFacts {
		f.Add(c.pattern, int64(0))
	}
	f.Add("random:0x10", int64(4096))
	f.Add("stamp:1", int64(512))
	f.Fuzz(func(t *testing.T, s string, interval int64) {
		ps := Parser{ReadFile: testFiles, Interval: interval}
		pat, err := ps.Parse(s)
		if err != nil {
			return
		}
		p := make([]byte, 1000)
		pat.Fill(p, 77)
		if m := Check(pat, p, 77); m != nil {
			t.Fatalf("%q does not match itself: %+v", s, m)
		}
		again, err := ps.Parse(pat.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, pat, err)
		}
		if m := Check(again, p, 77); m != nil {
			t.Fatalf("%q is not %q", s, pat)
		}
		if strings.ContainsRune(s, 0) && !strings.ContainsAny(s, `"'`) {
			t.Fatalf("%q was taken", s)
		}
	})
}
