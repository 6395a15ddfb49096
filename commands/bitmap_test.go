package commands_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// theirBitmaps is how qemu-img sees the bitmaps of an image: name, granularity and flags of each.
func theirBitmaps(t *testing.T, name string) string {
	t.Helper()
	var info struct {
		Specific struct {
			Data struct {
				Bitmaps []struct {
					Name        string
					Granularity int64
					Flags       []string
				}
			}
		} `json:"format-specific"`
	}
	if err := json.Unmarshal([]byte(qemuImg(t, "info", "--output=json", name)), &info); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, b := range info.Specific.Data.Bitmaps {
		said = append(said, fmt.Sprintf("%s %d %v", b.Name, b.Granularity, b.Flags))
	}
	return strings.Join(said, ", ")
}

// TestBitmap: QEMU finds our bitmaps, and we its.
func TestBitmap(t *testing.T) {
	for _, options := range []string{
		"cluster_size=64k", "cluster_size=512",
		"cluster_size=2M,extended_l2=on",
	} {
		dir := t.TempDir()
		said, status := in(t, dir, nil, "create -o "+options+" a.qcow2 10M", "open a.qcow2",
			"bitmap add one", "bitmap add -g 4k --disabled two",
			"bitmap add -g 1M three", "bitmap remove three", "write -q 1M 100k",
			"bitmap merge one two", "bitmap disable one", "bitmap enable two")
		if status != 0 {
			t.Fatalf("%s: %d, %s", options, status, said)
		}
		usual := map[string]string{"cluster_size=512": "4096"}[options]
		if usual == "" {
			usual = "65536"
		}
		if got, want := theirBitmaps(t, "a.qcow2"), "one "+usual+
			" [], two 4096 [auto]"; got != want {
			t.Errorf("%s: %s, want %s", options, got, want)
		}
		qemuImg(t, "check", "a.qcow2")
		qemuImg(t, "bitmap", "--add", "-g", "8192", "a.qcow2", "theirs")
		qemuImg(t, "bitmap", "--merge", "two", "a.qcow2", "theirs")
		qemuImg(t, "bitmap", "--clear", "a.qcow2", "one")
		said, status = in(t, dir, nil, "open -r a.qcow2", "bitmap list",
			"map --totals --bitmap theirs")
		want := "one: " + map[string]string{"4096": "4 KiB", "65536": "64 KiB"}[usual] +
			" a bit, 0 bytes dirty, disabled\n"
		if status != 0 || !strings.Contains(said, want) ||
			!strings.Contains(said, "theirs: 8 KiB a bit, ") ||
			strings.Contains(said, "theirs: 8 KiB a bit, 0 ") {
			t.Errorf("%s: %d, %s", options, status, said)
		}
		said, status = in(t, dir, nil, "open a.qcow2", "bitmap remove one", "bitmap remove two",
			"bitmap remove theirs", "bitmap list")
		if status != 0 || theirBitmaps(t, "a.qcow2") != "" {
			t.Errorf("%s: %d, %s, left are %s", options, status, said, theirBitmaps(t, "a.qcow2"))
		}
		qemuImg(t, "check", "a.qcow2")
	}
}

