package tests

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Images of formats that qemu-img makes and this program cannot read.
var foreignImages = []struct {
	name, format string
	options      []string
	rawToQEMU    bool // where its own guessing takes it for raw
}{
	{"sparse.vmdk", "vmdk", nil, false},
	{"stream.vmdk", "vmdk", []string{"-o", "subformat=streamOptimized"}, false},
	{"flat.vmdk", "vmdk", []string{"-o", "subformat=monolithicFlat"}, false},
	{"dynamic.vhd", "vpc", nil, false},
	{"fixed.vhd", "vpc", []string{"-o", "subformat=fixed"}, true},
	{"i.vhdx", "vhdx", nil, false},
	{"i.qed", "qed", nil, false},
	{"i.parallels", "parallels", nil, false},
	{"i.qcow", "qcow", nil, false},
}

// TestForeignImages: no image of a format without a driver is opened as raw because nobody named
// its format, however it is opened.
func TestForeignImages(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		without(t, "qemu-utils")
	}
	dir := workDir(t, "q.qcow2")
	for _, im := range foreignImages {
		args := append([]string{"create", "-q", "-f", im.format}, im.options...)
		if err := qemuImg(dir, append(args, im.name, "1M")...); err != nil {
			t.Fatalf("qemu-img %v", err)
		}
		over := im.name + ".over"
		writeLinked(t, filepath.Join(dir, over), im.name)
		before := sums(t, dir)
		for what, args := range map[string][]string{
			"top":      {im.name},
			"prefix":   {"file:" + im.name},
			"json":     {fmt.Sprintf(`json:{"file":{"driver":"file","filename":"%s"}}`, im.name)},
			"options":  {"--image-opts", "file.driver=file,file.filename=" + im.name},
			"blkdebug": {"blkdebug::" + im.name},
			"overlay":  {"-s", im.name},
			"backing":  {over},
			"-r":       {"-r", im.name},
		} {
			for _, p := range []program{asBlksh, asQemuIO.as("qemu-7.2"), asQemuIO} {
				native := p.path == asBlksh.path
				if !native && im.rawToQEMU {
					continue
				}
				a, err := p.run(
					run{
						dir: dir,
						args: append([]string{"-c", "write -q 512 512", "-c", "read -q 0 512"},
							args...),
					})
				if err != nil {
					t.Fatal(err)
				}
				if want := map[bool]string{
					true:  "exit 3",
					false: "exit 1",
				}[native]; a.status != want ||
					!strings.Contains(a.stderr, "has the format "+im.format+" ") ||
					strings.Contains(a.stderr, "taken for raw") {
					t.Errorf("%s as %s by %s: %s, %q", im.name, what, filepath.Base(p.path),
						a.status, a.stderr)
				}
			}
		}
		for _, words := range [][]string{
			{"q.qcow2", "compare", im.name},
			{"q.qcow2", "check", im.name},
		} {
			a, err := asBlksh.run(run{dir: dir, args: words})
			if err != nil {
				t.Fatal(err)
			}
			if a.status != "exit 3" ||
				!strings.Contains(a.stderr, "has the format "+im.format+" ") {
				t.Errorf("%s: %s, %q", strings.Join(words, " "), a.status, a.stderr)
			}
		}
		if after := sums(t, dir); after != before {
			t.Errorf("%s: files changed: %s, were %s", im.name, after, before)
		}
		a, err := asBlksh.run(run{dir: dir, args: []string{"-f", "raw", im.name, "length"}})
		if err != nil || a.status != "exit 0" || a.stderr != "" {
			t.Errorf("%s with -f raw: %s, %q, %v", im.name, a.status, a.stderr, err)
		}
	}
}

// TestTakenForRaw is said once, before the first sector is written, and neither where that cannot
// be nor where it does not matter.
func TestTakenForRaw(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "raw.img")
	for _, tt := range []struct {
		args []string
		said int
	}{
		{[]string{"raw.img", "length"}, 0},
		{[]string{"-c", "read -q 0 512", "-c", "write -q 512 512", "raw.img"}, 0},
		{[]string{"-c", "write -q 0 512", "-c", "write -q 0 1k", "raw.img"}, 1},
		{[]string{"-c", "write -q 100 10", "raw.img"}, 1},
		{[]string{"-f", "raw", "-c", "write -q 0 512", "raw.img"}, 0},
		{[]string{"-r", "-c", "read -q 0 512", "raw.img"}, 0},
		{[]string{"-c", "write -q 0 512", "null-co://"}, 0},
		{[]string{"-c", "write -q 0 512", "mem:1M"}, 0},
	} {
		a, err := asBlksh.run(run{dir: dir, args: tt.args})
		if err != nil {
			t.Fatal(err)
		}
		if a.status != "exit 0" || strings.Count(a.stderr, "taken for raw") != tt.said {
			t.Errorf("%q: %s, %q", tt.args, a.status, a.stderr)
		}
	}
	a, err := asBlksh.run(
		run{
			dir:  dir,
			args: []string{"-c", "write -q --text KDMV 0 4", "-c", "read -v 0 4", "raw.img"},
		})
	if err != nil {
		t.Fatal(err)
	}
	a.wants(t, "a header of others", "exit 5", "",
		"the first sector would make it an image of format vmdk")
}

// TestJobSparesImages: a file that a job names is written byte by byte, and refused where it is an
// image.
func TestJobSparesImages(t *testing.T) {
	t.Parallel()
	dir := workDir(t, "q.qcow2")
	for name, text := range map[string]string{
		"x.vmdk": "KDMV" + strings.Repeat("\x00", 65532),
		"job":    "[j]\nrw=write\nverify=crc32c\nsize=64k\nfilename=${F}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	before := sums(t, dir)
	for name, format := range map[string]string{
		"x.vmdk":  "the format vmdk",
		"q.qcow2": "the format qcow2",
	} {
		p := asBlksh
		p.env = []string{"F=" + name}
		a, err := p.run(run{dir: dir, args: []string{"-c", "verify_job job"}})
		if err != nil {
			t.Fatal(err)
		}
		a.wants(t, name, "exit 3", "", format)
	}
	if after := sums(t, dir); after != before {
		t.Errorf("files changed: %s, were %s", after, before)
	}
}

func qemuImg(dir string, args ...string) error {
	cmd := exec.Command("qemu-img", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// sums is the checksum of every file in a directory, a line each.
func sums(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", e.Name(), sha256.Sum256(data))
	}
	return b.String()
}
