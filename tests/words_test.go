package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/args"
)

// A spoken is a start of the program and what it says: all of standard output if out is not "", all
// of standard error, or what that begins with if errs does not end a line, and the exit status. A
// line of args is split as the shell itself does; an argument of several words stands in quotes.
type spoken struct {
	args, stdin string
	out, errs   string
	status      string
}

// check starts the program in a folder with the image raw.img, 1 MiB of it, and a qcow2 image.
func (c spoken) check(t *testing.T) {
	t.Helper()
	words, err := args.SplitNative(c.args, false)
	if err != nil {
		t.Fatalf("%s: %v", c.args, err)
	}
	dir := workDir(t, "raw.img", "q.qcow2")
	a, err := asBlksh.run(run{dir: dir, args: words, stdin: c.stdin})
	if err != nil {
		t.Fatal(err)
	}
	begins := c.errs != "" && !strings.HasSuffix(c.errs, "\n") &&
		strings.HasPrefix(a.stderr, c.errs)
	if a.status != "exit "+c.status || a.stderr != c.errs && !begins ||
		c.out != "" && a.stdout != c.out {
		t.Errorf("%s (%q)\n%s, want exit %s\nstderr %s\n  want %s\nstdout %s\n  want %s", c.args,
			c.stdin, a.status, c.status, a.stderr, c.errs, a.stdout, c.out)
	}
}

func checkSpoken(t *testing.T, cases []spoken) {
	t.Helper()
	t.Parallel()
	for _, c := range cases {
		c.check(t)
	}
}

// TestStandAlone: a command that needs no image runs without one, and what is no file may be meant
// as a command.
func TestStandAlone(t *testing.T) {
	const version = "Could not open '%': No such file or directory\n"
	absent := func(name, advice string) string {
		return "blksh: can't open device " + name + ": " +
			strings.ReplaceAll(version, "%", name) + "  " + advice + "\n"
	}
	checkSpoken(t, []spoken{
		{args: "help flush", status: "0"},
		{args: "version", status: "0"},
		{args: "capabilities", status: "0"},
		{args: "images", status: "0"},
		{args: "create new.img 1M", out: "created new.img: raw, 1 MiB (1048576 bytes)\n", status: "0"},
		{args: "check q.qcow2", status: "0"},
		{args: "verify_job none.fio", errs: "blksh: none.fio: No such file or directory\n", status: "2"},
		{args: "hepl read", errs: absent("hepl", "did you mean help?"), status: "3"},
		{args: "rad", errs: absent("rad", "did you mean read?"), status: "3"},
		{args: "trim", errs: absent("trim", "did you mean discard?"), status: "3"},
		{
			args:   "read 0 512",
			errs:   absent("read", "read is a command for an image; its name comes first: FILE read"),
			status: "3",
		},
		{
			args: "find --text x", status: "3",
			errs: absent("find", "find is a command for an image; its name comes first: FILE find"),
		},
		{
			args: "none.img length", status: "3",
			errs: absent("none.img", "'create -f FORMAT none.img SIZE' makes an image"),
		},
	})
}

// TestOptionOrder: it does not matter which of the options comes first, also of those that end the
// program at once.
func TestOptionOrder(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	for _, calls := range [][2]string{
		{"--json --version", "--version --json"},
		{"--json --help", "--help --json"},
		{"--json --licenses", "--licenses --json"},
		{"-r -f raw raw.img length", "-f raw -r raw.img length"},
		{"-f raw -c length --json raw.img", "--json raw.img -c length -f raw"},
	} {
		var said [2]answer
		for i, call := range calls {
			var err error
			said[i], err = asBlksh.run(run{dir: dir, args: strings.Fields(call)})
			if err != nil || said[i].status != "exit 0" || said[i].stdout == "" {
				t.Fatalf("%s: %v, %v", call, said[i], err)
			}
		}
		if said[0].stdout != said[1].stdout || said[0].stderr != said[1].stderr {
			t.Errorf("%s: %v, %s: %v", calls[0], said[0], calls[1], said[1])
		}
	}
}