// TestBitmapDirty: what map shows is what a client of qemu-nbd gets.
func TestBitmapDirty(t *testing.T) {
	dir := t.TempDir()
	said, status := in(t, dir, nil, "create a.qcow2 64M", "open a.qcow2", "bitmap add -g 4k b",
		"write -q 5k 1k", "write -q -z 1M 4M", "discard -q 20M 64k",
		"write -q -c 32M 128k", "write -q 63M 1M")
	if status != 0 {
		t.Fatal(said)
	}
	socket := filepath.Join(dir, "nbd")
	server := exec.Command(blockdevtest.Peer(t, "qemu-nbd", "qemu-utils"), "-r", "-t", "-f",
		"qcow2", "-B", "b", "-k", socket, "a.qcow2")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	var theirs []struct {
		Start, Length int64
		Data          bool
	}
	options := "driver=nbd,server.type=unix,server.path=" + socket +
		",x-dirty-bitmap=qemu:dirty-bitmap:b"
	for deadline := time.Now().Add(time.Minute); ; { // until the server listens
		out, err := exec.Command("qemu-img", "map", "--output=json", "--image-opts",
			options).Output()
		if err == nil {
			err = json.Unmarshal(out, &theirs)
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	var want strings.Builder
	for _, r := range theirs {
		fmt.Fprintf(&want, "%d %d %v\n", r.Start, r.Length, !r.Data)
	}
	said, _ = in(t, dir, nil, "open -r -U a.qcow2", "map --bitmap b")
	var got strings.Builder
	_, rows, _ := strings.Cut(said, "\n") // the names of the columns
	for line := range strings.Lines(rows) {
		words := strings.Fields(line)
		fmt.Fprintf(&got, "%s %s %v\n", words[0], words[1], words[len(words)-1] == "dirty")
	}
	if got.String() != want.String() {
		t.Errorf("dirty are\n%swant\n%s", got.String(), want.String())
	}
}

// TestBitmapRefused: what is wrong is said, and nothing is changed.
func TestBitmapRefused(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create a.qcow2 1M", "open a.qcow2", "bitmap add b", "bitmap add c",
		"create b.qcow2 2M", "create c.raw 1M", "create -o compat=0.10 old.qcow2 1M")
	out, err := exec.Command(blockdevtest.Peer(t, "qemu-io", "qemu-utils"), "-c", "write 0 512",
		"-c", "abort", "a.qcow2").CombinedOutput()
	if err == nil {
		t.Fatalf("abort did not: %s", out)
	}
	before := contents(t, "a.qcow2")
	for line, want := range map[string]string{
		"bitmap clear b": "inconsistent", "bitmap enable b": "inconsistent",
		"bitmap merge b c": "inconsistent", "map --bitmap b": "inconsistent",
		"bitmap add b": "already exists", "bitmap remove nosuch": "not found",
		"bitmap add -g 1000 d": "power of 2", "bitmap add -g 4G d": "power of 2",
		"bitmap add -g 0 d": "power of 2", "bitmap add ''": "cannot be empty", "bitmap add " +
			strings.Repeat("n", 1024): "1023", "bitmap": "bitmap",
		"bitmap add": "takes 1 name", "bitmap merge b": "takes 2 names", "bitmap frob x": "frob",
		"copy --bitmap b -n b.qcow2": "inconsistent",
	} {
		said, status := in(t, dir, nil, "open a.qcow2", line)
		if status != 2 || !strings.Contains(said, want) {
			t.Errorf("%s: %d, %s; want %q", line, status, said, want)
		}
	}
	if said, status := in(t, dir, nil, "open -r a.qcow2", "bitmap remove b"); status != 2 {
		t.Errorf("read-only: %d, %s", status, said)
	}
	for line, want := range map[string]string{
		"bitmap add b": "have no bitmaps", "bitmap list": "have no bitmaps",
		"map --bitmap b": "have no bitmaps", "copy --bitmap b -n b.qcow2": "have no bitmaps",
		"serve --bitmap b --unix socket": "have no bitmaps",
		"snapshot apply b":               "have no snapshots", "check": "no metadata",
	} {
		said, status := in(t, dir, nil, "open c.raw", line)
		if status != 2 || !strings.Contains(said, want) {
			t.Errorf("raw: %s: %d, %s", line, status, said)
		}
	}
	if said, status := in(t, dir, nil, "open old.qcow2", "bitmap add b"); status != 2 ||
		!strings.Contains(said, "v2") {
		t.Errorf("version 2: %d, %s", status, said)
	}
	if said, status := in(t, dir, nil, "open b.qcow2", "bitmap add x",
		"bitmap merge --from a.qcow2 b x"); status != 2 {
		t.Errorf("another length: %d, %s", status, said)
	}
	if contents(t, "a.qcow2") != before {
		t.Error("the image was changed")
	}
	said, status := in(t, dir, nil, "open a.qcow2", "bitmap list", "bitmap remove b",
		"bitmap remove c", "bitmap list")
	if status != 0 || strings.Count(said, "inconsistent") != 2 || theirBitmaps(t, "a.qcow2") != "" {
		t.Errorf("%d, %s", status, said)
	}
	qemuImg(t, "check", "a.qcow2")
}

// TestCopyBitmap makes an incremental backup: what has changed goes onto what was there before.
func TestCopyBitmap(t *testing.T) {
	for _, flags := range []string{"", "-c ", "-o extended_l2=on ", "-o cluster_size=2M "} {
		dir := t.TempDir()
		said, status := in(t, dir, nil, "create a.qcow2 20M", "open a.qcow2",
			"write -q -P random:1 0 10M", "close", "copy a.qcow2 full.qcow2",
			"copy a.qcow2 full.raw", "open a.qcow2", "bitmap add b", "write -q -P 7 1M 100k",
			"write -q -z 3M 1M", "write -q -P 8 19M 64k", "discard -q 5M 128k",
			"close", "copy --verify "+flags+"--bitmap b -b full.qcow2 -F qcow2 a.qcow2 inc.qcow2",
			"copy -n --verify --bitmap b a.qcow2 full.raw")
		if status != 0 || strings.Count(said, "read back") != 2 {
			t.Errorf("%s: %d, %s", flags, status, said)
			continue
		}
		qemuImg(t, "compare", "a.qcow2", "inc.qcow2")
		qemuImg(t, "compare", "a.qcow2", "full.raw")
		qemuImg(t, "check", "inc.qcow2")
		if strings.Contains(said, "10 MiB of data") {
			t.Error("all was copied")
		}
	}
	for line, status := range map[string]int{
		"copy --bitmap b a.qcow2 x.qcow2": 2, "copy -b full.qcow2 -F qcow2 a.qcow2 x.qcow2": 2,
		"copy -n --bitmap nosuch a.qcow2 full.raw":             2,
		"copy --bitmap b -b full.qcow2 a.qcow2 x.qcow2":        2,
		"copy --bitmap b -b full.qcow2 -F qcow2 a.qcow2 x.raw": 2,
	} {
		if said, got := in(t, ".", nil, line); got != status {
			t.Errorf("%s: %d, want %d: %s", line, got, status, said)
		}
	}
}
