package commands_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/session"
)

// chain makes old.*, new.* and an overlay of 6 MiB on the first, with what it shows as a raw image.
func chain(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	lines := []string{
		"create old.raw 4M", "open -f raw old.raw", "write -q -P random:1 0 4M",
		"write -q -z 3M 64k", "close",
		"create short.raw 1M", "open -f raw short.raw", "write -q -P random:1 0 1M", "close",
		"create long.qcow2 8M", "open long.qcow2", "write -q -P random:1 0 2M",
		"write -q -P 5 2M 6M", "close",
		"create -f qcow2 -b old.raw -F raw -o " + options + " over.qcow2 6M", "open over.qcow2",
		"write -q -P 7 100k 3000", "write -q -P 8 2500k 200k", "write -q -z 1M 512k",
		"discard -q 4M 64k", "write -q -P 9 5900k 10k",
		"close",
	}
	if said, status := in(t, dir, nil, lines...); status != 0 {
		t.Fatal(said)
	}
	qemuImg(t, "convert", "-O", "raw", "over.qcow2", "want.raw")
	return dir
}

var overlays = []string{
	"compat=1.1", "compat=0.10", "extended_l2=on", "cluster_size=512",
	"cluster_size=2M",
}

// TestRebase: the guest sees the same, whatever the overlay stands on.
func TestRebase(t *testing.T) {
	for _, options := range overlays {
		t.Run(options, func(t *testing.T) {
			dir := chain(t, options)
			for _, to := range []string{
				"-b long.qcow2 -F qcow2", "-b short.raw -F raw", "-b ''",
				"-b long.qcow2 -F qcow2", "-b ''",
			} {
				said, status := in(t, dir, nil, "rebase "+to+" over.qcow2")
				if status != 0 || !strings.Contains(said, "stands on") {
					t.Fatalf("%s: %d, %s", to, status, said)
				}
				qemuImg(t, "compare", "want.raw", "over.qcow2")
				qemuImg(t, "check", "over.qcow2")
				named := strings.Contains(qemuImg(t, "info", "over.qcow2"), "backing file: "+
					strings.Fields(to)[1])
				if named != (to != "-b ''") {
					t.Errorf("%s: the image does not say so", to)
				}
			}
		})
	}
}

// TestRebaseUnsafe changes the name, of a file that is not there too.
func TestRebaseUnsafe(t *testing.T) {
	dir := chain(t, "compat=1.1")
	if err := os.Rename("old.raw", "moved.raw"); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{
		"rebase -b moved.raw -F raw over.qcow2": 3, "rebase -u -b moved.raw over.qcow2": 2,
		"rebase over.qcow2":     2,
		"rebase -b '' want.raw": 2, "rebase -u -b none -F raw missing": 3,
	} {
		if said, status := in(t, dir, nil, line); status != want {
			t.Errorf("%s: %d, want %d: %s", line, status, want, said)
		}
	}
	if said, status := in(t, dir, nil, "rebase -u -b moved.raw -F raw over.qcow2"); status != 0 {
		t.Error(said)
	}
	qemuImg(t, "compare", "want.raw", "over.qcow2")
}

