package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/dialect"
)

// started runs the program with nothing to read and returns what it said: stdout, then stderr with
// each line behind "!".
func started(t *testing.T, argv ...string) (said string, status int) {
	t.Helper()
	dir := t.TempDir()
	var files [2]*os.File
	for i := range files {
		f, err := os.Create(filepath.Join(dir, string(rune('a'+i))))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	status = run(argv, null, files[0], files[1])
	var b strings.Builder
	for i, f := range files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if i == 1 {
				b.WriteByte('!')
			}
			b.WriteString(line)
		}
	}
	return b.String(), status
}

// TestOptions holds the options of the process to what qemu-io 7.2.22 and 11.1.3 say to them.
func TestOptions(t *testing.T) {
	events := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(events, []byte("nosuch\nbdrv_co_preadv_part\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
		status     int
	}{
		{"-c|length|--image-opts|driver=null-co,size=1M", "1 MiB\n", 0},
		{"-t|bogus", "!qemu-io: Invalid cache option: bogus\n", 1},
		{"-d|bogus", "!qemu-io: Invalid discard option: bogus\n", 1},
		{"-i|bogus", "!qemu-io: Invalid aio option: bogus\n", 1},
		{"--image-opts|-f|raw|-c|quit", "!qemu-io: --image-opts and -f are mutually exclusive\n", 1},
		{"--image-opts|-c|quit|x", "!qemu-io: warning: short-form boolean option 'x' deprecated\n!Please use x=on instead\n!qemu-io: can't open: Must specify either driver or file\n", 1},
		{"-c|quit|/nonexistent/x", "!qemu-io: can't open device /nonexistent/x: Could not open '/nonexistent/x': No such file or directory\n", 1},
		{"-c|quit|", "!qemu-io: can't open device : The 'file' block driver requires a file name\n", 1},
		{"-T|nosuch|-c|quit", "!qemu-io: warning: trace event 'nosuch' does not exist\n", 0},
		{"-T|events=/nonexistent|-c|quit", "!qemu-io:/nonexistent: No such file or directory\n", 1},
		{"-T|bogus=1|-c|quit", "!qemu-io: Invalid parameter 'bogus'\n", 1},
		{"-T|events=" + events + "|-c|quit", "!qemu-io:" + events + ":1: warning: trace event 'nosuch' does not exist\n", 0},
		{
			"-T|bdrv_co_p*|--image-opts|-c|read -q 0 512|driver=null-co,node-name=disk,size=1M",
			"!bdrv_co_preadv_part bs disk(null-co) offset 0 bytes 512 flags 0x0\n", 0,
		},
		{"--object|bogus,id=x|-c|quit", "!qemu-io: Parameter 'qom-type' does not accept value 'bogus'\n", 1},
		{"--object|id=x|-c|quit", "!qemu-io: Parameter 'qom-type' is missing\n", 1},
		{"--object|secret,data=1|-c|quit", "!qemu-io: Parameter 'id' is missing\n", 1},
		{"--object|secret,id=x|-c|quit", "!qemu-io: Either 'file' or 'data' must be provided\n", 1},
		{"--object|secret,id=x,data=1,file=y|-c|quit", "!qemu-io: 'file' and 'data' are mutually exclusive\n", 1},
		{"--object|secret,id=x,data=1,y=z|-c|quit", "!qemu-io: Parameter 'y' is unexpected\n", 1},
		{"--object|secret,id=x,data=1,format=y|-c|quit", "!qemu-io: Parameter 'format' does not accept value 'y'\n", 1},
		{"--object|secret,id=x,data=1|--object|secret,id=x,data=1|-c|quit", "!qemu-io: attempt to add duplicate property 'x' to object (type 'container')\n", 1},
		{
			"--object|secret,id=1,data=1|-c|quit",
			"!qemu-io: Parameter 'id' expects an identifier\n!Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n", 1,
		},
		{"--object|secret,id=x,data=MTIz,format=base64|-c|quit", "", 0},
		{"", "qemu-io> ", 0},
	} {
		argv := []string{"qemu-io"}
		if test.args != "" {
			argv = append(argv, strings.Split(test.args, "|")...)
		}
		if got, status := started(t, argv...); got != test.want || status != test.status {
			t.Errorf("%q: status %d, want %d\n got %q\nwant %q", test.args, status, test.status,
				got, test.want)
		}
	}
}

// TestEmptyNames: an option whose value names something is not taken for one that is not there.
func TestEmptyNames(t *testing.T) {
	naming := 0
	for _, o := range dialect.NativeOptions() {
		if kind := o.Value.Type; !kind.Names() && kind != args.TypeFormat {
			continue
		}
		naming++
		want := "!blksh: " + o.Spellings()[0] + " takes a value, not an empty one\n"
		for _, option := range o.Spellings() {
			got, status := started(t, "blksh", option, "", "mem:1M", "length")
			if got != want || status != 2 {
				t.Errorf("%s: status %d: %q", option, status, got)
			}
		}
	}
	if naming < 3 { // -f, --undo, --script
		t.Errorf("%d options name something", naming)
	}
}

// TestTraceFile: a trace takes the place of text, and of nothing that could be an image, also
// before any image is open.
func TestTraceFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, before string
		taken        bool
	}{
		{"new", "", true},
		{"text", "an older trace\n", true},
		{"image", string(make([]byte, 4096)), false},
		{"device", "", false},
	} {
		name := filepath.Join(dir, c.name)
		switch {
		case c.name == "device":
			name = "/dev/random"
		case c.name != "new":
			if err := os.WriteFile(name, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, status := started(t, "qemu-io", "-T", "enable=bdrv_co_p*,file="+name, "--image-opts",
			"-c", "read -q 0 512", "driver=null-co,size=1M")
		if c.taken != (status == 0) || c.taken != (got == "") {
			t.Errorf("%s: status %d, %q", c.name, status, got)
		}
		if c.name == "device" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil || c.taken != strings.HasPrefix(string(text), "bdrv_co_preadv_part") ||
			!c.taken && string(text) != c.before {
			t.Errorf("%s: it holds %d bytes, %v", c.name, len(text), err)
		}
	}
}

// TestChoice wants the dialect by option, environment and name, in this order; under the name of
// another they must be written in full.
func TestChoice(t *testing.T) {
	for _, test := range []struct {
		env, args, want string
		status          int
	}{
		{"", "blksh|--dialect|qemu-2.4|-c|reopen", "!command \"reopen\" not found\n", 0},
		{"", "blksh|--dialect=qemu-7.2|-c|multiwrite", "!command \"multiwrite\" not found\n", 1},
		{"", "qemu-io|--step|--dialect=qemu-2.4|-c|reopen", "!command \"reopen\" not found\n", 0},
		{"qemu-2.4", "qemu-io|-c|reopen", "!command \"reopen\" not found\n", 0},
		{"qemu-2.4", "blksh|--dialect|qemu|-c|multiwrite", "!command \"multiwrite\" not found\n", 1},
		{"", "blksh|--dialect|nosuch", "!blksh: there is no dialect nosuch, only native, qemu, qemu-7.2 and qemu-2.4\n", 2},
	} {
		t.Setenv("BLKSH_DIALECT", test.env)
		if got, status := started(t, strings.Split(test.args, "|")...); got != test.want ||
			status != test.status {
			t.Errorf("%q: status %d, want %d\n got %q\nwant %q", test.args, status, test.status,
				got, test.want)
		}
	}
	t.Setenv("BLKSH_DIALECT", "")
	for _, words := range []string{"qemu-io --dialec qemu", "qemu-io --ste", "qemu-io --bogus"} {
		got, status := started(t, strings.Fields(words)...)
		if !strings.HasPrefix(got, "Usage: qemu-io ") ||
			!strings.Contains(got, "!qemu-io: unrecognized option '") || status != 1 {
			t.Errorf("%s: status %d: %q", words, status, got)
		}
	}
}

// TestOptionsOfNoImage: an option that says how to open an image is refused where none is named
// with it. A server that -r was to keep from writing would write.
func TestOptionsOfNoImage(t *testing.T) {
	undo := "--undo|" + filepath.Join(t.TempDir(), "log")
	says := func(words string) (said string, status int) {
		return started(t, strings.Split("blksh|"+words, "|")...)
	}
	for _, option := range []string{
		"-r", "-s", "-f|raw", "-n", "-C", "-k", "-t|none", "-d|ignore", "-U", "-i|threads", "-w",
		"--share", "--in-use", undo, "--strict", "--rmw",
	} {
		for _, alone := range []string{"|version", "|-c|version"} {
			if said, status := says(option + alone); status != 2 ||
				!strings.Contains(said, " says how to open the image that is named") {
				t.Errorf("%s%s: status %d: %s", option, alone, status, said)
			}
		}
	}
	for _, words := range []string{
		"-r|mem:1M|version", "-f|raw|mem:1M|version", "-c|version|--strict|mem:1M",
		"--image-opts|-r|driver=null-co,size=1M|version", "-m|version",
		"--allow-backing-device|version", "--dialect|qemu|-r|-c|sleep 0",
	} {
		if said, status := says(words); status != 0 {
			t.Errorf("%s: status %d: %s", words, status, said)
		}
	}
}
