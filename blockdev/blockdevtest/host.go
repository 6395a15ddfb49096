package blockdevtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Need skips a test for want of something, or fails it where everything is to be there: with
// BLKSH_TIER=2 and above.
func Need(t testing.TB, what string) {
	t.Helper()
	if tier := os.Getenv("BLKSH_TIER"); tier >= "2" {
		t.Fatalf("tier %s needs %s", tier, what)
	}
	t.Skipf("needs %s", what)
}

// Peer is the path of a program from a Debian package, which the test cannot do without.
func Peer(t testing.TB, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		Need(t, fmt.Sprintf("%s (Debian package %s)", program, pkg))
	}
	return path
}

// Loop makes a loop device over a fresh file, for as long as the test runs.
func Loop(t testing.TB, size int64, sector int, readOnly bool) (device string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "loop.img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	args := []string{"--sector-size", fmt.Sprint(sector)}
	if readOnly {
		args = append(args, "--read-only")
	}
	return LoopOver(t, file, args...)
}

// LoopOver makes a loop device over a file or device, for as long as the test runs. The arguments
// are those of losetup.
func LoopOver(t testing.TB, file string, args ...string) (device string) {
	t.Helper()
	losetup := Peer(t, "losetup", "mount")
	if os.Geteuid() != 0 {
		Need(t, "root, for loop devices")
	}
	args = append([]string{"--find", "--show"}, append(args, file)...)
	out, err := exec.Command(losetup, args...).Output()
	if err != nil {
		Need(t, fmt.Sprintf("a free loop device (losetup %s: %v)", strings.Join(args, " "), err))
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command(losetup, "--detach", device).Run(); err != nil {
			t.Errorf("detach %s: %v", device, err)
		}
	})
	return device
}

// Mount makes a file system on a device and mounts it read-only, for as long as the test runs:
// nobody writes to the device.
func Mount(t testing.TB, device string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for _, c := range [][]string{
		{Peer(t, "mkfs.ext4", "e2fsprogs"), "-q", device}, {Peer(t, "mount", "mount"), "-o", "ro", device, folder},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			Need(t, fmt.Sprintf("to run %s (%v: %s)", strings.Join(c, " "), err, out))
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", folder, err, out)
		}
	})
	return folder
}
