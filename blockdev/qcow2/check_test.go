package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// verdict is what a check counts, as qemu-img prints it.
type verdict struct {
	Corruptions      int64 `json:"corruptions"`
	Leaks            int64 `json:"leaks"`
	CheckErrors      int64 `json:"check-errors"`
	CorruptionsFixed int64 `json:"corruptions-fixed"`
	LeaksFixed       int64 `json:"leaks-fixed"`
	ImageEnd         int64 `json:"image-end-offset"`
	Total            int64 `json:"total-clusters"`
	Allocated        int64 `json:"allocated-clusters"`
	Fragmented       int64 `json:"fragmented-clusters"`
	Compressed       int64 `json:"compressed-clusters"`
}

// peerCheck has qemu-img check an image; ok is false if it could not. The lines are what it says on
// the way.
func peerCheck(t *testing.T, path string, repair ...string) (v verdict, lines string, ok bool) {
	t.Helper()
	cmd := exec.Command("qemu-img",
		append(append([]string{"check", "--output=json"}, repair...), path)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	if json.Unmarshal(out, &v) != nil {
		return v, stderr.String(), false
	}
	return v, stderr.String(), true
}

// ourCheck does the same: it opens for a check alone, and looks again after a repair.
func ourCheck(t *testing.T, path string, fix driver.Fix) (v verdict, lines string, ok bool) {
	t.Helper()
	ctx := context.Background()
	d, err := blockdev.Open(ctx, path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2",
		Mode: driver.Mode{Unmap: true, NoFlush: true, ReadOnly: fix == 0, Check: true},
	})
	if err != nil {
		return v, err.Error(), false
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	c, _ := driver.Find[driver.Checker](d.Top())
	r, err := c.Check(ctx, fix)
	lines = strings.Join(r.Messages, "\n")
	if err == nil && r.CorruptionsFixed+r.LeaksFixed > 0 {
		fixed := r
		r, err = c.Check(ctx, 0)
		r.CorruptionsFixed, r.LeaksFixed = fixed.CorruptionsFixed, fixed.LeaksFixed
		lines += "\nagain:\n" + strings.Join(r.Messages, "\n")
	}
	v = verdict{
		r.Corruptions, r.Leaks, r.CheckErrors, r.CorruptionsFixed, r.LeaksFixed, r.ImageEnd,
		r.TotalClusters,
		r.AllocatedClusters, r.FragmentedClusters, r.CompressedClusters,
	}
	return v, lines, err == nil
}

// plant changes one entry of some table of an image.
func plant(b []byte, rng *rand.Rand) {
	be := binary.BigEndian
	cluster := int(1) << be.Uint32(b[20:])
	l1 := int(be.Uint64(b[40:]))
	reftable := int(be.Uint64(b[48:]))
	at := l1 + 8*rng.IntN(2)
	switch rng.IntN(4) {
	case 0: // an L2 entry
		if l2 := int(be.Uint64(b[l1:]) &^ (1 << 63)); l2 > 0 && l2+cluster <= len(b) {
			at = l2 + 8*rng.IntN(cluster/8)
		}
	case 1: // refcounts
		if block := int(be.Uint64(b[reftable:])); block > 0 && block+cluster <= len(b) {
			at = block + 8*rng.IntN(min(cluster/8, 1+len(b)/cluster/4))
		}
	case 2:
		at = reftable + 8*rng.IntN(3)
	}
	old := be.Uint64(b[at:])
	values := []uint64{
		0, 1, old ^ 1<<63, old + uint64(cluster), old + 512, old | 1<<20, old | 0x10,
		1 << 62, uint64(cluster) * 3,
	}
	be.PutUint64(b[at:], values[rng.IntN(len(values))])
}

// TestCheckAgrees plants faults in images and compares what both checks count and say, then what
// both repairs leave.
func TestCheckAgrees(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	rounds := blockdevtest.Rounds(12, 1000)
	for i := range rounds {
		s := []shape{
			{Version: 3, ClusterBits: 9, RefcountBits: 16, Compression: "zlib", Snapshot: true},
			{Version: 3, ClusterBits: 12, RefcountBits: 8, Compression: "zstd"},
			{Version: 2, ClusterBits: 10, RefcountBits: 16, Compression: "zlib"},
		}[i%3]
		rng := rand.New(rand.NewPCG(uint64(i), 5))
		m := newModel(t, dir, s, uint64(i))
		for range 20 {
			m.step()
		}
		m.close()
		b, err := os.ReadFile(m.path)
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + rng.IntN(2) {
			plant(b, rng)
		}
		if !compareChecks(t, dir, b) {
			t.Fatalf("round %d", i)
		}
	}
}

func compareChecks(t *testing.T, dir string, image []byte) bool {
	t.Helper()
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	for _, step := range []struct {
		args []string
		fix  driver.Fix
	}{
		{nil, 0},
		{[]string{"-r", "leaks"}, driver.FixLeaks},
		{[]string{"-r", "all"}, driver.FixLeaks | driver.FixErrors},
	} {
		for _, path := range []string{theirs, ours} {
			if err := os.WriteFile(path, image, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, said, wantOK := peerCheck(t, theirs, step.args...)
		got, lines, gotOK := ourCheck(t, ours, step.fix)
		left, _, judged := peerCheck(t, ours)
		// qemu-img makes the file longer for it, and then mends more
		if strings.Contains(said, "Repairing refcount block") {
			got.CorruptionsFixed, got.LeaksFixed = want.CorruptionsFixed, want.LeaksFixed
			// and what else lay behind its end is in it then
			if strings.Contains(lines, "exceeding the end of the file") {
				continue
			}
		}
		// qemu-img counts what it need not, far behind the image
		if step.fix != 0 && got.ImageEnd < want.ImageEnd {
			got.ImageEnd = want.ImageEnd
		}
		if gotOK && step.fix&driver.FixErrors != 0 && got.Corruptions+got.CheckErrors == 0 &&
			!judged &&
			(wantOK || autoclear(image)&bitmapsBit != 0) {
			t.Errorf("check %v: called repaired, and qemu-img cannot open it\nours: %s", step.args,
				lines)
			return false
		}
		switch {
		// qemu-img keeps what such entries are taken for, if it can: snapshots of nothing
		case gotOK && judged && strings.Contains(lines, "Discarding snapshot ") &&
			got.Corruptions+got.Leaks+got.CheckErrors == 0 &&
			left.Corruptions+left.Leaks+left.CheckErrors == 0:
			continue
		case wantOK == gotOK && (!wantOK || got == want):
		case !wantOK && strings.Contains(said, "Could not open") && got.Corruptions > 0 &&
			autoclear(image)&bitmapsBit != 0:
			continue
		// qemu-img clears such bits, and forgets the snapshots meanwhile
		case autoclear(image)&^bitmapsBit != 0 && step.fix != 0:
			continue
		case strings.Contains(said, "backing file"): // which a check of ours does not open
			continue
		case gotOK && step.fix != 0 && judged && left.Corruptions == got.Corruptions &&
			left.Leaks == got.Leaks &&
			// qemu-img cannot repair it
			(!wantOK || want.Corruptions+want.Leaks+want.CheckErrors > 0):
			continue
		default:
			t.Errorf("check %v: ours %+v (%v), qemu-img's %+v (%v)\nours: %s\nqemu-img's: %s",
				step.args, got, gotOK, want, wantOK, lines, said)
			return false
		}
		if step.fix == 0 || !wantOK {
			continue
		}
		a, _, _ := peerCheck(t, theirs)
		if left.ImageEnd < a.ImageEnd {
			left.ImageEnd = a.ImageEnd
		}
		// else qemu-img has written the bitmaps elsewhere
		if a != left && autoclear(image)&bitmapsBit == 0 {
			t.Errorf("after check %v: ours left %+v, qemu-img %+v\nours said: %s", step.args, left,
				a, lines)
			return false
		}
		if a.Corruptions == 0 {
			sameContents(t, theirs, ours)
			if x, y := snapshotList(theirs), snapshotList(ours); x != y {
				t.Errorf("after check %v the snapshots are\n%snot\n%s", step.args, y, x)
			}
		}
	}
	return true
}

const bitmapsBit = 1 // of the autoclear bits: bitmaps are valid

// autoclear is the autoclear bits of an image.
func autoclear(image []byte) uint64 {
	if binary.BigEndian.Uint32(image[4:]) != 3 {
		return 0
	}
	return binary.BigEndian.Uint64(image[88:])
}

// snapshotList is what qemu-img says of the snapshots of an image.
func snapshotList(path string) string {
	// an image that does not open has none
	out, _ := exec.Command("qemu-img", "snapshot", "-l", path).CombinedOutput()
	return strings.ReplaceAll(string(out), path, "")
}

// sameContents has qemu-img compare two images. What it cannot read, in either of them, it passes
// over.
func sameContents(t *testing.T, theirs, ours string) {
	t.Helper()
	out, err := exec.Command("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", theirs,
		ours).CombinedOutput()
	const differ = 1
	if status := new(exec.ExitError); errors.As(err, &status) && status.ExitCode() == differ {
		t.Errorf("ours and qemu's: %s", out)
	}
}
