package script

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// shell notes what it runs. A command "fail" fails, "differ" finds other data, "quit" is the last.
type shell struct {
	said  []string
	ended bool
	stop  context.CancelFunc // called by the command "stop"
}

var errFailed = errors.New("failed")

func (s *shell) Run(_ context.Context, c Command) error {
	s.said = append(s.said, strings.Join(c.Words, "|"))
	switch c.Words[0] {
	case "fail":
		return errFailed
	case "differ":
		return event.Fail(event.NotFound{})
	case "quit":
		s.ended = true
	case "stop":
		s.stop()
	}
	return nil
}

func (s *shell) Status(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(*event.Failure)):
		return 1
	}
	return 5
}

func (s *shell) Number(word string) (int64, error) {
	n, err := args.Native(word, args.Env{End: 1 << 20})
	return n.Value, err
}

func (s *shell) Emit(e event.Event) { s.said = append(s.said, fmt.Sprintf("%+v", e)) }

func (s *shell) Fail(pos string, err error) error {
	var failure *event.Failure
	said := err.Error()
	if errors.As(err, &failure) {
		if bad, ok := failure.Event.(event.BadValue); ok {
			said = bad.Message
		}
	}
	s.said = append(s.said, "!"+pos+" "+said)
	return err
}

func (s *shell) Object(err error) error {
	s.said = append(s.said, "!"+err.Error())
	return err
}

func (s *shell) Ended() bool { return s.ended }

func (s *shell) Cut() { s.said = append(s.said, "cut") }

