package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// TestCreateOnDevice makes images on devices that have room for them, and on such that lack a
// sector of it: of these no byte is changed.
func TestCreateOnDevice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options string
		takes   int64 // bytes of the device, for a disk of 4 MiB
	}{
		{"-f qcow2", 4 * 65536},
		{"-f qcow2 -o preallocation=metadata", 4<<20 + 5*65536},
		{"-f qcow2 -o preallocation=full", 4<<20 + 5*65536},
		{"-f qcow2 -o preallocation=falloc,cluster_size=4k", 4<<20 + 6*4096},
		{"-f qcow2 -o data_file=data,preallocation=full", 5 * 65536},
		{"-f vdi", 1024},
		{"-f vdi -o static=on", 4<<20 + 1024},
		{"-f raw", 4 << 20},
	} {
		t.Run(c.options, func(t *testing.T) {
			dir := t.TempDir()
			create := func(size int64) (status int, said, device string) {
				device = blockdevtest.Loop(t, size, 512, false)
				data := "data_file=" + filepath.Join(dir, fmt.Sprint("data", size))
				options := strings.ReplaceAll(c.options, "data_file=data", data)
				words := append([]string{"create", "--force"}, strings.Fields(options)...)
				cmd := exec.Command(asBlksh.path, append(words, device, "4M")...)
				out, _ := cmd.CombinedOutput()
				return cmd.ProcessState.ExitCode(), string(out), device
			}
			if status, said, _ := create(c.takes); status != 0 {
				t.Errorf("%d bytes: %d, %s", c.takes, status, said)
			}
			if c.takes < 4096 {
				return // no device is smaller
			}
			status, said, device := create(c.takes - 512)
			if status != 5 {
				t.Errorf("%d bytes: %d, %s", c.takes-512, status, said)
			}
			if b, err := os.ReadFile(device); err != nil || !bytes.Equal(b, make([]byte, len(b))) {
				t.Errorf("the device was changed: %v", err)
			}
		})
	}
}
