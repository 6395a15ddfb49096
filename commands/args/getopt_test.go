package args

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// trace runs a parser and writes what it did, each option as "P=value", operands after "|".
func trace(longs []LongOption, name, spec string, words ...string) string {
	var out []string
	each := func(letter byte, long, value string) error {
		text := long
		if long == "" {
			text = fmt.Sprintf("%q", letter)
		}
		if value == "stop" {
			return errors.New("stopped")
		}
		out = append(out, text+"="+value)
		return nil
	}
	var operands []string
	var err error
	if longs == nil {
		operands, err = Getopt(name, spec, words,
			func(letter byte, value string) error { return each(letter, "", value) })
	} else {
		operands, err = GetoptLong(name, spec, longs, words, each)
	}
	if err != nil {
		return strings.Join(append(out, "! "+err.Error()), " ")
	}
	return strings.Join(append(append(out, "|"), operands...), " ")
}

const readSpec = "bCl:pP:qs:v"

func TestGetopt(t *testing.T) {
	for _, c := range []struct{ name, spec, line, want string }{
		{"operands only", readSpec, "0 512", "| 0 512"},
		{"options after operands", readSpec, "0 512 -P 0 -q", "'P'=0 'q'= | 0 512"},
		{"between operands", readSpec, "0 -C 512", "'C'= | 0 512"},
		{"bundled", readSpec, "-qvP0xaa 0 512", "'q'= 'v'= 'P'=0xaa | 0 512"},
		{"bundled with the next word", readSpec, "-qP 0xaa 0", "'q'= 'P'=0xaa | 0"},
		{"a value may look like an option", readSpec, "-P -q 0", "'P'=-q | 0"},
		{"a value may be --", readSpec, "-P -- 0", "'P'=-- | 0"},
		{"= is part of the value", readSpec, "-P=7", "'P'==7 |"},
		{"double dash", readSpec, "0 -- -1 -q", "| 0 -1 -q"},
		{"a dash is an operand", readSpec, "0 - 5", "| 0 - 5"},
		{"unknown letter", readSpec, "-x 0 512", "! read: invalid option -- 'x'"},
		{"unknown letter in a bundle", readSpec, "-qx 0 512", "'q'= ! read: invalid option -- 'x'"},
		{"negative number", readSpec, "-1 512", "! read: invalid option -- '1'"},
		{"long option of a command", readSpec, "--help", "! read: invalid option -- '-'"},
		{"colon is no letter", readSpec, "-:", "! read: invalid option -- ':'"},
		{"semicolon is no letter", "a;", "-;", "! read: invalid option -- ';'"},
		{"value missing", readSpec, "0 512 -P", "! read: option requires an argument -- 'P'"},
		{"callback ends it", readSpec, "-q -P stop -x", "'q'= ! stopped"},
		{"callback ends a bundle", readSpec, "-Pstop -x", "! stopped"},
		{"optional value attached", "o::q", "-ofile 1", "'o'=file | 1"},
		{"optional value absent", "o::q", "-o file", "'o'= | file"},
		{"stop at the first operand", "+qv", "-q 0 -v", "'q'= | 0 -v"},
		{"in order", "-qv", "0 -q 5 -- -v", `'\x01'=0 'q'= '\x01'=5 | -v`},
		{"quiet prefix changes nothing", ":P:", "-P", "! read: option requires an argument -- 'P'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := trace(nil, "read", c.spec, strings.Fields(c.line)...); got != c.want {
				t.Errorf("%q gives\n\t%s\nwant\n\t%s", c.line, got, c.want)
			}
		})
	}
}

func TestGetoptEmptyWord(t *testing.T) {
	if got := trace(nil, "read", readSpec, "", "-q", "-P", ""); got != "'q'= 'P'= | " {
		t.Errorf("got %q", got)
	}
}

func TestGetoptSyntaxErrorType(t *testing.T) {
	_, err := Getopt("r", "q", []string{"-x"}, func(byte, string) error { return nil })
	var syntax *OptionError
	if !errors.As(err, &syntax) || syntax.Message != "r: invalid option -- 'x'" {
		t.Errorf("got %#v", err)
	}
}

func TestGetoptKeepsWords(t *testing.T) {
	words := []string{"0", "-q", "512", "--", "7"}
	before := slices.Clone(words)
	operands, err := Getopt("read", "q", words, func(byte, string) error { return nil })
	if err != nil || !slices.Equal(operands, []string{"0", "512", "7"}) {
		t.Fatalf("operands %q, %v", operands, err)
	}
	operands[0] = "changed"
	if !slices.Equal(words, before) {
		t.Errorf("the caller's words became %q", words)
	}
}