// play runs a script, and returns all that came of it.
func play(t *testing.T, text string, keepGoing bool) string {
	t.Helper()
	s := &shell{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.stop = cancel
	m := NewMachine(s)
	m.KeepGoing = keepGoing
	m.NewSeed = func() uint64 { return 5 << 32 }
	clock := time.Unix(0, 0)
	m.Now = func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}
	var p Parser
	for i, line := range strings.Split(text, "\n") {
		statements, err := p.Add(line, strconv.Itoa(i+1), false)
		if err != nil {
			s.Fail(strconv.Itoa(i+1), err)
			continue
		}
		if err := m.Run(ctx, statements); err != nil && !keepGoing {
			break
		}
	}
	if err := p.End(); err != nil {
		s.Fail("", err)
	}
	return strings.Join(s.said, " ")
}

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ script, want string }{
		{"# nothing\n\n  \n", ""},
		{"a b # c\nd", "a|b d"},
		{"a; stop; b", "a stop cut"},
		{"a; stop", "a stop"},
		{"a; b;c; ;", "a b;c"},
		{"multiwrite 0 1 ; 2 3; a", "multiwrite|0|1|;|2|3 a"},
		{"repeat 1 { ! multiwrite 0 1 ; 2 3 }", "multiwrite|0|1|;|2|3 !unexpected_success"},
		{"a 'x;'; b -P 1; c -P \"x;\"; d \"y\"; e json:{\"a\":1};", `a|x; b|-P|1 c|-P|"x;" d|y e|json:{"a":1}`},
		{"a \\\n  b \\\n c", "a|b|c"},
		{"a dir\\", `a|dir\`},
		{"a # \\\nb", "a b"},
		{"! fail\n?fail\n! a\nb", "fail fail a !unexpected_success"},
		{"? \n?", "? ?"},
		{"expect 5 fail; expect 1 differ; expect 0 a", "fail differ a"},
		{"expect 1 fail\na", "fail !other_status"},
		{"fail\na", "fail"},
		{"repeat 2 { a; b }", "a b a b"},
		{"repeat 0 { a }", ""},
		{"repeat 2 {\n a\n # x\n repeat 2 { b }\n}\nc", "a b b a b b c"},
		{"for i in 0..3 { a $i }", "a|0 a|1 a|2"},
		{"for i in 0..1M step 512k { a $i }", "a|0 a|524288"},
		{"for i in 1048570..end step 4 { a $i }", "a|1048570 a|1048574"},
		{
			"for i in 9223372036854775800..9223372036854775807 step 4 { a $i }",
			"a|9223372036854775800 a|9223372036854775804",
		},
		{"for f in x 'y z' \"0..2\" { a $f }", "a|x a|y z a|0..2"},
		{"let n = 2\nfor i in $n..$((n + 2)) { a ${i}k }", "a|2k a|3k"},
		{"let a = 64k * 3 - (1 + 1) % 2 / 1\nb $a", "b|196608"},
		{"let x=-2\na $((-x * 3)) $((x - -1)) $(( $x ))", "a|6 a|-1"},
		{"let t = \"a $b\"\nlet u = 'c'\nx $t$u", "x|a $bc"},
		{
			"let i = 1\nread -P \"$i\" -P $i '$i' a$ $1 $ json:{\"a\":\"$i\"}",
			`read|-P|"$i"|-P|1|$i|a$|$1|$|json:{"a":"$i"}`,
		},
		{"? fail\nif ok { a } else { b }\nif not ok { c }", "fail b"},
		{"? differ\nif same { a } else { b }", "differ b"},
		{"? fail\nif same { a }", "fail !2 whether it is the same cannot be told: the last command " +
			"failed otherwise"},
		{"a\nif same {\n b\n} else {\n c\n}", "a b"},
		{"time a; time { b }", "a {Elapsed:1s} b {Elapsed:1s}"},
		{"a $((rand(1)))", "{Seed:5} a|0"},
		{"seed 3; a $((rand(7, 8)))", "a|7"},
		{"repeat 5 { a; fail; b }", "a fail"},
		{"repeat 5 { a; quit; b }\nc", "a quit"},
		{"repeat 9000000000000000000 { stop }", "stop cut"},
		{"for i in 0..end { stop; a }", "stop cut"},
	} {
		want := strings.ReplaceAll(c.want, "a|6 a|-1", "a|6|-1|-2")
		if got := play(t, c.script, false); got != want {
			t.Errorf("%q\ngives %q\n want %q", c.script, got, want)
		}
	}
}

// TestKeepGoing: a failure ends no block where nothing ends at failures.
func TestKeepGoing(t *testing.T) {
	t.Parallel()
	if got := play(t, "repeat 2 { fail; a }\nb", true); got != "fail a fail a b" {
		t.Errorf("%q", got)
	}
}

// TestMistakes: what cannot be parsed or computed says why, and the next line is read anew.
func TestMistakes(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("repeat 1 { ", deepest+1)
	for script, want := range map[string]string{
		"a $b":                            "there is no variable b; let b = ... makes one, and in quotes a $ is a $",
		"let 1a = 2":                      "'1a' is no name for a variable: letters, digits and _ are",
		"let end = 2":                     "'end' means something in sums and cannot be a variable",
		"let a":                           "let wants a name and a value, as in: let off = 64k * 3",
		"let a = 1 +":                     "a number or a variable is missing at the end of the sum",
		"let a = (1":                      "a ) is missing at the end of the sum",
		"let a = 1 2":                     "'2' is not understood in the sum 1 2",
		"let a = 1 / 0":                   "1 / 0: nothing can be divided by 0",
		"let a = 1E * 9":                  "1152921504606846976 * 9 is beyond 64 bits",
		"let a = rand(0)":                 "rand(0, 0): no number lies there",
		"let a = 9223372036854775807 + 1": "9223372036854775807 + 1 is beyond 64 bits",
		"let a = " + strings.Repeat("(", deepestSum+1):       "a sum is nested too deep",
		"let a = " + strings.Repeat("-", deepestSum+1) + "1": "a sum is nested too deep",
		"repeat { a }":                    "repeat wants a number and a block, as in: repeat 3 { read 0 4k }",
		"repeat 3 a":                      "repeat wants a number and a block, as in: repeat 3 { read 0 4k }",
		"for i 0..3 { a }":                "for wants a name, values and a block, as in: for i in 0..10 { ... }",
		"for i in 0..3 step 0 { a }":      "a step of 0 leads nowhere",
		"if { a }":                        "if wants ok or same, which are about the last command, perhaps behind not",
		"else { a }":                      "else stands behind the } of an if, on the same line",
		"expect x a":                      "expect wants an exit status from 0 to 255, not 'x'",
		"expect 1":                        "a command is missing",
		"!":                               "a command is missing",
		"seed":                            "seed wants one number, as in: seed 7",
		"a $((1":                          "column 3: $(( has no closing ))",
		"a 'b":                            "column 3: the quote ' has no closing '",
		deep:                              "more than 16 blocks inside each other",
		"a " + strings.Repeat("x", 1<<20): "what belongs together is longer than 1 MiB",
	} {
		if got := play(t, script+"\nb", true); got != "!1 "+want+" b" {
			t.Errorf("%.60q\ngives %q\n want %q", script, got, want)
		}
	}
	for script, want := range map[string]string{
		"a\nrepeat 1 {\nb": "a ! a block that begins at 2 has no closing }",
		"a \\":             "! the last line ends in \\ and nothing follows it",
	} {
		if got := play(t, script, false); got != want {
			t.Errorf("%q\ngives %q\n want %q", script, got, want)
		}
	}
}

// TestValueIsBounded: what words become does not grow without an end.
func TestValueIsBounded(t *testing.T) {
	t.Parallel()
	text := "for a in " + strings.Repeat("x", 1000) + " {"
	for range 12 {
		text += " for a in $a$a {"
	}
	text += strings.Repeat(" }", 13)
	if got := play(t, text, false); !strings.HasSuffix(got, "$a$a becomes longer than 1 MiB") {
		t.Errorf("%.200q", got)
	}
}

func FuzzParser(f *testing.F) {
	for _, seed := range []string{
		"repeat 2 { a; b }", "for i in 0..3 step 2 { a $((i*2)) }", "if ok { a } else { b }",
		"let a = rand(3, 4) - -1", "! a \\", "expect 1 a; time { b }", "a ${b} $((", "}{;#",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p Parser
		for line := range strings.Lines(text) {
			statements, err := p.Add(strings.TrimSuffix(line, "\n"), "f:1", false)
			if err != nil && p.Open() {
				t.Fatalf("%q leaves something open", line)
			}
			if len(statements) > 0 && p.Open() {
				t.Fatalf("%q is whole and open", line)
			}
		}
		_ = p.End()
		_, _ = NewMachine(&shell{}).evaluate(text)
	})
}
