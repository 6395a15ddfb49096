package tests

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// TestCopyDevice copies to and from devices, of which only what is asked for is written.
func TestCopyDevice(t *testing.T) {
	dir := workDir(t, "raw.img")
	source := filepath.Join(dir, "raw.img")
	want, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	dev := blockdevtest.Loop(t, 4<<20, 512, false)
	old := bytes.Repeat([]byte{0x5a}, 4<<20)
	fill := func() {
		if err := os.WriteFile(dev, old, 0); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(what string, head []byte) {
		t.Helper()
		got, err := os.ReadFile(dev)
		if err != nil || !bytes.Equal(got[:len(head)], head) ||
			!bytes.Equal(got[len(head):], old[len(head):]) {
			t.Errorf("%s: the device does not hold what it should (%v)", what, err)
		}
	}
	fill()
	on(t, "-c", "copy "+source+" "+dev).wants(t, "unasked", "exit 2", "", "is a device")
	holds("unasked", nil)
	on(t, "-c", "copy -f raw --force --verify "+source+" "+dev).wants(t, "--force", "exit 0",
		"behind them 3 MiB", "")
	holds("--force", want)
	fill()
	on(t, "-c", "copy -n -f raw --verify "+source+" "+dev).wants(t, "-n", "exit 0", "read back", "")
	holds("-n", want)
	back := filepath.Join(dir, "back.qcow2")
	on(t, "-c", "copy --verify "+dev+" "+back).wants(t, "from a device", "exit 0", "copied 4 MiB",
		"")
	on(t, "-c", "compare -f raw "+dev, back).wants(t, "from a device", "exit 0", "the same", "")
	fill()
	on(t, "-c", "copy -f qcow2 --force --verify "+source+" "+dev).wants(t, "qcow2", "exit 0",
		"read back", "")
	if out, err := exec.Command(blockdevtest.Peer(t, "qemu-img", "qemu-utils"), "compare", source,
		dev).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	holder, err := os.OpenFile(dev, os.O_RDONLY|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	on(t, "-c", "copy -f raw --force "+source+" "+dev).wants(t, "in use", "exit 4", "", "")
	on(t, "-c", "copy -n -f raw "+source+" "+dev).wants(t, "in use", "exit 4", "", "")
	small := blockdevtest.Loop(t, 64<<10, 512, false)
	on(t, "-c", "copy -f raw --force "+source+" "+small).wants(t, "short device", "exit 2", "",
		"too short")
}

// TestCopyFull runs out of space, of which all is said, and goes on when there is some.
func TestCopyFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs",
		dir).CombinedOutput(); err != nil {
		t.Skipf("needs the right to mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	source := filepath.Join(t.TempDir(), "src")
	randomFile(t, source, 16<<20)
	filler := filepath.Join(dir, "filler")
	randomFile(t, filler, 12<<20)
	for _, to := range []string{"new.raw", "new.qcow2"} {
		to := filepath.Join(dir, to)
		on(t, "-c", "copy --source-format raw "+source+" "+to).wants(t, "full", "exit 5", "",
			"No space left on device")
		if _, err := os.Stat(to); err == nil {
			t.Error("there is a copy that is not whole")
		}
		// another file system
		if err := os.Rename(filler, filepath.Join(t.TempDir(), "away")); err != nil {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
		on(t, "-c", "copy --source-format raw --resume --verify "+source+" "+to).wants(t, "resumed",
			"exit 0", "copied", "")
		if err := os.Remove(to); err != nil {
			t.Fatal(err)
		}
		randomFile(t, filler, 12<<20)
	}
}

// randomFile makes a file of n bytes that are not zero.
func randomFile(t *testing.T, name string, n int) {
	t.Helper()
	b := make([]byte, n)
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	if err := os.WriteFile(name, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestCopyKilled: what a killed copy leaves is no image of that name, and goes on.
func TestCopyKilled(t *testing.T) {
	if blockdevtest.Tier() < 2 {
		t.Skip("writes gigabytes")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "src")
	randomFile(t, source, 800<<20)
	for _, format := range []string{"raw", "qcow2"} {
		to := filepath.Join(dir, "new."+format)
		cmd := exec.Command(asBlksh.path, "-c", "copy --source-format raw "+source+" "+to)
		cmd.Env = asBlksh.environ()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for { // until it has noted how far it came, or has ended
			note, err := os.ReadFile(to + ".part.json")
			if _, ended := os.Stat(to); ended == nil || err == nil &&
				strings.Count(string(note), "\n") > 1 {
				break
			}
		}
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if _, err := os.Stat(to); err == nil {
			t.Logf("%s: it was too quick to be killed", format)
			continue
		}
		on(t, "-c", "copy --source-format raw "+source+" "+to).wants(t, "anew", "exit 2", "",
			"--resume")
		on(t, "-c", "copy --source-format raw --resume "+source+" "+to).wants(t, "resumed",
			"exit 0", "copied", "")
		if out, err := exec.Command(blockdevtest.Peer(t, "qemu-img", "qemu-utils"), "compare", "-f",
			"raw", "-F", format, source, to).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if err := os.Remove(to); err != nil {
			t.Fatal(err)
		}
	}
}
