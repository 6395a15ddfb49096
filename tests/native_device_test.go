package tests

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// on runs commands of the native dialect.
func on(t *testing.T, args ...string) answer {
	t.Helper()
	a, err := asBlksh.run(run{dir: t.TempDir(), args: args})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wants holds an answer against a status and parts of both streams.
func (a answer) wants(t *testing.T, what, status, stdout, stderr string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.stdout, stdout) ||
		!strings.Contains(a.stderr, stderr) {
		t.Errorf("%s: %s, stdout %q, stderr %q; want %s, %q, %q", what, a.status, a.stdout,
			a.stderr, status, stdout, stderr)
	}
}

// firstByte is what a device begins with.
func firstByte(t *testing.T, device string) byte {
	t.Helper()
	f, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.Read(b); err != nil {
		t.Fatal(err)
	}
	return b[0]
}

// TestDeviceIsReadOnly unless -w or reopen -w say otherwise.
func TestDeviceIsReadOnly(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	on(t, dev, "write", "0", "512").wants(t, "write", "exit 2", "", "'reopen -w'")
	if b := firstByte(t, dev); b != 0 {
		t.Fatalf("written all the same: %#x", b)
	}
	on(t, "--json", dev, "length").wants(t, "open", "exit 0", `"read_only":true`, "")
	on(t, "-c", "reopen -w", "-c", "write -q -P 1 0 512", dev).wants(t, "reopen -w", "exit 0", "",
		"")
	if b := firstByte(t, dev); b != 1 {
		t.Errorf("reopen -w: %#x", b)
	}
	on(t, "-w", "-c", "write -q -P 2 0 512", dev).wants(t, "-w", "exit 0", "", "")
	if b := firstByte(t, dev); b != 2 {
		t.Errorf("-w: %#x", b)
	}
	on(t, "-c", "open -w "+dev, "-c", "write -q -P 3 0 512").wants(t, "open -w", "exit 0", "", "")
	on(t, "-c", `open json:{"driver":"raw","file":{"driver":"host_device","filename":"`+dev+`"}}`,
		"-c", "write 0 512").
		wants(t, "json name", "exit 2", "", "'reopen -w'")
}

// TestDeviceHeldByOther is read, with a warning, and written to only with --in-use.
func TestDeviceHeldByOther(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	holder, err := os.OpenFile(dev, os.O_RDONLY|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	self := filepath.Base(os.Args[0])
	if len(self) > 15 { // as much as the kernel keeps of a name
		self = self[:15]
	}
	on(t, dev, "read", "0", "512").wants(t, "read", "exit 0", "read 512/512", "open in "+self)
	on(t, "-w", dev, "write", "0", "512").wants(t, "-w", "exit 4", "", "open in "+self)
	on(t, "-c", "reopen -w", dev).wants(t, "reopen -w", "exit 4", "", "--in-use")
	if b := firstByte(t, dev); b != 0 {
		t.Fatalf("written all the same: %#x", b)
	}
	on(t, "-w", "--in-use", "-c", "write -q -P 9 0 512", dev).wants(t, "--in-use", "exit 0", "", "")
	if b := firstByte(t, dev); b != 9 {
		t.Errorf("--in-use: %#x", b)
	}
	for _, args := range [][]string{{"--json", "-w", dev}, {"--json", dev, "length"}} {
		checkObjects(t, on(t, args...))
	}
	on(t, "--json", "-w", dev).wants(t, "as an object", "exit 4", `"errno":"EBUSY"`, "")
	on(t, "--json", dev).wants(t, "as an object", "exit 0", `{"kind":"device_busy","schema":1,"path":"`+dev+
		`"`, "")
}

// TestReadOnlyDevice says what opens it.
func TestReadOnlyDevice(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, true)
	on(t, "-w", dev).wants(t, "-w", "exit 3", "", "-r opens it for reading only")
	on(t, dev, "read", "0", "512").wants(t, "without", "exit 0", "read 512/512", "")
}

// TestMountedDevice names where it is mounted.
func TestMountedDevice(t *testing.T) {
	mkfs := blockdevtest.Peer(t, "mkfs.ext4", "e2fsprogs")
	mount := blockdevtest.Peer(t, "mount", "mount")
	dev := blockdevtest.Loop(t, 8<<20, 512, false)
	if out, err := exec.Command(mkfs, "-q", dev).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	where := t.TempDir()
	if out, err := exec.Command(mount, dev, where).CombinedOutput(); err != nil {
		blockdevtest.Need(t, "permission to mount: "+string(out))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(where, 0); err != nil {
			t.Error(err)
		}
	})
	on(t, dev, "read", "0", "512").wants(t, "read", "exit 0", "read 512/512", dev+" is mounted on "+
		where)
	on(t, "-w", dev, "write", "0", "512").wants(t, "write", "exit 4", "", "it is mounted on "+where)
}

// TestDeviceIsKept for the shell alone while it may write to it.
func TestDeviceIsKept(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	release, err := holdNative(t, "-w", dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := exclusively(dev); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("taken from under it: %v", err)
	}
	on(t, "-w", dev).wants(t, "a second shell", "exit 4", "", "open in blksh (pid ")
	release()
	if err := exclusively(dev); err != nil {
		t.Error(err)
	}
}