// TestNames: a command may be called by its other names, and a name that is near one is offered.
func TestNames(t *testing.T) {
	unknown := func(name, advice string) string {
		return "blksh: command \"" + name + "\" not found\n  " + advice + "\n"
	}
	checkSpoken(t, []spoken{
		{args: "mem:1M", stdin: "exit\nnonsense\n", status: "0"},
		{args: "mem:1M", stdin: "bye\nnonsense\n", status: "0"},
		{args: "mem:1M -c aio-flush -c verify-write", status: "0"},
		{args: "mem:1M -c trim", errs: unknown("trim", "did you mean discard?"), status: "2"},
		{args: "mem:1M -c zero", errs: unknown("zero", "did you mean write -z?"), status: "2"},
		{args: "mem:1M -c hexdump", errs: unknown("hexdump", "did you mean read -v?"), status: "2"},
		{args: "mem:1M -c checksum", errs: unknown("checksum", "did you mean sum or check?"), status: "2"},
		{args: "mem:1M -c size", errs: unknown("size", "did you mean length?"), status: "2"},
		{args: "mem:1M -c wipe", errs: unknown("wipe", "did you mean write -z or wire?"), status: "2"},
		{args: "mem:1M -c grep", errs: unknown("grep", "did you mean find --regex?"), status: "2"},
		{args: "mem:1M -c stat", errs: unknown("stat", "did you mean info?"), status: "2"},
		{args: "mem:1M -c x", errs: unknown("x", "'help' lists the commands"), status: "2"},
		{
			args:   "help devices",
			errs:   "blksh: command \"devices\" not found\n  did you mean help safety?\n",
			status: "2",
		},
		{
			args:   "help exit-codes",
			errs:   "blksh: command \"exit-codes\" not found\n  did you mean help status?\n",
			status: "2",
		},
		{
			args: "-t wrietback mem:1M", status: "2",
			errs: "blksh: -t takes none, writeback, writethrough, directsync or unsafe, not 'wrietback'\n" +
				"  did you mean writeback?\n",
		},
		{
			args: "-i ring mem:1M", status: "2",
			errs: "blksh: -i takes threads, native or io_uring, not 'ring'\n",
		},
		{args: "-d no mem:1M", errs: "blksh: -d takes ignore or unmap, not 'no'\n", status: "2"},
		{
			args: "--dialect qemu-8 mem:1M", status: "2",
			errs: "blksh: there is no dialect qemu-8, only native, qemu, qemu-7.2 and qemu-2.4\n",
		},
		{
			args: "--completion fsh", status: "2",
			errs: "blksh: --completion takes bash, fish or zsh, not 'fsh'\n  did you mean fish or zsh?\n",
		},
		{
			args: "--jsn mem:1M", status: "2",
			errs: "blksh: there is no option --jsn\n  did you mean --json?\n  --help lists the options\n",
		},
		{
			args: "mem:1M -c 'check -r leeks'", status: "2",
			errs: "blksh: -r takes leaks or all, not 'leeks'\n  did you mean leaks?\n",
		},
		{
			args: "mem:1M -c 'break write_aoi A'", status: "2",
			errs: "blksh: the image has no layer that holds requests at breakpoints\n" +
				"  'open blkdebug::FILE' opens one with such a layer\n",
		},
		{
			args: "blkdebug::raw.img -c 'break write_aoi A'", status: "2",
			errs: "blksh: there is no event write_aoi\n  did you mean write_aio?\n",
		},
		{
			args: "blkdebug::raw.img -c 'wait_break A'", status: "2",
			errs: "blksh: no request is on its way to breakpoint A\n",
		},
	})
}

// TestBadOptions: an option that is none, or has a value that it cannot have, is answered with
// those that there are, wherever options are given.
func TestBadOptions(t *testing.T) {
	open := func(name, why, advice string) string {
		return "blksh: can't open" + name + ": " + why + "\n  " + advice + "\n"
	}
	checkSpoken(t, []spoken{
		{
			args: "-f qcow mem:1M", status: "3",
			errs: open(" device mem:1M", "Unknown driver 'qcow'", "did you mean qcow2?"),
		},
		{args: "-f foo mem:1M", errs: "blksh: can't open device mem:1M: Unknown driver 'foo'\n  there can be ", status: "3"},
		{
			args: "--image-opts driver=null-co,sizes=1M", status: "3",
			errs: open("", "Block protocol 'null-co' doesn't support the option 'sizes'", "did you mean size?"),
		},
		{
			args: "-c 'open -o driver=mem,size=1M,foo=1'", status: "3",
			errs: open("", "Block protocol 'mem' doesn't support the option 'foo'", "there can be size or limit"),
		},
		{
			args: "-c 'create -f qcow2 -o preallocation=no new.qcow2 1M'", status: "2",
			errs: "blksh: create new.qcow2: Parameter 'preallocation' does not accept value 'no'; " +
				"there can be off, metadata, falloc or full\n",
		},
		{
			args: "-c 'create -f qcow2 -o clustersize=4k new.qcow2 1M'", status: "2",
			errs: "blksh: create new.qcow2: Invalid parameter 'clustersize'; there can be compat, cluster_size,",
		},
		{
			args: "-c 'create -f qcow2 -o compat=9 new.qcow2 1M'", status: "2",
			errs: "blksh: create new.qcow2: Invalid compatibility level: '9'; there are 0.10 (or v2) and 1.1 (or v3)\n",
		},
		{
			args: "q.qcow2 amend -o lazy=on", status: "2",
			errs: "blksh: amend: Invalid parameter 'lazy'; there can be compat, lazy_refcounts,",
		},
		{
			args: "-c 'measure -f qcow2 -o foo=1 --size 1M'", status: "2",
			errs: "blksh: measure: Invalid parameter 'foo'; there can be compat,",
		},
	})
}