// TestRebaseStops: what was interrupted changes nothing for the guest.
func TestRebaseStops(t *testing.T) {
	chain(t, "compat=1.1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newShell(t, "native", stopAt(2<<20, cancel))
	_ = s.Run(ctx, session.Line{Text: "rebase -b '' over.qcow2"})
	s.Printer.Flush()
	if said := s.out.String() + s.errs.String(); strings.Contains(said, "stands on") ||
		!strings.Contains(said, "interrupted") {
		t.Error(said)
	}
	qemuImg(t, "compare", "want.raw", "over.qcow2")
	qemuImg(t, "check", "over.qcow2")
}

// TestCommit: the backing file has it all then, and the overlay shows it through.
func TestCommit(t *testing.T) {
	for _, options := range overlays {
		t.Run(options, func(t *testing.T) {
			dir := chain(t, options)
			said, status := in(t, dir, nil, "commit -d over.qcow2")
			if status != 0 || strings.Contains(said, "empty") {
				t.Errorf("%d, %s", status, said)
			}
			qemuImg(t, "compare", "want.raw", "old.raw")
			qemuImg(t, "compare", "want.raw", "over.qcow2")
			said, status = in(t, dir, nil, "commit over.qcow2", "open over.qcow2", "alloc 0 6M")
			if status != 0 || !strings.Contains(said, "0/6291456 bytes allocated") {
				t.Errorf("%d, %s", status, said)
			}
			qemuImg(t, "compare", "want.raw", "over.qcow2")
			qemuImg(t, "check", "over.qcow2")
		})
	}
}

// TestCommitRefused: what others or the user did not agree to is left alone.
func TestCommitRefused(t *testing.T) {
	dir := chain(t, "compat=1.1")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-b", "over.qcow2", "-F", "qcow2", "snap.qcow2")
	qemuImg(t, "snapshot", "-c", "s", "snap.qcow2")
	device := `json:{"driver":"host_device","filename":"/dev/null"}`
	qemuImg(t, "create", "-q", "-f", "qcow2", "-u", "-b", device, "-F", "raw", "sly.qcow2", "1M")
	locked := `json:{"driver":"file","filename":"old.raw","locking":"off"}`
	qemuImg(t, "create", "-q", "-f", "qcow2", "-u", "-b", locked, "-F", "raw", "free.qcow2", "1M")
	before := contents(t, "old.raw")
	for line, want := range map[string]int{
		"commit want.raw": 2, "commit missing": 3, "commit snap.qcow2": 2, "commit sly.qcow2": 3,
		"commit free.qcow2": 3,
	} {
		if said, status := in(t, dir, nil, line); status != want ||
			strings.Contains(said, "committed") {
			t.Errorf("%s: %d, want %d: %s", line, status, want, said)
		}
	}
	if said, status := in(t, dir, nil, "open over.qcow2", "commit over.qcow2"); status < 3 {
		t.Errorf("open here: %d, %s", status, said)
	}
	if said, status := in(t, dir, nil, "open -f raw old.raw", "commit over.qcow2"); status < 3 {
		t.Errorf("the backing file is open here: %d, %s", status, said)
	}
	if contents(t, "old.raw") != before {
		t.Error("the backing file was written")
	}
}

// TestRebaseWithSnapshots: an overlay with snapshots comes onto a backing file that shows the same,
// and onto no other one, since its snapshots would show what they never held.
func TestRebaseWithSnapshots(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create base.raw 4M", "open -f raw base.raw", "write -q -P 1 1M 64k", "close",
		"copy -f qcow2 base.raw copy.qcow2", "create zero.raw 4M",
		"create longer.raw 5M", "open -f raw longer.raw", "write -q -P 1 1M 64k",
		"write -q -P 2 4M 64k", "close",
		"create -f qcow2 -b base.raw -F raw over.qcow2", "open over.qcow2",
		"write -q -P 7 0 64k", "snapshot create s", "write -q -P 8 1M 64k", "close",
		"create -f qcow2 -b zero.raw -F raw empty.qcow2", "open empty.qcow2", "snapshot create s")
	qemuImg(t, "convert", "-O", "raw", "over.qcow2", "now.raw")
	qemuImg(t, "convert", "-l", "s", "-O", "raw", "over.qcow2", "then.raw")
	for _, c := range []struct {
		line   string
		status int
	}{
		{"rebase -b zero.raw -F raw over.qcow2", 2},
		{"rebase -b '' over.qcow2", 2},
		{"rebase -b copy.qcow2 -F qcow2 over.qcow2", 0},
		{"rebase -b longer.raw -F raw over.qcow2", 0},
		{"rebase -b '' empty.qcow2", 0},
		{"rebase -b base.raw -F raw empty.qcow2", 2},
	} {
		said, status := in(t, dir, nil, c.line)
		if status != c.status || status != 0 && !strings.Contains(said, "has snapshots") {
			t.Errorf("%s: %d, want %d: %s", c.line, status, c.status, said)
		}
		qemuImg(t, "compare", "now.raw", "over.qcow2")
		qemuImg(t, "convert", "-l", "s", "-O", "raw", "over.qcow2", "is.raw")
		qemuImg(t, "compare", "then.raw", "is.raw")
		qemuImg(t, "check", "over.qcow2")
	}
}
