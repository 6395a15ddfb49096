package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// everyStatement is a script with each of the statements, and what it says on mem:1M.
const everyStatement = `# a comment
length # another
! read 9M 1
? read -q -P 1 0 1
if same { map } else { length }
let n = 2
let text = "$n"
repeat $n { sum -a crc32 \
  0 $((n * 4k)); length }
for i in 0..512k step 256k {
	write -q -P $((i / 256k + 1)) $i 256k
}
for i in 0 3 { read -q -P $((i / 3 + 1)) ${i}00_000 512 }
write -q --text '$n' 1000
expect 1 iszero
find --text '$n'; write -q --text $text 2k
find --text "$n"
if not ok { map }
seed 3
let a = rand(1M)
seed 3
let b = rand(1M)
read -q $a 1; read -q $((b - a)) 1
`

// TestOneGrammar: lines mean the same on standard input, in a script, in one -c and in several.
func TestOneGrammar(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s.blk")
	if err := os.WriteFile(path, []byte(everyStatement), 0o600); err != nil {
		t.Fatal(err)
	}
	several := []string{"mem:1M"}
	for line := range strings.Lines(everyStatement) {
		several = append(several, "-c", line)
	}
	var first string
	for _, r := range []run{
		{args: []string{"mem:1M"}, stdin: everyStatement},
		{args: []string{"mem:1M", "--script", path}},
		{args: []string{"mem:1M", "--script", "-"}, stdin: everyStatement},
		{args: []string{"mem:1M", "-c", "source " + path}},
		{args: []string{"mem:1M", "-c", everyStatement}},
		{args: several},
	} {
		r.dir = dir
		a, err := asBlksh.run(r)
		if first == "" {
			first = a.stdout
		}
		if err != nil || a.status != "exit 0" || a.stdout != first ||
			strings.Count(a.stdout, "1 MiB\n") != 4 || strings.Count(a.stdout, "crc32") != 2 ||
			strings.Count(a.stdout, "1000") != 2 {
			t.Errorf("%.200q: %v, %s\n%s%s", r.args, err, a.status, a.stdout, a.stderr)
		}
	}
}

// TestWhereItFailed: what fails says in which line, wherever there are lines.
func TestWhereItFailed(t *testing.T) {
	checkSpoken(t, []spoken{
		{
			args: "mem:1M", stdin: "length\n\nnonsense\n", status: "2",
			errs: "stdin:3: command \"nonsense\" not found\n  'help' lists the commands\n",
		},
		{
			args: "mem:1M", stdin: "repeat 2 {\n\tlength\n\tread 2M 1\n}\n", status: "2",
			out:  "1 MiB\n",
			errs: "stdin:3: read: out of range: the image ends at 1048576 (1 MiB)\n",
		},
		{
			args: "mem:1M -c 'length\nread $x 1'", status: "2",
			errs: "-c:2: there is no variable x; let x = ... makes one, and in quotes a $ is a $\n",
		},
		{
			args: "mem:1M", stdin: "length\nrepeat 2 {\nlength\n", status: "2",
			errs: "blksh: a block that begins at stdin:2 has no closing }\n",
		},
		{
			args: "mem:1M -c 'let n = 1 +'", status: "2",
			errs: "blksh: a number or a variable is missing at the end of the sum\n",
		},
		{
			args: "mem:1M -c 'expect 1 length'", status: "1",
			errs: "blksh: ended with status 0, and not with 1 as expected\n",
		},
		{
			args: "mem:1M -c '? read 9M 1' -c 'if same { length }'", status: "2",
			errs: "blksh: read: out of range: the image ends at 1048576 (1 MiB)\n" +
				"blksh: whether it is the same cannot be told: the last command failed otherwise\n",
		},
		{
			args: "mem:1M -c '? length' -c '?length' -c '? nonsense'", status: "0",
			errs: "blksh: command \"nonsense\" not found\n  'help' lists the commands\n",
		},
		{
			args: "mem:1M --keep-going -c 'repeat 2 { read 2M 1; length }'", status: "2",
			out: "1 MiB\n1 MiB\n",
			errs: "blksh: read: out of range: the image ends at 1048576 (1 MiB)\n" +
				"blksh: read: out of range: the image ends at 1048576 (1 MiB)\n",
		},
		{
			args: "mem:1M -c \"write -q --text '$HOME' 0\" -c \"read -q -P '\\\"$HOME\\\"' 0 5\"", status: "2",
			errs: "blksh: \"$HOME\": No such file or directory\n",
		},
	})
}

