package tests

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The parts of an answer that no two runs share. Of an elapsed time the shape
// stays: every digit becomes a d.
var (
	reportLine = regexp.MustCompile(`( ops; )(\S+?(?: sec)?) \(.*?/sec and .*? ops/sec\)`)
	csvLine    = regexp.MustCompile(`(?m)^(\d+,\d+,)(\d+:\d\d:\d\d\.\d\d),[-\w.]+,[-\w.]+$`)
	uuidLine   = regexp.MustCompile(`(?m)^(\s+uuid: )\S+$`)
	itersLine  = regexp.MustCompile(`(?m)^(\s+(?:master key )?iters: )\d+$`)
	diskSize   = regexp.MustCompile(`(?m)^(\s*disk size: ).*$`)
	digit      = regexp.MustCompile(`\d`)
)

// usageText is what --help prints. Every version of qemu-io ends it by saying
// where the "available commands" are listed, and the newer ones with a link.
var usageText = regexp.MustCompile(
	`(?s)Usage: qemu-io .*?available commands\.\n(\nSee <https.*?\n(More info.*?\n)?)?`)

// usageMark stands for the text that --help prints, wherever it appears.
const usageMark = "%% the usage text printed for --help\n"

// A filter takes out of an answer what depends on the run or is prose. The zero
// filter leaves names and usage alone.
type filter struct {
	argv0 string // the program as it was started
	usage string // what it prints for --help; empty if that is not of usageText's form
}

// newFilter asks the program for its usage text.
func newFilter(p program) (filter, error) {
	a, err := p.run(run{args: []string{"--help"}})
	return filter{argv0: p.path, usage: usageText.FindString(a.stdout)}, err
}

// apply filters the answer to c.
func (f filter) apply(c *goldenCase, a answer) answer {
	if len(c.args) == 1 && c.args[0] == "--help" {
		first, _, _ := strings.Cut(a.stdout, "\n")
		a.stdout = first + "\n"
	}
	a.stdout = f.text(a.stdout)
	a.stderr = f.text(a.stderr)
	switch {
	case len(c.keys) > 0:
		a.stdout, a.stderr = "", ""
	case c.answersHelp():
		a.stdout = synopses(a.stdout)
	}
	return a
}

// text filters one stream and makes it fit for a text file.
func (f filter) text(s string) string {
	s = reportLine.ReplaceAllStringFunc(s, func(m string) string {
		g := reportLine.FindStringSubmatch(m)
		return g[1] + digit.ReplaceAllString(g[2], "d") + " (<RATE>/sec and <OPS> ops/sec)"
	})
	s = csvLine.ReplaceAllStringFunc(s, func(m string) string {
		g := csvLine.FindStringSubmatch(m)
		return g[1] + digit.ReplaceAllString(g[2], "d") + ",<BYTES_PER_SEC>,<OPS_PER_SEC>"
	})
	s = uuidLine.ReplaceAllString(s, "${1}<UUID>")
	s = diskSize.ReplaceAllString(s, "${1}<SIZE>")
	s = itersLine.ReplaceAllString(s, "${1}<N>")
	if f.argv0 != "" {
		s = strings.ReplaceAll(s, f.argv0, "<ARGV0>")
	}
	if f.usage != "" {
		s = strings.ReplaceAll(s, f.usage, usageMark)
	}
	s = visible(s)
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n" + noNewline
	}
	return s
}

// From one second on qemu-io reports elapsed times in another form.
const longTime = "; d:dd:dd.dd ("

var anyTime = regexp.MustCompile(`; (d:dd:dd\.dd|dd\.dd sec|d\.dddd sec) \(`)

// forgiveDelay is the stdout of got; but if the run was that slow as a whole,
// on a busy machine, and nothing but long forms of times makes it differ from
// want, it is want.
func forgiveDelay(want string, got answer) string {
	slow := got.took >= time.Second &&
		strings.Count(got.stdout, longTime) >= strings.Count(want, longTime)
	if slow && anyTime.ReplaceAllString(got.stdout, longTime) == anyTime.ReplaceAllString(want,
		longTime) {
		return want
	}
	return got.stdout
}

// visible shows bytes that have no place in a text file as Go escapes.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\r':
			b.WriteString(`\r`)
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// synopses leaves the lines that do not begin with a blank.
func synopses(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !strings.ContainsAny(line[:1], " \t\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}