// TestWrongWords: what is said of a call names the word that is wrong.
func TestWrongWords(t *testing.T) {
	usage := func(command, why, usage string) string {
		return "blksh: " + command + ": " + why + "\n" + "  usage: " + command + usage +
			"\n  'help " + command + "' says more\n"
	}
	checkSpoken(t, []spoken{
		{
			args: "mem:1M -c truncate", status: "2",
			errs: usage("truncate", "off is missing", " [--shrink] [-m prealloc_mode] off"),
		},
		{
			args: "mem:1M -c 'truncate 1 2'", status: "2",
			errs: usage("truncate", "'2' is one word too many",
				" [--shrink] [-m prealloc_mode] off"),
		},
		{
			args: "mem:1M -c 'truncate 1 2 3'", status: "2",
			errs: usage("truncate", "'2' and what follows it are too many words",
				" [--shrink] [-m prealloc_mode] off"),
		},
		{args: "mem:1M -c 'read --all 0 1k'", errs: "blksh: read: -P PATTERN is missing\n  usage: read", status: "2"},
		{args: "mem:1M -c 'write --all 0 1k'", errs: "blksh: write: --verify is missing\n  usage: write", status: "2"},
		{args: "mem:1M -c 'discard --all 0 1k'", errs: "blksh: discard: --verify is missing\n  usage: discard", status: "2"},
		{args: "mem:1M -c 'length 1'", errs: usage("length", "'1' is one word too many", ""), status: "2"},
		{args: "mem:1M -c 'length -x'", errs: usage("length", "there is no option -x", ""), status: "2"},
		{args: "mem:1M -c 'quit now'", errs: usage("quit", "'now' is one word too many", ""), status: "2"},
		{args: "mem:1M -c break", errs: usage("break", "event and tag are missing", " event tag"), status: "2"},
		{
			args: "mem:1M -c 'zone_append 0 4k'", status: "2",
			errs: "blksh: zone append failed: Operation not supported\n" +
				"  the disk has no zones\n",
		},
		{
			args: "mem:1M -c 'find abc'", status: "2",
			errs: "blksh: find: --text TEXT",
		},
		{
			args: "mem:1M -c 'sleep soon'", status: "2",
			errs: "blksh: soon: not a time; write one such as 1500, 1500ms, 1.5s or 2m\n",
		},
		{
			args: "mem:1M -c 'sleep 99999999999999999999'", status: "2",
			errs: "blksh: sleep takes at most a day, 86400000 milliseconds\n",
		},
		{args: "mem:1M -c 'sleep 0.001s' -c 'sleep 1ms'", status: "0"},
		{
			args: "mem:1M -c 'write -P boot 0 512'", status: "2",
			errs: "blksh: pattern \"boot\": \"boot\" is neither a number of 32 bits nor a text in quotes, " +
				"which a shell takes as '\"text\"'\n",
		},
		{
			args: "mem:1M -c 'read 1M 1'", status: "2",
			errs: "blksh: read: out of range: the image ends at 1048576 (1 MiB)\n",
		},
		{
			args: "mem:1M -c 'iszero --first 1G'", status: "2",
			errs: "blksh: iszero: out of range: the image ends at 1048576 (1 MiB)\n",
		},
		{
			args: "mem:1M read 1.0001k", status: "2",
			errs: "blksh: 1.0001k: not a whole number of bytes; the nearest is 1024\n",
		},
		{
			args: "mem:1M iszero --all --first", status: "2",
			errs: "blksh: --all and --first do not go together\n",
		},
		{
			args: "mem:1M write -c 0 64k", status: "2",
			errs: "blksh: write failed: Operation not supported\n" +
				"  an image of this kind holds no compressed clusters\n",
		},
		{
			args: "-r raw.img -c 'write 0 1'", status: "2",
			errs: "blksh: the image is open for reading only\n" +
				"  -r was asked for; 'reopen -w' allows writing\n",
		},
		{args: "-r -w raw.img length", errs: "blksh: -r and -w contradict each other\n", status: "2"},
	})
}

