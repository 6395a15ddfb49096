package inuse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// write makes the files of a host. A name that ends in a slash is a directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// checkUses wants uses of paths, in words.
func checkUses(t *testing.T, h Host, want map[string]string) {
	t.Helper()
	for path, want := range want {
		uses, err := h.Of(path, path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range uses {
			got = append(got, u.String())
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s: %q, want %q", path, s, want)
		}
	}
}

func TestOf(t *testing.T) {
	root := write(t, map[string]string{
		"sys/devices/sda/dev":                 "8:0\n",
		"sys/devices/sda/holders/":            "",
		"sys/devices/sda/sda1/dev":            "8:1\n",
		"sys/devices/sda/sda1/partition":      "1\n",
		"sys/devices/sda/sda1/holders/":       "",
		"sys/devices/sda/sda2/dev":            "8:2\n",
		"sys/devices/sda/sda2/partition":      "2\n",
		"sys/devices/sda/sda2/holders/dm-0/x": "",
		"sys/devices/sdb/dev":                 "8:16\n",
		"sys/devices/sdb/holders/md0/x":       "",
		"sys/devices/sdc/dev":                 "8:32\n",
		"sys/devices/sdc/holders/":            "",
		"sys/block/dm-0/dm/name":              "vg-home\n",
		"proc/self/mountinfo": "22 1 8:1 / /my\\040home rw - ext4 /dev/sda1 rw\n" +
			"23 1 0:44 / /data rw shared:1 - btrfs /dev/sdd rw\n" +
			"short line\n",
		"proc/77/comm": "mdadm\n",
		"proc/swaps":   "Filename Type Size Used Priority\n/dev/sde partition 1 0 -2\n",
	})
	links := map[string]string{
		"8:0": "sda", "8:1": "sda/sda1", "8:2": "sda/sda2", "8:16": "sdb",
		"8:32": "sdc",
	}
	if err := os.MkdirAll(filepath.Join(root, "sys/dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	for num, dir := range links {
		if err := os.Symlink("../../devices/"+dir,
			filepath.Join(root, "sys/dev/block", num)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "proc/77/fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	fd := filepath.Join(root, "proc/77/fd/3")
	if err := os.Symlink("/dev/sdg", fd); err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{
		"/dev/sda": "8:0", "/dev/sda1": "8:1", "/dev/sda2": "8:2", "/dev/sdb": "8:16",
		"/dev/sdc": "8:32", "/dev/sdd": "8:48",
		"/dev/sde": "8:64", "/dev/sdf": "8:80", "/dev/sdg": "8:96", fd: "8:96",
	}
	h := Host{
		Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys"),
		Identify:  func(path string) (string, bool) { n, ok := numbers[path]; return n, ok },
		Backing:   func(string) (string, bool) { return "", false },
		Exclusive: func(path string) bool { return path == "/dev/sdf" || path == "/dev/sdg" },
	}
	checkUses(t, h, map[string]string{
		"/dev/sda":  "/dev/sda1 is mounted on /my home; /dev/sda2 is held by /dev/mapper/vg-home",
		"/dev/sda1": "/dev/sda1 is mounted on /my home",
		"/dev/sda2": "/dev/sda2 is held by /dev/mapper/vg-home",
		"/dev/sdb":  "/dev/sdb is held by md0",
		"/dev/sdc":  "",
		"/dev/sdd":  "/dev/sdd is mounted on /data",
		"/dev/sde":  "/dev/sde is swap",
		"/dev/sdf":  "/dev/sdf is in use by the system",
		"/dev/sdg":  "/dev/sdg is open in mdadm (pid 77)",
		"disk.img":  "",
	})
}

// The running system: a file system on a loop device that this test made.
func TestMountedLoopDevice(t *testing.T) {
	device := blockdevtest.Loop(t, 8<<20, 512, false)
	fd, err := unix.Open(device, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if uses, err := Of(device, fd); err != nil || len(uses) != 0 {
		t.Fatalf("before the mount: %v, %v", uses, err)
	}
	folder := blockdevtest.Mount(t, device)
	uses, err := Of(device, fd)
	if err != nil || len(uses) != 1 || uses[0] != (Use{device, "mounted on " + folder}) {
		t.Fatalf("while mounted: %v, %v", uses, err)
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`a\040b\`)
	f.Fuzz(func(t *testing.T, s string) {
		if len(unescape(s)) > len(s) {
			t.Error("longer than it was")
		}
	})
}
