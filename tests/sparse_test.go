package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// ofHole is what commands say of 1 TiB without data, behind the status they end with.
var ofHole = []struct{ command, wants string }{
	{"verify_read", "1: damaged: 268435456 of 268435456 blocks: 268435456 zeroed"},
	{"verify_read --holes", "1: nothing was verified"},
	{"verify_read --exact -t md5", "1: damaged: 268435456 of 268435456 blocks: 268435456 zeroed"},
	{"verify_read --exact -t md5 -b 64k", "1: damaged: 16777216 of 16777216 blocks: 16777216 zeroed"},
	{"verify_read -t pattern -P 0", "0: 268435456 blocks are intact"},
	{"verify_read --exact -t pattern -P 0", "0: 268435456 blocks are intact"},
	{"verify_read -t pattern -P 0x11", "1: damaged: 268435456 of 268435456 blocks"},
	{"verify_read --exact -t pattern -P 0x11", "1: damaged: 268435456 of 268435456 blocks"},
	{"verify_job --read job", "1: damaged: 268435456 of 268435456 blocks: 268435456 zeroed"},
}

// TestSparseVerified verifies images of 1 TiB that are one hole. Nobody reads so much here: what
// did not take the hole for one thing would not come to its end. Tier 1 takes every other command
// of a format.
func TestSparseVerified(t *testing.T) {
	t.Parallel()
	dir := workDir(t)
	err := os.WriteFile(filepath.Join(dir, "job"),
		[]byte("[a]\nrw=write\nbs=4k\nsize=1t\nverify=crc32c\n"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	for i, format := range []string{"raw", "qcow2"} {
		a, err := asBlksh.run(run{dir: dir, args: []string{"create", "-f", format, format, "1T"}})
		if err != nil || a.status != "exit 0" {
			t.Fatalf("%v, %v", a, err)
		}
		for j, c := range ofHole {
			if !blockdevtest.Sampled(i+j, 2) {
				continue
			}
			status, said, _ := strings.Cut(c.wants, ": ")
			args := append([]string{"-r", "-f", format, format}, strings.Fields(c.command)...)
			a, err := asBlksh.run(run{dir: dir, args: args})
			if err != nil {
				t.Fatal(err)
			}
			if a.status != "exit "+status || !strings.Contains(a.stdout+a.stderr, said) {
				t.Errorf("%s of %s: %s, want %s\n%s%s", c.command, format, a.status, c.wants,
					a.stdout, a.stderr)
			}
		}
	}
}
