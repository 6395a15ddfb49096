package tests

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// A wildRow is an invocation of qemu-io that a public project has, and how it
// is run here: testdata/wild.tsv. In its fourth column, in the words of golden
// scripts, stand values for what the project's variables hold, in the fifth
// what is typed:
//
//   - images and servers are disk.img, 64 MiB of raw disk, or disk.qcow2;
//   - QEMU's iotests say -f raw --cache writeback --aio threads, as their
//     runner makes them;
//   - sizes, offsets and patterns are of the magnitude of the project's;
//   - generated input is shorter than the project's, of the same kind.
//
// "- REASON" in its place says why it is not run.
type wildRow struct {
	line       int
	invocation string
	args       []string
	stdin      string
}

func readWild(t *testing.T) []wildRow {
	t.Helper()
	b, err := os.ReadFile("testdata/wild.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var rows []wildRow
	for i, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n")[1:] {
		fields := strings.Split(line, "\t")
		if len(fields) != 5 {
			t.Fatalf("wild.tsv:%d: %d fields", i+2, len(fields))
		}
		if strings.HasPrefix(fields[3], "- ") {
			continue
		}
		words, err := splitWords(fields[3])
		if err != nil || words[0] != "qemu-io" {
			t.Fatalf("wild.tsv:%d: %q: %v", i+2, fields[3], err)
		}
		stdin, err := splitWords(fields[4])
		if err != nil {
			t.Fatalf("wild.tsv:%d: %q: %v", i+2, fields[4], err)
		}
		rows = append(rows, wildRow{i + 2, fields[2], words[1:], strings.Join(stdin, "")})
	}
	return rows
}

// text is all that the row says to the program.
func (w wildRow) text() string { return strings.Join(w.args, " ") + "\n" + w.stdin }

// missing is a driver that the row names and the program does not have, "" if there is none.
func (w wildRow) missing() string {
	for _, driver := range []string{"vmdk", "blkverify", "quorum"} {
		if strings.Contains(w.text(), driver) {
			return driver
		}
	}
	return ""
}

// images are the fixtures that the row names.
func (w wildRow) images() []string {
	images := []string{"disk.img"}
	if strings.Contains(w.text(), "disk.qcow2") {
		images = append(images, "disk.qcow2")
	}
	return images
}

// TestWild runs every invocation, in tier 1 every other one, and compares it with the real qemu-io:
// what is said, the status, and the image afterwards. The newest dialect speaks, but where it has
// what the reference may not have.
func TestWild(t *testing.T) {
	t.Parallel()
	real := reference(t)
	spoken := dialectOf(versionOf(t, real))
	for i, w := range readWild(t) {
		if !blockdevtest.Sampled(i, 2) {
			continue
		}
		t.Run(fmt.Sprintf("line%d", w.line), func(t *testing.T) {
			t.Parallel()
			if driver := w.missing(); driver != "" && *programFlag == "" {
				t.Skipf("needs %s, which the program does not have", driver)
			}
			dialect := "qemu"
			if w.drifts() {
				dialect = spoken
			}
			want, got := w.answer(t, real), w.answer(t, asQemuIO.as(dialect))
			if diff := want.diff(got); diff != "" {
				t.Errorf("as %s: %s\n%q <<< %q\n%s", dialect, w.invocation, w.args, w.stdin, diff)
			}
		})
	}
}

// drifts reports whether versions that are called current answer the row each
// in its own way: it needs a zone command, or shows the letters of a flag list.
func (w wildRow) drifts() bool {
	return strings.Contains(w.text(), "zrp ") || strings.Contains(w.stdin, "help\n") ||
		strings.Contains(w.text(), "write -f raw -d")
}

// dialectOf names the dialect that a version of qemu-io speaks.
func dialectOf(version string) string {
	for _, d := range dialects {
		if _, v, ok := strings.Cut(d, "-"); ok && strings.HasPrefix(version, v+".") {
			return d
		}
	}
	return "qemu"
}

// answer runs the row on fresh images.
func (w wildRow) answer(t *testing.T, p program) answer {
	t.Helper()
	dir := workDir(t, w.images()...)
	a, err := p.run(run{dir: dir, args: w.args, stdin: w.stdin})
	if err != nil {
		t.Fatal(err)
	}
	var f filter
	a.stdout, a.stderr = f.text(a.stdout), f.text(a.stderr)
	if strings.Count(w.text(), "aio_") > 1 {
		a.stdout = lineSet(a.stdout) // completions come in any order, at any prompt
	}
	if !strings.Contains(w.text(), "urandom") {
		sum, err := contentSum(filepath.Join(dir, "disk.img"))
		if err != nil {
			t.Fatal(err)
		}
		a.after = []string{"disk.img: " + sum}
	}
	return a
}

// contentSum tells files of different content apart. Holes are zeroes to it,
// and cost nothing.
func contentSum(path string) (string, error) {
	const block = 64 << 10
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	buf := make([]byte, block)
	for off := int64(0); off < st.Size(); off += block {
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole is left
		}
		if err != nil {
			return "", err
		}
		off = data &^ (block - 1)
		n, err := f.ReadAt(buf, off)
		if n == 0 {
			return "", err
		}
		if slices.ContainsFunc(buf[:n], func(b byte) bool { return b != 0 }) {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(off)))
			h.Write(buf[:n])
		}
	}
	return fmt.Sprintf("%d bytes, sum %x", st.Size(), h.Sum(nil)[:8]), nil
}