// TestMissingFiles: a file that is not there is one fault with one status, whichever command wants
// it, and no advice is given that does not help.
func TestMissingFiles(t *testing.T) {
	const missing = "nosuch: No such file or directory\n"
	image := "blksh: can't open device nosuch: Could not open 'nosuch': No such file or directory\n"
	checkSpoken(t, []spoken{
		{args: "--script nosuch", errs: "blksh: " + missing, status: "2"},
		{args: "-c 'source nosuch'", errs: "blksh: " + missing, status: "2"},
		{args: "mem:1M verify_job nosuch", errs: "blksh: " + missing, status: "2"},
		{args: "mem:1M write -s nosuch 0 1", errs: "blksh: " + missing, status: "2"},
		{args: "mem:1M -c \"write -P 'nosuch' 0 1\"", errs: "blksh: " + missing, status: "2"},
		{args: "mem:1M verify_read -t crc7 --state nosuch", errs: "blksh: " + missing, status: "2"},
		{args: "check nosuch", errs: image, status: "3"},
		{args: "mem:1M compare nosuch", errs: image, status: "3"},
	})
}

// TestLocksAdvice tells of -r and -U as far as they were not given.
func TestLocksAdvice(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "q.qcow2")
	release, err := asBlksh.as("qemu-7.2").hold(dir, []string{"q.qcow2"})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for options, advice := range map[string]string{
		"":   "-r with -U looks at it while others write",
		"-U": "with -r it is only looked at",
		"-r": "-U looks at it while others write",
	} {
		words := append(strings.Fields(options), "q.qcow2", "length")
		a, err := asBlksh.run(run{dir: dir, args: words})
		lines := strings.Split(strings.TrimSpace(a.stderr), "\n")
		if err != nil || a.status != "exit 4" || strings.TrimSpace(lines[len(lines)-1]) != advice {
			t.Errorf("%q: %v, %s, %s", options, err, a.status, a.stderr)
		}
	}
}

// TestTemporaryFolder: what a missing folder for -s is about is not the image.
func TestTemporaryFolder(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	p := asBlksh
	p.env = append(p.env[:len(p.env):len(p.env)], "TMPDIR="+filepath.Join(dir, "nosuch"))
	a, err := p.run(run{dir: dir, args: []string{"-s", "raw.img", "length"}})
	want := "blksh: can't open device raw.img: Could not get temporary filename in '" +
		filepath.Join(dir, "nosuch") + "': No such file or directory\n"
	if err != nil || a.status != "exit 3" || a.stderr != want {
		t.Errorf("%v, %s, %s", err, a.status, a.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "raw.img")); err != nil {
		t.Error(err)
	}
}

// TestSizesAlike: a size is written the same way wherever one is.
func TestSizesAlike(t *testing.T) {
	mib := "1 MiB\n"
	checkSpoken(t, []spoken{
		{args: "mem:1MiB length", out: mib, status: "0"},
		{args: "mem:2048s length", out: mib, status: "0"},
		{args: "mem:1_048_576 length", out: mib, status: "0"},
		{args: "--image-opts driver=mem,size=1MiB length", out: mib, status: "0"},
		{args: "'json:{\"driver\":\"mem\",\"size\":\"1MiB\"}' length", out: mib, status: "0"},
		{
			args: "--image-opts driver=raw,offset=1s,size=1MiB,file.driver=mem,file.size=2MiB length",
			out:  mib, status: "0",
		},
		{args: "-c 'create -f qcow2 -o cluster_size=128s n.qcow2 1MiB'", status: "0"},
		{args: "-c 'create -f qcow2 -o cluster_size=64KiB n.qcow2 2048s'", status: "0"},
		{args: "-c 'open -o driver=mem,size=1MiB' -c length", out: mib, status: "0"},
		{
			args: "mem:64MB length", status: "3",
			errs: "blksh: can't open device mem:64MB: Parameter 'size': 64MB: \"MB\" after \"64\" " +
				"is no unit; write MiB for 2^20 bytes\n",
		},
		{
			args: "mem:lots length", status: "3",
			errs: "blksh: can't open device mem:lots: Parameter 'size': lots: not a number; " +
				"write one such as 4096, 64k, 1.5MiB, 0x1000, 8s or end-64k\n",
		},
	})
}