// TestSeedIsShown: a seed that nobody gave is shown, and gives the same numbers again.
func TestSeedIsShown(t *testing.T) {
	t.Parallel()
	numbers := "repeat 3 { read $((rand(end))) 1 }"
	first, err := asBlksh.run(run{args: []string{"mem:1M", "-c", numbers}})
	seed, rest, _ := strings.Cut(first.stdout, "\n")
	if err != nil || first.status != "exit 0" || !strings.HasPrefix(seed, "seed ") {
		t.Fatalf("%v, %+v", err, first)
	}
	again, err := asBlksh.run(run{args: []string{"mem:1M", "-c", seed, "-c", numbers}})
	places := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			if _, place, ok := strings.Cut(line, " at offset "); ok {
				list = append(list, place)
			}
		}
		return list
	}
	if got, want := strings.Join(places(again.stdout), ""), strings.Join(places(rest),
		""); err != nil || got != want || got == "" {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
}

// TestStatementsAtPrompt: blocks are typed over several lines, Ctrl-C drops what was begun and ends
// a loop that runs, and the status is that of the last command.
func TestStatementsAtPrompt(t *testing.T) {
	t.Parallel()
	tty := prompted(t, nil, "mem:1M")
	tty.expect(t, "rw> ")
	tty.press(t, "repeat 2 {\r", "... ")
	tty.press(t, "length\r", "... ")
	tty.press(t, "}\r", "1 MiB\r\n1 MiB\r\n", "rw> ")
	tty.press(t, "repeat 3 {\r", "... ")
	tty.press(t, "\x03", "rw> ")
	tty.press(t, "! read 9M 1\r", "rw> ")
	tty.press(t, "let n = 7\r", "rw> ")
	tty.press(t, "length; repeat 1P { read -q 0 512 }\r")
	tty.expect(t, "1 MiB\r\n") // now it runs, and Ctrl-C is a signal
	tty.press(t, "\x03", "interrupted", "rw> ")
	tty.press(t, "nonsense\r", "not found", "rw> ")
	tty.press(t, "write --text $n 0\r", "wrote 1/1 byte", "rw> ")
	tty.leave(t, "exit 0")

	tty = prompted(t, nil, "mem:1M")
	tty.expect(t, "rw> ")
	tty.press(t, "read 9M 1\r", "out of range", "rw> ")
	tty.leave(t, "exit 2")
}

// TestScriptsTopic types the statements at the top of 'help scripts': what a person copies from
// there works.
func TestScriptsTopic(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	if err := os.WriteFile(filepath.Join(dir, "other.img"), make([]byte, 1<<20),
		0o600); err != nil {
		t.Fatal(err)
	}
	help, err := asBlksh.run(run{dir: dir, args: []string{"help", "scripts"}})
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(help.stdout, "--script check.blk disk.img\n\n")
	text, _, _ = strings.Cut(text, "\n\n")
	typed := 0
	for line := range strings.Lines(text) {
		typed++
		a, err := asBlksh.run(run{dir: dir, args: []string{"-f", "raw", "raw.img", "-c", line}})
		if err != nil || a.status != "exit 0" {
			t.Errorf("%s: %v, %s, %s%s", line, err, a.status, a.stdout, a.stderr)
		}
	}
	if typed < 5 {
		t.Errorf("only %d examples in %q", typed, text)
	}
}

// TestNoSuchCommand: a word that is no command is not the failure that is expected, and nothing can
// be expected twice.
func TestNoSuchCommand(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"! raed 9M 1", "expect 2 raed 9M 1"} {
		on(t, "mem:1M", "-c", line, "-c", "length").wants(t, line, "exit 2", "",
			"command \"raed\" not found")
	}
	for _, line := range []string{"! ! read 9M 1", "!! read 9M 1", "expect 2 ! read 9M 1"} {
		on(t, "mem:1M", "-c", line).wants(t, line, "exit 2", "", "two words on what")
	}
}
