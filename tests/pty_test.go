package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// minutes is a device whose reads take ten of them.
const minutes = "open -o driver=null-co,size=1M,latency-ns=600000000000"

// request is what a trace calls a read.
const request = "bdrv_co_preadv_part"

// shell starts the program on a terminal with raw.img open, and waits for its
// prompt. Its history is in state.
func shell(t *testing.T, p program, state string, args ...string) *terminal {
	t.Helper()
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "XDG_STATE_HOME="+state)
	tty := p.onTerminal(t, workDir(t, "raw.img"), args...)
	tty.expect(t, "> ")
	return tty
}

// bothShells runs a test with the program under each of its names.
func bothShells(t *testing.T, test func(t *testing.T, p program)) {
	for name, p := range map[string]program{"blksh": asBlksh, "qemu-io": asQemuIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

func TestTerminalCompletion(t *testing.T) {
	t.Parallel()
	bothShells(t, func(t *testing.T, p program) {
		tty := shell(t, p, t.TempDir())
		tty.press(t, "op\t", "open ")
		tty.press(t, "ra\t", "raw.img")
		tty.press(t, "\r", "> ")
		tty.press(t, "leng\t", "length")
		tty.press(t, "\r", "1 MiB", "> ")
		tty.press(t, "rea\t\t", "readv")
		tty.leavesBy(t, "\x15quit\r")
	})
}

// TestTerminalCompletesAsShells presses Tab where a flag, its value, a file or another command
// stands.
func TestTerminalCompletesAsShells(t *testing.T) {
	t.Parallel()
	p := asBlksh
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "home.img"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env[:len(p.env):len(p.env)], "HOME="+home)
	tty := shell(t, p, t.TempDir())
	for _, c := range []struct{ typed, want string }{
		{"read --pa", "read --pattern "},
		{"read --sty", "read --style "},
		{"read --style xx", "read --style xxd "},
		{"read --style=xx", "read --style=xxd "},
		{"verify_write -t cr", "verify_write -t crc"},
		{"sum -a sha5", "sum -a sha512 "},
		{"bench randw", "bench randwrite "},
		{"check -r lea", "check -r leaks "},
		{"open -t writeb", "open -t writeback "},
		{"open -f qc", "open -f qcow2 "},
		{"write -s ra", "write -s raw.img "},
		{"read -o ra", "read -o raw.img "},
		{"compare ra", "compare raw.img "},
		{"check ra", "check raw.img "},
		{"verify_job ra", "verify_job raw.img "},
		{"verify_write --journal ra", "verify_write --journal raw.img "},
		{"verify_read --dump ra", "verify_read --dump ra"},
		{"verify_read --state ra", "verify_read --state raw.img "},
		{"! open -f qc", "! open -f qcow2 "},
		{"!leng", "!length "},
		{"? siz", "? sizes "},
		{"help patt", "help patterns "},
		{"open ~/ho", "open " + home + "/home.img "},
		{"length; sum -a sha5", "length; sum -a sha512 "},
		{"let where = 64k; rep", "let where = 64k; repeat "},
		{"for i i", "for i in "},
		{"if sa", "if same "},
		{"repeat 3 { open -f qc", "repeat 3 { open -f qcow2 "},
		{"time expect 1 ver", "time expect 1 ver"},
	} {
		tty.press(t, c.typed+"\t", c.want)
		tty.press(t, "\x15")
	}
	tty.press(t, "read --\t", "--pattern", "--verbose")
	tty.press(t, "\x15read -\t", "-P, --pattern")
	tty.leavesBy(t, "\x15\x04")
}

func TestTerminalHistory(t *testing.T) {
	t.Parallel()
	bothShells(t, func(t *testing.T, p program) {
		state := t.TempDir()
		tty := shell(t, p, state, "-f", "raw", "raw.img")
		tty.press(t, "length\r", "1 MiB", "> ")
		tty.leavesBy(t, "\x04")

		path := filepath.Join(state, "blksh", "history")
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, st.Mode())
		}
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), "length\n") {
			t.Errorf("%s holds %q, %v", path, b, err)
		}

		tty = shell(t, p, state, "-f", "raw", "raw.img")
		tty.press(t, "\x1b[A", "length")
		tty.press(t, "\r", "1 MiB", "> ")
		tty.leavesBy(t, "\x04")
	})
}

// TestTerminalInterrupt presses Ctrl-C in a read that does not end by itself:
// the shell stops the command, the qemu dialects die as the original does.
func TestTerminalInterrupt(t *testing.T) {
	t.Parallel()
	bothShells(t, func(t *testing.T, p program) {
		tty := shell(t, p, t.TempDir(), "-T", request)
		tty.press(t, minutes+"\r", "\n", "> ")
		tty.press(t, "read 0 512\r")
		tty.expect(t, request) // it has begun
		tty.press(t, "\x03")
		if p.path == asQemuIO.path {
			if status := tty.end(t); status != "signal SIGINT" {
				t.Errorf("Ctrl-C: %s; shown: %q", status, tty.shown)
			}
			return
		}
		tty.expect(t, "> ")
		tty.press(t, "length\r", "1 MiB", "> ")
		tty.press(t, "\x04")
		if status := tty.end(t); !strings.HasPrefix(status, "exit ") {
			t.Errorf("Ctrl-D: %s; shown: %q", status, tty.shown)
		}
	})
}