// exclusively tries to have a device for this process alone.
func exclusively(dev string) error {
	f, err := os.OpenFile(dev, os.O_RDONLY|os.O_EXCL, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// holdNative starts the program and returns when its image is open.
func holdNative(t *testing.T, args ...string) (release func(), err error) {
	t.Helper()
	cmd := exec.Command(asBlksh.path, append([]string{"--json"}, args...)...)
	cmd.Env = asBlksh.environ()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	first := make([]byte, 4096)
	if n, err := out.Read(first); err != nil || !bytes.Contains(first[:n], []byte(`"opened"`)) {
		t.Errorf("%q, %v", first[:n], err)
	}
	return func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}, nil
}

// TestDeviceBlocks: O_DIRECT takes whole blocks of the device, and lba counts them.
func TestDeviceBlocks(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 4096, false)
	on(t, "-w", "-n", dev, "write", "512", "512").wants(t, "a part", "exit 2", "",
		"multiples of 4096 here; the nearest request is 4096 bytes at 0")
	on(t, "-w", "-n", dev, "write", "1lba", "2lba").wants(t, "whole blocks", "exit 0",
		"wrote 8192/8192 bytes at offset 4096", "")
	on(t, "-w", "-n", "--rmw", dev, "write", "512", "512").wants(t, "--rmw", "exit 0",
		"wrote 512/512", "")
	on(t, "-w", "--strict", dev, "write", "512", "512").wants(t, "--strict", "exit 2", "",
		"multiples of 4096")
	on(t, "-w", dev, "write", "512", "512").wants(t, "buffered", "exit 0", "wrote 512/512", "")
	for _, engine := range []string{"threads", "io_uring"} { // neither takes more than the other
		for _, order := range []string{"seq", "random"} {
			on(t, "-w", "-n", "-i", engine, dev, "verify_write", "-b", "512", "--order", order, "0",
				"64k").
				wants(t, engine+", "+order, "exit 2", "", "multiples of 4096 here")
		}
	}
}

// TestDeviceWithoutRights: who may not open a device is told so in the same words, however it is to
// be opened.
func TestDeviceWithoutRights(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	if err := os.Chmod(dev, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dev, 0o660) })
	binary, err := os.Open(asBlksh.path) // which lies where nobody may look
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, option := range []string{"-w", "-r", "--color=never"} {
		cmd := exec.Command("/proc/self/fd/3", option, dev, "length")
		cmd.Args[0], cmd.Dir, cmd.Env = "blksh", "/", asBlksh.environ()
		cmd.ExtraFiles = []*os.File{binary}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: 65534,
			Gid: 65534,
		}}
		out, err := cmd.CombinedOutput()
		want := "blksh: can't open device " + dev + ": Could not open '" + dev +
			"': Permission denied\n"
		if cmd.ProcessState.ExitCode() != 3 || string(out) != want {
			t.Errorf("%s: %v, %q, want %q", option, err, out, want)
		}
	}
}

// TestDeviceStorage: a device does not tell what of it has storage, and nobody guesses.
func TestDeviceStorage(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	const untold = "whether 1 MiB (1048576 bytes) have storage a device does not tell"
	for _, command := range []string{"discard --verify 0 1M", "map --totals"} {
		a := on(t, append([]string{"-w", dev}, strings.Fields(command)...)...)
		a.wants(t, command, "exit 0", untold, "")
		if strings.Contains(a.stdout, "still have storage") {
			t.Errorf("%s: %s", command, a.stdout)
		}
	}
}

// TestDeviceIsConfirmed once, at the prompt alone.
func TestDeviceIsConfirmed(t *testing.T) {
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	name := filepath.Base(dev)
	prompt := name + " rw> "

	tty := prompted(t, nil, "-w", dev)
	tty.expect(t, prompt)
	tty.press(t, "read 0 512\r") // changes nothing
	tty.expect(t, prompt)
	tty.press(t, "write -q -P 1 0 512\r", "This changes "+dev)
	tty.press(t, "yes\r", "nothing was done to "+dev, prompt)
	if b := firstByte(t, dev); b != 0 {
		t.Fatalf("written all the same: %#x", b)
	}
	tty.press(t, "write -q -P 2 0 512\r", "This changes "+dev)
	tty.press(t, name+"\r", "\n", prompt)
	if b := firstByte(t, dev); b != 2 {
		t.Errorf("confirmed: %#x", b)
	}
	seen := tty.seen
	tty.press(t, "write -q -P 3 0 512\r", "\n", prompt)
	if strings.Contains(tty.shown[seen:], "This changes") {
		t.Errorf("asked again: %q", tty.shown[seen:])
	}
	if b := firstByte(t, dev); b != 3 {
		t.Errorf("once confirmed: %#x", b)
	}
	tty.leave(t, "exit 0")

	tty = prompted(t, nil, "-w", "--yes", dev)
	tty.expect(t, prompt)
	tty.press(t, "discard 0 512\r", "discard 512/512", prompt)
	tty.leave(t, "exit 0")
	if strings.Contains(tty.shown, "This changes") {
		t.Errorf("--yes: %q", tty.shown)
	}
}
