package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// TestInfoOfDevice tells what the system knows of a disk: its blocks and limits, its partitions,
// and who uses it.
func TestInfoOfDevice(t *testing.T) {
	addpart := blockdevtest.Peer(t, "addpart", "util-linux")
	dev := blockdevtest.Loop(t, 1<<20, 512, false)
	if out, err := exec.Command(addpart, dev, "1", "8", "2").CombinedOutput(); err != nil {
		blockdevtest.Need(t, "partitions of loop devices: "+string(out))
	}
	t.Cleanup(func() {
		if err := exec.Command("delpart", dev, "1").Run(); err != nil {
			t.Errorf("remove the partition: %v", err)
		}
	})
	info := on(t, "-r", "-f", "raw", dev, "info")
	for _, want := range []string{
		"logical block: 512 bytes\n", "discard limit: ",
		"partitions:\n        " + dev + "p1:\n            offset: 4 KiB (4096 bytes)\n            length: 1 KiB (1024 bytes)\n",
	} {
		info.wants(t, "partitions", "exit 0", want, "")
	}
	if _, err := os.Stat(dev + "p1"); err == nil {
		on(t, "-r", "-f", "raw", dev+"p1", "info").wants(t, "partition", "exit 0",
			"partition of: "+dev+"\n", "")
	}
	on(t, "--json", "-r", "-f", "raw", dev, "info").wants(t, "json", "exit 0",
		`"logical-block":512`, "")
}

// TestInfoOfMounted names who uses a device, and the file behind it.
func TestInfoOfMounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(file, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	dev := blockdevtest.LoopOver(t, file)
	folder := blockdevtest.Mount(t, dev)
	used := dev + " is mounted on " + folder + "\n"
	on(t, "-r", "-f", "raw", dev, "info").wants(t, "device", "exit 0",
		"in use:\n        [0]: "+used,
		"")
	on(t, "-r", "-f", "raw", file, "info").wants(t, "file", "exit 0", used, "")
}

// TestInfoOfDiskSize holds what each image of a chain takes of the disk against the file system.
func TestInfoOfDiskSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base, data, top := filepath.Join(dir, "b.qcow2"), filepath.Join(dir, "d.raw"),
		filepath.Join(dir, "t.qcow2")
	on(t, "-c", "create -o data_file="+data+" "+base+" 8M", "-c", "open "+base, "-c",
		"write -q 0 1M",
		"-c", "close", "-c", "create -b "+base+" -F qcow2 "+top).wants(t, "create",
		"exit 0", "", "")
	told := on(t, "--json", "-r", top, "info")
	for _, line := range strings.Split(told.stdout, "\n") {
		if !strings.HasPrefix(line, `{"kind":"info"`) {
			continue
		}
		var info struct {
			DiskSize int64 `json:"disk_size"`
			Backing  []struct {
				DiskSize int64 `json:"disk_size"`
			} `json:"backing"`
		}
		if err := json.Unmarshal([]byte(line), &info); err != nil {
			t.Fatal(err)
		}
		if want := onDisk(t, top); info.DiskSize != want {
			t.Errorf("top: %d, not %d", info.DiskSize, want)
		}
		if want := onDisk(t, base, data); len(info.Backing) != 1 ||
			info.Backing[0].DiskSize != want {
			t.Errorf("base: %+v, not %d", info.Backing, want)
		}
		return
	}
	t.Errorf("no info: %+v", told)
}

// onDisk is what files take of the disk, in bytes.
func onDisk(t *testing.T, files ...string) (sum int64) {
	t.Helper()
	for _, f := range files {
		var st syscall.Stat_t
		if err := syscall.Stat(f, &st); err != nil {
			t.Fatal(err)
		}
		sum += st.Blocks * 512
	}
	return sum
}
