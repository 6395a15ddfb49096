package inuse

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// stacked is a host whose devices stand on each other:
//
//	/img/fs ◀ loop0, mounted     /dev/sdh ◀ loop1 ◀ loop2, whose partition is swap     loop8 and loop9 in a circle
//	sdi ◀ sdi1 ◀ dm-1 ◀ dm-2     /img/idle ◀ loop3, not in use                         /img/fuse, mounted by its name
func stacked(t *testing.T) Host {
	root := write(t, map[string]string{
		"sys/block/loop0/loop/backing_file":   "/img/fs\n",
		"sys/block/loop0/dev":                 "7:0\n",
		"sys/block/loop1/loop/backing_file":   "/dev/sdh\n",
		"sys/block/loop1/dev":                 "7:1\n",
		"sys/block/loop2/loop/backing_file":   "/dev/loop1\n",
		"sys/block/loop2/dev":                 "7:2\n",
		"sys/block/loop2/loop2p1/dev":         "259:0\n",
		"sys/block/loop2/loop2p1/partition":   "1\n",
		"sys/block/loop2/holders/":            "",
		"sys/block/loop3/loop/backing_file":   "/img/idle\n",
		"sys/block/loop3/dev":                 "7:3\n",
		"sys/block/loop4/dev":                 "7:4\n", // not set up
		"sys/block/loop5/loop/backing_file":   "/img/gone (deleted)\n",
		"sys/block/loop5/dev":                 "7:5\n",
		"sys/block/loop8/loop/backing_file":   "/dev/loop9\n",
		"sys/block/loop8/dev":                 "7:8\n",
		"sys/block/loop9/loop/backing_file":   "/dev/loop8\n",
		"sys/block/loop9/dev":                 "7:9\n",
		"sys/block/sdi/dev":                   "8:128\n",
		"sys/block/sdi/holders/":              "",
		"sys/block/sdi/sdi1/dev":              "8:129\n",
		"sys/block/sdi/sdi1/partition":        "1\n",
		"sys/block/sdi/sdi1/holders/dm-1/dev": "253:1\n",
		"sys/block/sdi/sdi2/dev":              "8:130\n",
		"sys/block/sdi/sdi2/partition":        "2\n",
		"sys/block/dm-1/dev":                  "253:1\n",
		"sys/block/dm-1/slaves/sdi1/dev":      "8:129\n",
		"sys/block/dm-1/holders/dm-2/dev":     "253:2\n",
		"sys/block/dm-2/dev":                  "253:2\n",
		"sys/block/dm-2/slaves/dm-1/dev":      "253:1\n",
		"proc/self/mountinfo": "22 1 7:0 / /mnt rw - ext4 /dev/loop0 rw\n" +
			"23 1 0:50 / /fuse rw - fuse.fuse2fs /img/fuse rw\n" +
			"24 1 0:51 / /run rw - tmpfs tmpfs rw\n",
		"proc/swaps": "Filename Type Size Used Priority\n/dev/loop2p1 partition 1 0 -2\n/img/swap file 1 0 -3\n",
	})
	if err := os.MkdirAll(filepath.Join(root, "sys/dev/block"), 0o755); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{
		"/img/fs": "file 1:1", "/img/idle": "file 1:2", "/img/swap": "file 1:3",
		"/img/fuse": "file 1:4", "tmpfs": "file 1:5", "/img/free": "file 1:6",
		"/img/gone": "file 1:7", "/dev/sdh": "8:112", "/dev/loop0": "7:0", "/dev/loop1": "7:1",
		"/dev/loop2": "7:2", "/dev/loop2p1": "259:0", "/dev/loop3": "7:3",
		"/dev/loop8": "7:8", "/dev/loop9": "7:9", "/dev/sdi": "8:128", "/dev/sdi1": "8:129",
		"/dev/sdi2": "8:130",
	}
	for id, dir := range map[string]string{
		"7:0": "loop0", "7:1": "loop1", "7:2": "loop2", "259:0": "loop2/loop2p1", "7:3": "loop3",
		"7:8": "loop8", "7:9": "loop9",
		"8:128": "sdi", "8:129": "sdi/sdi1", "8:130": "sdi/sdi2", "253:1": "dm-1", "253:2": "dm-2",
	} {
		if err := os.Symlink("../../block/"+dir,
			filepath.Join(root, "sys/dev/block", id)); err != nil {
			t.Fatal(err)
		}
	}
	return Host{
		Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys"),
		Identify: func(path string) (string, bool) { id, ok := ids[path]; return id, ok },
		Backing: func(device string) (string, bool) {
			if device == "/dev/loop5" {
				return ids["/img/gone"], true
			}
			return "", false
		},
		Exclusive: func(path string) bool { return path == "/dev/loop5" },
	}
}

// What stands on a file or device uses it, through as many layers as there are.
func TestOfStacks(t *testing.T) {
	checkUses(t, stacked(t), map[string]string{
		"/img/fs":   "/img/fs is behind /dev/loop0, and /dev/loop0 is mounted on /mnt",
		"/dev/sdh":  "/dev/sdh is behind /dev/loop1, and /dev/loop1 is behind /dev/loop2, and /dev/loop2p1 is swap",
		"/img/gone": "/img/gone is behind /dev/loop5, and /dev/loop5 is in use by the system",
		"/img/swap": "/img/swap is swap",
		"/img/fuse": "/img/fuse is mounted on /fuse",
		"/img/idle": "", "/img/free": "", "tmpfs": "", "/dev/loop3": "", "/dev/loop8": "",
	})
}

// What an id stands on and what stands on it is related, and siblings are not.
func TestRelated(t *testing.T) {
	h := stacked(t)
	for id, want := range map[string][]string{
		"file 1:1": {"7:0"},
		"7:0":      {"file 1:1"},
		"8:112":    {"7:1", "7:2", "259:0"},
		"259:0":    {"7:2", "7:1", "8:112"},
		"8:128":    {"8:129", "8:130", "253:1", "253:2"},
		"8:129":    {"8:128", "253:1", "253:2"},
		"8:130":    {"8:128"},
		"253:2":    {"253:1", "8:129", "8:128"},
		"7:8":      {"7:9"},
	} {
		got, err := h.related(id)
		if err != nil {
			t.Fatal(err)
		}
		delete(got, id)
		want = slices.Sorted(slices.Values(want))
		if list := slices.Sorted(maps.Keys(got)); !slices.Equal(list, want) {
			t.Errorf("%s: %v, want %v", id, list, want)
		}
	}
}

// The running system: a file whose name is gone, or another one, behind a loop device.
func TestFileBehindLoopDevice(t *testing.T) {
	dir := t.TempDir()
	name, second := filepath.Join(dir, "fs.img"), filepath.Join(dir, "second")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 8<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(name, second); err != nil {
		t.Fatal(err)
	}
	device := blockdevtest.LoopOver(t, name)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(second, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if uses, err := Of(second, fd); err != nil || len(uses) != 0 {
		t.Fatalf("before the mount: %v, %v", uses, err)
	}
	if here, err := Here(fd); err != nil || here {
		t.Fatalf("open here: %v, %v", here, err)
	}
	folder := blockdevtest.Mount(t, device)
	uses, err := Of(second, fd)
	if want := (Use{second, "behind " + device + ", and " + device + " is mounted on " +
		folder}); err != nil || len(uses) != 1 || uses[0] != want {
		t.Fatalf("while mounted: %v, %v", uses, err)
	}
	open, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if here, err := Here(fd); err != nil || !here {
		t.Fatalf("its device is open here: %v, %v", here, err)
	}
}