// qemuIOLongs is the table of qemu-io 7.2, in its order, which the ambiguity message shows.
var qemuIOLongs = []LongOption{
	{"help", false, 'h'},
	{"version", false, 'V'},
	{"cmd", true, 'c'},
	{"format", true, 'f'},
	{"read-only", false, 'r'},
	{"snapshot", false, 's'},
	{"nocache", false, 'n'},
	{"copy-on-read", false, 'C'},
	{"misalign", false, 'm'},
	{"native-aio", false, 'k'},
	{"aio", true, 'i'},
	{"discard", true, 'd'},
	{"cache", true, 't'},
	{"trace", true, 'T'},
	{"object", true, 0},
	{"image-opts", false, 0},
	{"force-share", false, 'U'},
}

const qemuIOSpec = "hVc:d:f:rsnCmki:t:T:U"

// Every complaint was printed by qemu-io 7.2.22 itself.
func TestGetoptLong(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"a.img --cmd quit -r", "cmd=quit 'r'= | a.img"},
		{"--cmd=quit --format= x", "cmd=quit format= | x"},
		{"--cm quit --disc=on", "cmd=quit discard=on |"},
		{"--object=secret,id=a --im", "object=secret,id=a image-opts= |"},
		{"-rc quit -- --version", "'r'= 'c'=quit | --version"},
		{"--n", "! qemu-io: option '--n' is ambiguous; possibilities: '--nocache' '--native-aio'"},
		{"--n=5", "! qemu-io: option '--n=5' is ambiguous; possibilities: '--nocache' '--native-aio'"},
		{"--=", "! qemu-io: option '--=' is ambiguous; possibilities: '--help' '--version' '--cmd' '--format' '--read-only'" +
			" '--snapshot' '--nocache' '--copy-on-read' '--misalign' '--native-aio' '--aio' '--discard' '--cache'" +
			" '--trace' '--object' '--image-opts' '--force-share'"},
		{"--bogus=3", "! qemu-io: unrecognized option '--bogus=3'"},
		{"--read-only=x", "! qemu-io: option '--read-only' doesn't allow an argument"},
		{"--cmd", "! qemu-io: option '--cmd' requires an argument"},
		{"--cm", "! qemu-io: option '--cmd' requires an argument"},
		{"-Z", "! qemu-io: invalid option -- 'Z'"},
		{"-c", "! qemu-io: option requires an argument -- 'c'"},
		{"--cmd stop --bogus", "! stopped"},
	} {
		if got := trace(qemuIOLongs, "qemu-io", qemuIOSpec,
			strings.Fields(c.line)...); got != c.want {
			t.Errorf("%q gives\n\t%s\nwant\n\t%s", c.line, got, c.want)
		}
	}
}

func TestGetoptLongNames(t *testing.T) {
	longs := []LongOption{
		{"color", false, 'c'},
		{"colour", false, 'c'},
		{"colours", true, 'c'},
		{"step", false, 0},
		{"steps", false, 0},
	}
	for line, want := range map[string]string{
		"--colo":   "! x: option '--colo' is ambiguous; possibilities: '--color' '--colours'",
		"--color":  "color= |",
		"--colour": "colour= |",
		"--step":   "step= |",
		"--ste":    "! x: option '--ste' is ambiguous; possibilities: '--step' '--steps'",
	} {
		if got := trace(longs, "x", "c", line); got != want {
			t.Errorf("%q gives %s, want %s", line, got, want)
		}
	}
	if got := trace(longs[:2], "x", "c", "--co"); got != "color= |" {
		t.Errorf("a prefix of two names of one option gives %s", got)
	}
}

func FuzzGetopt(f *testing.F) {
	f.Add(readSpec, "0 512 -P 0 -q")
	f.Add("+ab::", "-bx --cmd -- y")
	f.Add("-:;", "--=: --n -:")
	f.Fuzz(func(t *testing.T, spec, line string) {
		words := SplitSpaces(line)
		for _, longs := range [][]LongOption{nil, qemuIOLongs} {
			options := 0
			count := func(byte, string, string) error { options++; return nil }
			var operands []string
			var err error
			if longs == nil {
				operands, err = Getopt("x", spec, words,
					func(l byte, v string) error { return count(l, "", v) })
			} else {
				operands, err = GetoptLong("x", spec, longs, words, count)
			}
			var syntax *OptionError
			if err != nil && (!errors.As(err, &syntax) || operands != nil) {
				t.Errorf("error %v with operands %q", err, operands)
			}
			if options+len(operands) > len(line) {
				t.Errorf("%d options and %q out of %q", options, operands, line)
			}
		}
	})
}
