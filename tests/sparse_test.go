package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSparseVerified verifies images of 1 TiB that are one hole. Nobody reads so much here: what
// did not take the hole for one thing would not come to its end.
func TestSparseVerified(t *testing.T) {
	t.Parallel()
	dir := workDir(t)
	err := os.WriteFile(filepath.Join(dir, "job"),
		[]byte("[a]\nrw=write\nbs=4k\nsize=1t\nverify=crc32c\n"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"raw", "qcow2"} {
		a, err := asBlksh.run(run{dir: dir, args: []string{"create", "-f", format, format, "1T"}})
		if err != nil || a.status != "exit 0" {
			t.Fatalf("%v, %v", a, err)
		}
		for command, want := range map[string]string{
			"verify_read":                            "1: damaged: 268435456 of 268435456 blocks: 268435456 zeroed",
			"verify_read --holes":                    "1: nothing was verified",
			"verify_read --exact -t md5":             "1: damaged: 268435456 of 268435456 blocks: 268435456 zeroed",
			"verify_read --exact -t md5 -b 64k":      "1: damaged: 16777216 of 16777216 blocks: 16777216 zeroed",
			"verify_read -t pattern -P 0":            "0: 268435456 blocks are intact",
			"verify_read --exact -t pattern -P 0":    "0: 268435456 blocks are intact",
			"verify_read -t pattern -P 0x11":         "1: damaged: 268435456 of 268435456 blocks",
			"verify_read --exact -t pattern -P 0x11": "1: damaged: 268435456 of 268435456 blocks",
			"verify_job --read job":                  "1: damaged: 268435456 of 268435456 blocks: 268435456 zeroed",
		} {
			status, said, _ := strings.Cut(want, ": ")
			args := append([]string{"-r", "-f", format, format}, strings.Fields(command)...)
			a, err := asBlksh.run(run{dir: dir, args: args})
			if err != nil {
				t.Fatal(err)
			}
			if a.status != "exit "+status || !strings.Contains(a.stdout+a.stderr, said) {
				t.Errorf("%s of %s: %s, want %s\n%s%s", command, format, a.status, want, a.stdout,
					a.stderr)
			}
		}
	}
}