// TestTerminalJobOverwrites wants the same question of a job, once, and none of one whose range has
// no data.
func TestTerminalJobOverwrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	job := "[global]\nbs=4k\nverify=crc32c\nrw=write\n[one]\nsize=16k\n[two]\nsize=8k\noffset=16k\nstonewall\n"
	if err := os.WriteFile(filepath.Join(dir, "job.fio"), []byte(job), 0o666); err != nil {
		t.Fatal(err)
	}
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "XDG_STATE_HOME="+dir)
	tty := p.onTerminal(t, dir, "-t", "unsafe", "mem:4M")
	tty.expect(t, "> ")
	tty.press(t, "write -q 2M 1M\r", "1M\r\n", "> ")
	tty.press(t, "verify_job job.fio\r", "job.fio\r\n", "wrote 16 KiB", "> ")
	if said := tty.shown[:tty.seen]; strings.Contains(said, "Go on?") {
		t.Errorf("of a range without data it says %q", said)
	}
	tty.press(t, "verify_job job.fio\r",
		"verify_job overwrites 16 KiB of mem, which has data. Go on? (yes/no) ")
	tty.press(t, "no\r", "is as it was", "> ")
	tty.press(t, "verify_job job.fio\r", "Go on? (yes/no) ")
	tty.press(t, "yes\r", "yes\r\n")
	asked := tty.seen
	tty.expect(t, "rw> ")
	if strings.Contains(tty.shown[asked:], "Go on?") {
		t.Errorf("it asks again: %q", tty.shown[asked:])
	}
	tty.press(t, "verify_job --read job.fio\r", "rw> ")
	tty.leave(t, "exit 0")
}

// TestTerminalOverwrites wants a question before all of an image that has data is overwritten at
// the prompt, and none where there is no data, only a part is meant, or --yes was given.
func TestTerminalOverwrites(t *testing.T) {
	t.Parallel()
	tty := shell(t, asBlksh, t.TempDir(), "-t", "unsafe", "mem:64k")
	silently := func(command, says string) {
		t.Helper()
		tty.press(t, command+"\r", command+"\r\n", says)
		said := tty.shown[:tty.seen]
		if strings.Contains(said[strings.LastIndex(said, command):], "Go on?") {
			t.Errorf("%s asks", command)
		}
		tty.expect(t, "> ")
	}
	silently("verify_write", "wrote")
	for _, command := range []string{
		"verify_write", "bench -n 1 randwrite", "verify_write 0..end",
	} {
		tty.press(t, command+"\r", "overwrites 64 KiB of mem, which has data. Go on? (yes/no) ")
		tty.press(t, "no\r", "is as it was", "> ")
	}
	silently("verify_read", "intact")
	silently("verify_write 0 4k", "wrote")
	silently("bench -n 1 read", "read")
	tty.press(t, "verify_write --seed 5\r", "Go on? (yes/no) ")
	tty.press(t, "yes\r", "wrote", "> ")
	tty.press(t, "\x04")
	if status := tty.end(t); status != "exit 0" && status != "exit 2" {
		t.Errorf("%s; shown: %q", status, tty.shown)
	}
	tty = shell(t, asBlksh, t.TempDir(), "--yes", "-t", "unsafe", "mem:64k")
	silently("write -q 0 64k", "")
	silently("verify_write", "wrote")
	on(t, "-t", "unsafe", "mem:64k", "-c", "write -q 0 64k", "-c", "verify_write").wants(t, "-c",
		"exit 0", "", "")
}

// TestPager goes through help, which is longer than the window, and through a dump that nobody
// wants to see the end of.
func TestPager(t *testing.T) {
	t.Parallel()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "NO_COLOR=1",
		"XDG_STATE_HOME="+t.TempDir())
	tty := p.onTerminal(t, t.TempDir(), "-t", "unsafe", "mem:64M")
	tty.expect(t, "> ")
	screen := tty.sized(t, 10, 80)
	tty.press(t, "help\r")
	tty.sees(t, screen, "lines 1-9   space on")
	tty.sees(t, screen, "Read and write:")
	for _, step := range []struct{ keys, sees string }{
		{" ", "lines 10-18"},
		{"b", "lines 1-9"},
		{"j\r\x1b[B", "lines 4-12"},
		{"k", "lines 3-11"},
		{"G", "(end)"},
		{"g", "lines 1-9"},
		{"/Zones\r", "Zones:"},
		{"n", "not found"},
		{"/nowhere\r", "not found"},
		{"/x\x1b", "space on"},
	} {
		tty.press(t, step.keys)
		tty.sees(t, screen, step.sees)
	}
	screen = tty.sized(t, 20, 80)
	tty.until(t, screen, "has 19 lines of text", func() bool {
		var from, to int
		last := screen.lines()[19]
		n, _ := fmt.Sscanf(last, "lines %d-%d", &from, &to)
		return n == 2 && to-from == 18
	})
	tty.press(t, "q", "\x1b[?1049l", "> ")

	tty.press(t, "length\r") // what fits is shown as ever
	tty.expect(t, "64 MiB")
	tty.expect(t, "> ")
	screen = tty.sized(t, 10, 80)
	tty.press(t, "read -v 0 64M\r") // 4 million lines, of which nobody wants to see more
	tty.sees(t, screen, "lines 1-9   space on")
	tty.press(t, " ")
	tty.sees(t, screen, "lines 10-18")
	tty.press(t, "\x03", "\x1b[?1049l", "> ")
	if !strings.HasSuffix(strings.TrimRight(tty.shown, " \b"), ">") {
		t.Errorf("something is said of a command that nobody wants more of: %q", tty.shown)
	}
	tty.leavesBy(t, "\x04")
}

