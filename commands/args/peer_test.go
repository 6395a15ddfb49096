package args

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// dice is seeded alike in tier 1, and anew each time above it.
func dice(t *testing.T) *rand.Rand {
	seed := uint64(1)
	if blockdevtest.Tier() > 1 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// grammarOf picks the grammar of the installed qemu-io, or skips if none was measured on it.
func grammarOf(t *testing.T, qemuIO string) Grammar {
	t.Helper()
	out, err := exec.Command(qemuIO, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "qemu-io version %d.%d", &major, &minor); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	switch {
	case major == 7 && minor == 2:
		return QEMU72
	case major > 8 || (major == 8 && minor >= 2):
		return QEMU
	}
	t.Skipf("no grammar is claimed for qemu-io %d.%d", major, minor)
	return nil
}

// randomWords makes n words, half of them built like numbers and half of them noise.
func randomWords(r *rand.Rand, n int) []string {
	const noise = "0123456789.xXkKmMgGeE+-bB"
	pick := func(from string, most int) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = from[r.IntN(len(from))]
		}
		return string(b)
	}
	words := make([]string, n)
	for i := range words {
		if i%2 == 0 {
			words[i] = string(noise[r.IntN(len(noise))]) + pick(noise, 6)
			continue
		}
		number := []string{"", "", "", "+", "-", "\t"}[r.IntN(6)]
		if r.IntN(4) == 0 {
			number += "0x" + pick("0123456789abcdefABCDEF", 17)
		} else {
			number += pick("0123456789", 21)
		}
		if r.IntN(2) == 0 {
			number += "." + pick("9", 20*r.IntN(2)) + pick("0123456789", 12)
		}
		words[i] = number + pick("bkmgtpeBKMGTPE", 1) + pick("x0k.", r.IntN(2)) + "0"[:r.IntN(2)]
		if words[i] == "" {
			words[i] = "0"
		}
	}
	return words
}

var offsetReport = regexp.MustCompile(`^read 0/0 bytes at offset (\d+)$`)

// askQemuIO reads nothing at each of the words, and returns an outcome for each and the words that
// were warned about.
func askQemuIO(t *testing.T, qemuIO string, words []string) (outcomes, warned []string) {
	t.Helper()
	arguments := []string{"-c", "open -o driver=null-co,size=4611686018427387904"}
	for _, word := range words {
		arguments = append(arguments, "-c", "read -- "+word+" 0")
	}
	cmd := exec.Command(qemuIO, arguments...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	for line := range strings.Lines(stdout.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch m := offsetReport.FindStringSubmatch(line); {
		case m != nil:
			outcomes = append(outcomes, m[1])
		case strings.HasPrefix(line, "Parsing error: non-numeric"):
			outcomes = append(outcomes, "N")
		case strings.HasPrefix(line, "Parsing error: argument too large"):
			outcomes = append(outcomes, "L")
		case line == "read failed: Input/output error":
			outcomes = append(outcomes, "past")
		case !strings.HasPrefix(line, "0 bytes, 1 ops;"):
			t.Fatalf("qemu-io printed %q", line)
		}
	}
	const warning = "qemu-io: warning: Using a multiplier suffix on hex numbers is deprecated: "
	for line := range strings.Lines(stderr.String()) {
		word, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), warning)
		if !found {
			t.Fatalf("qemu-io complained: %q", line)
		}
		warned = append(warned, word)
	}
	return outcomes, warned
}

// The grammar gives what the installed qemu-io gives.
func TestGrammarAgainstQemuIO(t *testing.T) {
	qemuIO := blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	grammar := grammarOf(t, qemuIO)
	words := randomWords(dice(t), 2000)
	outcomes, warned := askQemuIO(t, qemuIO, words)
	if len(outcomes) != len(words) {
		t.Fatalf("%d outcomes of %d words", len(outcomes), len(words))
	}
	seen := map[string]int{}
	var warnings []string
	for i, word := range words {
		n, err := grammar(word, Env{})
		if n.HexSuffix {
			warnings = append(warnings, word)
		}
		if got := outcome(n, err); got != outcomes[i] {
			t.Errorf("%q is %s, qemu-io says %s", word, got, outcomes[i])
		}
		seen[outcomes[i]]++
	}
	if got, want := strings.Join(warnings, " "), strings.Join(warned, " "); got != want {
		t.Errorf("warnings for %q, qemu-io warns for %q", got, want)
	}
	if accepted := len(words) - seen["N"] - seen["L"]; accepted < 100 || seen["L"] < 10 {
		t.Errorf("only %d words were accepted and %d too large: the words are too wild", accepted,
			seen["L"])
	}
}

// The option parser gives what glibc gives, as getopt(1) shows it.
func TestGetoptAgainstGlibc(t *testing.T) {
	program := blockdevtest.Peer(t, "getopt", "util-linux")
	const spec = "abP:q::"
	longs := []LongOption{
		{"alpha", false, 0},
		{"alphabet", true, 0},
		{"beta", true, 0},
		{"best", false, 0},
	}
	vocabulary := strings.Fields(
		"-a -b -ab -P -P1 -aP -bPx -q -q2 -x -ax -: - -- 0 512 1k --alpha --alph --al --alphabet" +
			" --alphabet=1 --alpha=1 --b --be=2 --bet --beta= --bes --bes=1 --nosuch --nosuch=1 --= --a=b")
	r := dice(t)
	refused := 0
	for range blockdevtest.Rounds(150, 300, 450) {
		words := make([]string, r.IntN(5))
		for i := range words {
			words[i] = vocabulary[r.IntN(len(vocabulary))]
		}
		order := []string{"", "", "+"}[r.IntN(3)]
		got := getoptLine(order+spec, longs, words)

		cmd := exec.Command(program, append([]string{
			"-u", "-n", "prog", "-o", order + spec,
			"-l", "alpha,alphabet:,beta:,best", "--",
		}, words...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		want := strings.TrimSuffix(string(out), "\n")
		if err != nil {
			refused++
			want, _, _ = strings.Cut(stderr.String(), "\n")
		}
		if got != want {
			t.Errorf("%q\n\tis      %s\n\tgetopt: %s", words, got, want)
		}
	}
	if refused == 0 {
		t.Error("no line was refused, so no message was compared")
	}
}

// getoptLine prints a parsed line as "getopt -u" does, or the first complaint about it.
func getoptLine(spec string, longs []LongOption, words []string) string {
	line := ""
	operands, err := GetoptLong("prog", spec, longs, words,
		func(letter byte, long, value string) error {
			takes := letter == 'P' || letter == 'q'
			if long == "" {
				line += " -" + string(letter)
			} else {
				line += " --" + long
				takes = long == "beta" || long == "alphabet"
			}
			if takes {
				line += " " + value
			}
			return nil
		})
	if err != nil {
		return err.Error()
	}
	return strings.Join(append([]string{line + " --"}, operands...), " ")
}
