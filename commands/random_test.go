package commands_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/commands/session"
)

// nasty are words that break programs; "DIR" is a directory that is the script's.
var nasty = []string{
	"0", "1", "-1", "+1", "511", "512", "513", "4k", "64k", "65535", "1M", "4M", "8M", "8388607",
	"1E", "8E", "16E", "0x", "0x10", "0xg", "1.5", "1.5k", ".5", "1e3",
	"2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808",
	"18446744073709551615", "18446744073709551616",
	"-9223372036854775808", "0..1M", "1M..0", "...", "1M..", "..1M", "0..9223372036854775807",
	"7..7",
	"", " ", "''", "\"\"", "\"", "'", "\\", "#", ";", "-", "--", "-x", "--x=y", "=", ",", "%o",
	"%d%s%n", "\x00", "\xff", "é", "{", "json:{}", "json:{\"driver\":\"null-co\"}",
	"mem:1M", "mem:", "mem:-1", "mem:8E", "null-co://", "driver=mem,size=1M",
	"driver=null-co,size=4E,read-zeroes=on", "nosuch:", "DIR/a", "DIR/b.qcow2", "DIR",
	"DIR/none/x",
	"stamp:1", "random:7", "zero", "file:DIR/a", "\"text\"", "0xabcd", "00ff", "abc", "text",
	"crc32c", "sha512", "md5", "meta", "none", "writeback", "unsafe", "on", "off", "all",
	"leaks", "full", "metadata", "falloc", "image", "nbd:", strings.Repeat("9", 400),
	strings.Repeat("x", 3000), strings.Repeat("1,", 500),
}

// quiet are commands that a random script does not have: they end the process, or wait for longer
// than anybody does.
var quiet = []string{"abort", "sigraise", "sleep", "quit", "source"}

// script makes lines of the commands whose names begin with prefix.
func script(rnd *rand.Rand, rows []*session.Row, dir, prefix string, n int) []string {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r *session.Row) bool {
		return !strings.HasPrefix(r.Name, prefix) || slices.Contains(quiet, r.Name)
	})
	lines := make([]string, n)
	for i := range lines {
		lines[i] = strings.ReplaceAll(randomLine(rnd, rows[rnd.IntN(len(rows))]), "DIR", dir)
	}
	return lines
}

func randomLine(rnd *rand.Rand, row *session.Row) string {
	words := []string{row.Name}
	options := row.Options()
	for range rnd.IntN(4) {
		if len(options) == 0 {
			break
		}
		o := options[rnd.IntN(len(options))]
		word := "--" + o.Long
		if o.Long == "" || o.Letter != 0 && rnd.IntN(2) == 0 {
			word = "-" + string(rune(o.Letter))
		}
		words = append(words, word)
		if o.Value.Name != "" {
			words = append(words, nasty[rnd.IntN(len(nasty))])
		}
	}
	for range rnd.IntN(4) {
		if rnd.IntN(3) > 0 { // a range that is likely to be there
			words = append(words, fmt.Sprint(rnd.IntN(16)*512*(1+rnd.IntN(64))))
		} else {
			words = append(words, nasty[rnd.IntN(len(nasty))])
		}
	}
	return strings.Join(words, " ")
}

// lineTime is how long a line may go on before it is stopped as Ctrl-C would.
const lineTime = 500 * time.Millisecond

// play runs a script over an image, and returns what is wrong with that.
func play(t *testing.T, image string, lines []string) (wrong string) {
	t.Helper()
	s := newShell(t, "native", func(c *session.Config) { c.Step = false })
	s.Policy.StopAtFailure = false
	var running string
	defer func() {
		if p := recover(); p != nil {
			wrong = fmt.Sprintf("%q panics: %v\n%s", running, p, debug.Stack())
		}
	}()
	_ = s.Run(t.Context(), session.Line{Text: image})
	for _, running = range lines {
		ctx, stop := context.WithCancelCause(t.Context())
		enough := time.AfterFunc(lineTime, func() { stop(session.ErrInterrupted) })
		_ = s.Run(ctx, session.Line{Text: running})
		enough.Stop()
		stop(nil)
		s.out.Reset()
		s.errs.Reset()
	}
	running = "the end"
	ctx, stop := context.WithCancel(t.Context())
	stop() // requests in the background are given up
	s.Finish(ctx)
	if !slices.Contains([]int{0, 1, 2, 3, 4, 5, 130}, s.Status()) {
		return fmt.Sprintf("status %d", s.Status())
	}
	return ""
}

// mostMemory is what a script may make the process take from the system, in bytes.
const mostMemory = 3 << 30

// TestRandomScripts runs scripts of all commands with arguments that nobody would give: none
// panics, hangs, takes memory without end or ends with a status that is not documented. The seed of
// a script is its name.
func TestRandomScripts(t *testing.T) {
	scripts := blockdevtest.Rounds(15, 300, 4000)
	rows := newShell(t, "native").Table.Rows()
	hangs := make(chan struct{}) // closed when go test is about to give up
	if end, ok := t.Deadline(); ok {
		defer time.AfterFunc(time.Until(end)-10*time.Second, func() { close(hangs) }).Stop()
	}
	for _, kind := range []struct{ name, prefix string }{{"all", ""}, {"verify", "verify_"}} {
		for seed := range scripts {
			t.Run(fmt.Sprintf("%s/%d", kind.name, seed), func(t *testing.T) {
				dir := t.TempDir()
				t.Chdir(dir) // words of a script are names of files that it makes
				rnd := rand.New(rand.NewPCG(uint64(seed), 9))
				images := []string{
					"open mem:8M",
					"open -o driver=raw,file.driver=blkdebug,file.image.driver=mem,file.image.size=1M", "open -t writeback DIR/image",
				}
				image := strings.ReplaceAll(images[rnd.IntN(len(images))], "DIR", dir)
				s := newShell(t, "native")
				s.dialogue(t, "create -f qcow2 -o cluster_size=4k "+filepath.Join(dir, "image")+
					" 8M")
				lines := script(rnd, rows, dir, kind.prefix, 10)
				ended := make(chan string, 1)
				go func() { ended <- play(t, image, lines) }()
				var wrong string
				select {
				case wrong = <-ended:
				case <-hangs:
					wrong = "hangs"
				}
				var m runtime.MemStats
				if runtime.ReadMemStats(&m); m.Sys > mostMemory {
					wrong += fmt.Sprintf("takes %d bytes of memory", m.Sys)
				}
				if wrong != "" {
					t.Fatalf("%s\n%s\n%s", wrong, image, strings.Join(lines, "\n"))
				}
			})
		}
	}
}