// TestSmallWindows goes through help and a look at the bytes in windows of few rows, and of many
// columns: each screen is filled, and the prompt comes back.
func TestSmallWindows(t *testing.T) {
	t.Parallel()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "NO_COLOR=1",
		"XDG_STATE_HOME="+t.TempDir())
	tty := p.onTerminal(t, t.TempDir(), "-t", "unsafe", "mem:64M")
	tty.expect(t, "> ")
	for _, size := range []struct{ rows, columns int }{{5, 80}, {5, 200}, {24, 200}, {5, 40}} {
		screen := tty.sized(t, size.rows, size.columns)
		tty.press(t, "help\r")
		tty.sees(t, screen, fmt.Sprintf("lines 1-%d", size.rows-1))
		tty.press(t, "G")
		tty.sees(t, screen, "(end)")
		tty.press(t, "q", "\x1b[?1049l", "> ")
		tty.press(t, "view 4k\r")
		tty.sees(t, screen, "00001000=")
		tty.press(t, "\x1b[F\x1b[6~") // End, PageDown
		tty.press(t, "q", "\x1b[?1049l", "> ")
	}
	tty.leavesBy(t, "\x04")
}

// TestPagerProgram has the program that PAGER names show what does not fit: one that passes
// everything on, one that is left early, less, and one that is not there. None is asked for what
// fits.
func TestPagerProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pager string
		then  func(t *testing.T, tty *terminal, screen *vt)
	}{
		"cat": {"cat", func(t *testing.T, tty *terminal, _ *vt) {
			tty.expect(t, "Zones:")
			tty.expect(t, "The shell:")
			tty.expect(t, "> ")
			text := tty.shown[:strings.LastIndex(tty.shown, "Read and write:")]
			if !strings.HasSuffix(text, "\r"+strings.Repeat("\x1b[A", 8)+"\x1b[J") &&
				!strings.HasSuffix(text, "\r"+strings.Repeat("\x1b[A", 9)+"\x1b[J") {
				t.Errorf("what was shown first is not taken away: %q", text)
			}
		}},
		"left early": {"head -n 2", func(t *testing.T, tty *terminal, _ *vt) {
			tty.expect(t, "\x1b[J")
			tty.expect(t, "Read and write:\r\n")
			tty.expect(t, "\r\n")
			tty.expect(t, "> ")
		}},
		"less": {"less -R", func(t *testing.T, tty *terminal, screen *vt) {
			tty.sees(t, screen, "discard, d")
			tty.press(t, "G")
			tty.sees(t, screen, "(END)")
			tty.press(t, "q", "> ")
		}},
		"missing": {"nosuch-pager -R", func(t *testing.T, tty *terminal, screen *vt) {
			tty.sees(t, screen, "PAGER='nosuch-pager -R' cannot be run")
			tty.sees(t, screen, "Read and write:")
			tty.press(t, " ")
			tty.sees(t, screen, "lines 10-18")
			tty.press(t, "q", "\x1b[?1049l", "> ")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if word, _, _ := strings.Cut(c.pager, " "); word == "less" {
				if _, err := exec.LookPath(word); err != nil {
					without(t, "less")
				}
			}
			p := asBlksh
			p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm",
				"XDG_STATE_HOME="+t.TempDir(),
				"PAGER="+c.pager, "LESS=")
			tty := p.onTerminal(t, t.TempDir(), "mem:64M")
			tty.expect(t, "> ")
			screen := tty.sized(t, 10, 80)
			tty.press(t, "length\r", "64 MiB", "> ")
			tty.press(t, "help\r")
			c.then(t, tty, screen)
			tty.leave(t, "exit 0")
		})
	}
}

// TestPagerEnds ends the program amid a screen of text.
func TestPagerEnds(t *testing.T) {
	t.Parallel()
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TERM=xterm", "XDG_STATE_HOME="+t.TempDir())
	tty := p.onTerminal(t, t.TempDir(), "mem:64M")
	tty.expect(t, "> ")
	screen := tty.sized(t, 10, 80)
	tty.press(t, "help\r")
	tty.sees(t, screen, "lines 1-9")
	if err := tty.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tty.expect(t, "\x1b[?1049l")
	if status := tty.end(t); status != "signal SIGTERM" || !tty.cooked(t) {
		t.Errorf("%s", status)
	}
}
