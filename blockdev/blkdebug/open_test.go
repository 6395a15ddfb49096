package blkdebug

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/mem"
	"github.com/blksh/blksh/blockdev/null"
	"github.com/blksh/blksh/blockdev/raw"
)

var testDrivers = []driver.Driver{Driver, mem.Driver, null.Co, raw.Driver}

// open1M opens blkdebug over an empty disk of 1 MiB. given is a comma-separated list of options.
func open1M(t *testing.T, given string, notify func(driver.Notice)) (*blockdev.Device, error) {
	t.Helper()
	var o driver.Options
	for _, option := range strings.Split(
		"driver=blkdebug,image.driver=null-co,image.size=1M,image.read-zeroes=on,"+given, ",") {
		key, value, _ := strings.Cut(option, "=")
		if key != "" {
			o.Set(key, value)
		}
	}
	if image := o.String("test-image"); image != "" {
		o.TakeSub("image.")
		o.Take("test-image")
		o.Set("image.driver", image)
		o.Set("image.size", "1M")
	}
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: testDrivers, Options: &o, Mode: driver.Mode{Unmap: true}, Notify: notify,
	})
	if err == nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

// optionTests has the answers of qemu-io 7.2.22 to options; "" where the image opens.
var optionTests = []struct{ options, err string }{
	{"align=513", "Cannot meet constraints with align 513"},
	{"align=512", ""},
	{"align=0", ""},
	{"align=4096,max-transfer=512", "Cannot meet constraints with max-transfer 512"},
	{"max-transfer=1", ""},
	{"max-transfer=3k,align=2k", "Cannot meet constraints with max-transfer 3072"},
	{"align=2G", "Cannot meet constraints with align 2147483648"},
	{"align=4G", "Cannot meet constraints with align 4294967296"},
	{"max-transfer=2G", "Cannot meet constraints with max-transfer 2147483648"},
	{"max-transfer=2147483136", ""},
	{"opt-write-zero=3k,align=1k", ""},
	{"opt-write-zero=1,align=512", "Cannot meet constraints with opt-write-zero 1"},
	{"max-write-zero=100,align=512", "Cannot meet constraints with max-write-zero 100"},
	{"max-write-zero=4k,opt-write-zero=8k", "Cannot meet constraints with max-write-zero 4096"},
	{"max-write-zero=5k,opt-write-zero=4k", "Cannot meet constraints with max-write-zero 5120"},
	{"opt-discard=1,align=512", "Cannot meet constraints with opt-discard 1"},
	{"opt-discard=4G", "Cannot meet constraints with opt-discard 4294967296"},
	{"max-discard=100,align=512", "Cannot meet constraints with max-discard 100"},
	{"max-discard=6k,opt-discard=4k", "Cannot meet constraints with max-discard 6144"},
	{"max-discard=6k,opt-discard=3k", ""},
	{"align=x", "Parameter 'align' expects a non-negative number below 2^64"},
	{"inject-error.event=read_aio", ""},
	{"inject-error.0.event=foo", "invalid parameter value: foo"},
	{"inject-error.0.event=", "invalid parameter value: "},
	{"inject-error.0.errno=5", "Missing event name for rule"},
	{"inject-error.errno=5", "Missing event name for rule"},
	{"inject-error.0.event=read_aio,inject-error.0.foo=1", "[inject-error] section doesn't support the option 'foo'"},
	{"inject-error.0.event=read_aio,inject-error.0.errno=x", "Parameter 'errno' expects a number"},
	{"inject-error.0.event=read_aio,inject-error.0.errno=-1", ""},
	{"inject-error.0.event=read_aio,inject-error.0.once=maybe", "Parameter 'once' expects 'on' or 'off'"},
	{"inject-error.0.event=read_aio,inject-error.0.sector=x", "Parameter 'sector' expects a number"},
	{"inject-error.0.event=read_aio,inject-error.0.iotype=x", "invalid parameter value: x"},
	{"inject-error.0.event=read_aio,inject-error.0.iotype=write_zeroes", "invalid parameter value: write_zeroes"},
	{"inject-error.0.event=read_aio,inject-error.0.iotype=write-zeroes", ""},
	{"inject-error.1.event=read_aio", "Unused option '1.event' for [inject-error]"},
	{"inject-error.0.event=read_aio,inject-error.2.event=none", "Unused option '2.event' for [inject-error]"},
	{"inject-error.x.event=none", "Unused option 'x.event' for [inject-error]"},
	{"inject-error.00.event=none", "Unused option '00.event' for [inject-error]"},
	{"inject-error.0=foo", "[inject-error] section (index 0) does not consist of keys"},
	{"inject-error=foo", "Block protocol 'blkdebug' doesn't support the option 'inject-error'"},
	{"inject-error.event=none,inject-error.0.event=none", "Unknown option '0.event' for [inject-error]"},
	{"inject-error.event=none,inject-error.foo=bar", "Unknown option 'foo' for [inject-error]"},
	{"inject-error.foo=bar", "Unused option 'foo' for [inject-error]"},
	{"inject-error.0.event.x=1", "[inject-error] section doesn't support the option 'event.x'"},
	{"set-state.0.event=none", ""},
	{"set-state.0.event=none,set-state.0.new_state=x", "Parameter 'new_state' expects a number"},
	{"set-state.0.new_state=1", "Missing event name for rule"},
	{"set-state.0.event=foo,set-state.0.new_state=2", "invalid parameter value: foo"},
	{"set-state.0.event=none,set-state.0.state=-1", ""},
	{"config=/nonexistent", "Could not read blkdebug config file: No such file or directory"},
	{"config=/tmp", "Cannot read config file: Is a directory"},
	{"take-child-perms.0=write", ""},
	{"take-child-perms.0=foo", "Parameter 'null' does not accept value 'foo'"},
	{"take-child-perms=write", "Block protocol 'blkdebug' doesn't support the option 'take-child-perms'"},
	{"take-child-perms.1=write", "List indices are not contiguous, saw 1 elements but 1 largest index"},
	{"unshare-child-perms.0=resize", ""},
	{"x-image=null-co://", "Can't specify 'file' and 'filename' options at the same time"},
	{"foo=bar", "Block protocol 'blkdebug' doesn't support the option 'foo'"},
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestOptions(t *testing.T) {
	for _, c := range optionTests {
		options := c.options
		if strings.HasPrefix(options, "x-image") {
			options += ",image.filename=x"
		}
		if _, err := open1M(t, options, nil); errorText(err) != c.err {
			t.Errorf("%s: %v, want %s", c.options, err, c.err)
		}
	}
}

// configTests has the answers of qemu-io 7.2.22 to config files.
var configTests = []struct{ config, err string }{
	{"", ""},
	{"\n", ""},
	{" \n", "parse error"},
	{"\t\n", "parse error"},
	{"# foo\n", ""},
	{" # foo\n", "no group defined"},
	{"[inject-error]\n", "Missing event name for rule"},
	{"[inject-error]\nevent = \"read_aio\"\n", ""},
	{"[inject-error]\nevent = \"foo\"\n", "invalid parameter value: foo"},
	{"[inject-error]\nevent = read_aio\n", "invalid parameter value: "},
	{"[inject-error]\nevent=\"read_aio\"\n", "Invalid parameter 'event=\"read_aio\"'"},
	{"[inject-error]\nevent =\"read_aio\"\n", ""},
	{"[inject-error]\nevent= \"read_aio\"\n", "Invalid parameter 'event='"},
	{"[inject-error]\n  event   =   \"read_aio\" trailing\n", ""},
	{"[inject-error]\nevent = \"read_aio\n", "invalid parameter value: read_aio\n"},
	{"[inject-error]\nevent = \"\"\n", "invalid parameter value: "},
	{"[inject-error \"id1\"]\nevent = \"read_aio\"\n", ""},
	{"[inject-error \"id1\"]\nevent = \"none\"\n[inject-error \"id1\"]\nevent = \"none\"\n", "Duplicate ID 'id1' for inject-error"},
	{"[inject-error \"1d\"]\nevent = \"read_aio\"\n", "Parameter 'id' expects an identifier"},
	{"[inject-error]\nfoo = \"1\"\n", "Invalid parameter 'foo'"},
	{"[inject-error]\nevent = \"none\"\nfoo = \"1\"\nbar = \"1\"\n", "Invalid parameter 'bar'"},
	{"[inject-error]\nevent = \"none\"\nerrno = \"x\"\n", "Parameter 'errno' expects a number"},
	{"[inject-error]\nevent = \"none\"\nonce = \"x\"\n", "Parameter 'once' expects 'on' or 'off'"},
	{"[inject-error]\nevent = \"none\"\nevent = \"read_aio\"\n", ""},
	{"[foo]\nevent = \"none\"\n", "There is no option group 'foo'"},
	{"[foo]\n", "There is no option group 'foo'"},
	{"[foo\n", "There is no option group 'foo\n'"},
	{"[]\n", "no group defined"},
	{"[ inject-error]\nevent = \"none\"\n", "There is no option group ' inject-error'"},
	{"[inject-error] trailing\nevent = \"none\"\n", ""},
	{"event = \"none\"\n", "no group defined"},
	{"[inject-error]\nevent = \"none\"\r\n", ""},
	{"[inject-error]\r\nevent = \"none\"\r\n\r\n", "parse error"},
	{"[set-state]\nevent = \"none\"\nnew_state = \"5\"\n[foo]\n", "There is no option group 'foo'"},
	{"garbage\n", "no group defined"},
	{"[inject-error]\nevent = \"none\"", ""},
	{"[inject-error]\n\nevent\n=\n\"none\"\n", "Invalid parameter '\"none\"'"},
	{"[inject-error]\nevent = \"none\"\nstate = \"0x10\"\nsector = \"-1\"\n", ""},
	{"[inject-error]\nevent = \"none\"\nerrno = \"0\"\n", ""},
}

func TestConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf")
	for _, c := range configTests {
		if err := os.WriteFile(path, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open1M(t, "config="+path, nil); errorText(err) != c.err {
			t.Errorf("%q: %v, want %s", c.config, err, c.err)
		}
	}
}

// qemuIO is the path of the program that the texts were measured on.
func qemuIO(t *testing.T) string {
	t.Helper()
	path := blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	version, _ := exec.Command(path, "--version").Output()
	if !strings.HasPrefix(string(version), "qemu-io version 7.2.") {
		blockdevtest.Need(t, "version 7.2 of qemu-io")
	}
	return path
}

// TestPeer asks the original for the texts that the other tests compare with.
func TestPeer(t *testing.T) {
	peer := qemuIO(t)
	ask := func(options, want string) {
		t.Helper()
		out, _ := exec.Command(peer, "--image-opts", options, "-c", "quit").CombinedOutput()
		got, failed := strings.CutPrefix(string(out), "qemu-io: can't open: ")
		got = strings.TrimSuffix(got, "\n")
		if want == "" && failed || !strings.HasPrefix(got, want) {
			t.Errorf("%s: qemu-io says %q, want %q", options, out, want)
		}
	}
	for _, c := range optionTests {
		image := ",image.driver=null-co,image.size=1M"
		if strings.HasPrefix(c.options, "x-image") {
			image = ",image.driver=file,image.filename=x"
		}
		ask("driver=blkdebug"+image+","+c.options, c.err)
	}
	path := filepath.Join(t.TempDir(), "conf")
	for _, c := range configTests {
		if err := os.WriteFile(path, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		ask("driver=blkdebug,image.driver=null-co,config="+path, c.err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ name, err string }{
		{"blkdebug::null-co://", ""},
		{"blkdebug::blkdebug::null-co://", ""},
		{"blkdebug:t.raw", "blkdebug requires both config file and image path"},
		{"blkdebug:", "blkdebug requires both config file and image path"},
		{"blkdebug::", "The 'file' block driver requires a file name"},
		{"blkdebug:/nonexistent:null-co://", "Could not read blkdebug config file: No such file or directory"},
	} {
		_, err := blockdev.Open(context.Background(), c.name,
			blockdev.OpenConfig{Drivers: testDrivers, Format: "raw"})
		if errorText(err) != c.err {
			t.Errorf("%s: %v, want %s", c.name, err, c.err)
		}
	}
	cfg := blockdev.OpenConfig{Drivers: testDrivers, Format: "blkdebug"}
	if _, err := blockdev.Open(context.Background(), "null-co://", cfg); err != nil {
		t.Errorf("name of the image alone: %v", err)
	}
	if _, err := blockdev.Open(context.Background(), "",
		cfg); errorText(err) != `A block device must be specified for "image"` {
		t.Errorf("no image: %v", err)
	}
}

func TestLongConfig(t *testing.T) {
	for name, config := range map[string]string{
		"Cannot read config file: File too large": strings.Repeat("#", maxConfig+1),
		"Invalid parameter 'k64'":                 "[inject-error]\n" + manySettings(65),
	} {
		if _, err := parseConfig(strings.NewReader(config)); errorText(err) != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
	if _, err := parseConfig(strings.NewReader(strings.Repeat("#", maxConfig))); err != nil {
		t.Errorf("longest config: %v", err)
	}
}

func manySettings(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + " = \"x\"\n")
	}
	return b.String()
}

func FuzzConfig(f *testing.F) {
	for _, c := range configTests {
		f.Add(c.config)
	}
	f.Fuzz(func(t *testing.T, config string) {
		sections, err := parseConfig(strings.NewReader(config))
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		for name := range sections {
			if name != groups[0].name && name != groups[1].name {
				t.Errorf("rules of a group %q", name)
			}
		}
	})
}
