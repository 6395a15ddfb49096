package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// snapshotsImage is an image with three snapshots that share clusters with the disk and each other.
func snapshotsImage(t *testing.T) *layout {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", path, "4M")
	for i := range byte(4) {
		d := openImage(t, path, nil)
		v := driver.Vec{bytes.Repeat([]byte{i + 1}, 700<<10)}
		err := d.Write(context.Background(), v, int64(i)*300<<10, 0)
		if closed := d.Close(); err != nil || closed != nil {
			t.Fatal(err, closed)
		}
		if i < 3 {
			qemuImg(t, "snapshot", "-c", fmt.Sprint("snapshot ", i), path)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return newLayout(b)
}

// TestGarbageInSnapshotTable has a repair end with a sound image and the disk as it was, whatever
// the snapshot table holds: what cannot be a snapshot is discarded, and does not pass for metadata
// that the repair of the rest must not touch.
func TestGarbageInSnapshotTable(t *testing.T) {
	needPeers(t)
	l := snapshotsImage(t)
	second := l.snapshot + 80 // an entry of 40 bytes, extra data of 24, "2" or "1", "snapshot 1"
	var garbage []planted
	for _, p := range []struct {
		name    string
		at, len int
		values  []uint64
	}{
		{"L1 offset", 0, 8, []uint64{1, 0x1660dc, 1 << 62, 1 << 63, 1<<64 - 4096}},
		{"L1 size", 8, 4, []uint64{1<<32 - 1, 1<<22 + 1, 1 << 20}},
		{"id length", 12, 2, []uint64{1<<16 - 1, 0xae39}},
		{"name length", 14, 2, []uint64{1<<16 - 1, 0x4000}},
		{"extra length", 36, 4, []uint64{1 << 16, uint64(l.snapshot), 1 << 30, 1<<32 - 1}},
	} {
		for _, v := range p.values {
			garbage = append(garbage, planted{p.name, second + p.at, p.len, v})
		}
	}
	t.Run("planted", func(t *testing.T) {
		for i, p := range garbage {
			if blockdevtest.Sampled(i, 3) {
				repairsGarbage(t, p.String(), l.b, p.put(l.b))
			}
		}
	})
	t.Run("drawn", func(t *testing.T) {
		draw := rand.New(rand.NewPCG(7, 12))
		for i := range blockdevtest.Rounds(6, 60) {
			b := bytes.Clone(l.b)
			// an L1 table at none of the clusters of the file
			for at := l.snapshot; at < l.snapshot+240; at += 8 {
				binary.BigEndian.PutUint64(b[at:], draw.Uint64()|1)
			}
			repairsGarbage(t, fmt.Sprint("table ", i), l.b, b)
		}
	})
}

// repairsGarbage repairs an image that was sound once.
func repairsGarbage(t *testing.T, name string, sound, image []byte) {
	t.Helper()
	dir := t.TempDir()
	before, path := filepath.Join(dir, "before"), filepath.Join(dir, "image")
	for path, b := range map[string][]byte{before: sound, path: image} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2",
		Mode: driver.Mode{Unmap: true, NoFlush: true, Check: true},
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	res, err := checkDevice(context.Background(), d, driver.FixLeaks|driver.FixErrors)
	if err != nil || res.Corruptions+res.Leaks+res.CheckErrors != 0 || res.CorruptionsFixed == 0 {
		t.Errorf("%s: %v, %d corruptions, %d of them repaired, %d leaks\n%.2000s", name, err,
			res.Corruptions, res.CorruptionsFixed, res.Leaks, fmt.Sprint(res.Messages))
	}
	if err := d.Close(); err != nil {
		t.Errorf("%s: close: %v", name, err)
	}
	if v, lines, ok := peerCheck(t, path); !ok || v.Corruptions+v.Leaks+v.CheckErrors > 0 {
		t.Errorf("%s: qemu-img then finds %+v\n%.2000s", name, v, lines)
	}
	sameContents(t, before, path)
}

// TestRepairSparesGuestData has the L1 table of a snapshot refer to data of the disk that looks
// like an L2 table with wrong entries. A repair leaves the data alone, and the error.
func TestRepairSparesGuestData(t *testing.T) {
	l := snapshotsImage(t)
	path := store(t, l.b)
	data := bytes.Repeat(binary.BigEndian.AppendUint64(nil, 0x201), 512) // zeroes, misplaced
	const off = 1 << 20
	d := openImage(t, path, nil)
	must(t, d.Write(context.Background(), driver.Vec{data}, off, 0))
	e, err := d.Status(context.Background(), off, int64(len(data)))
	must(t, err)
	must(t, d.Close())
	image, err := os.ReadFile(path)
	must(t, err)
	l = newLayout(image)
	binary.BigEndian.PutUint64(image[l.ref(l.snapshot):], uint64(e.HostOff))
	path = store(t, image)
	v, lines, ok := ourCheck(t, path, driver.FixLeaks|driver.FixErrors)
	if !ok || v.Corruptions == 0 {
		t.Errorf("found %+v\n%.1000s", v, lines)
	}
	d = openImage(t, path, nil)
	got := make([]byte, len(data))
	must(t, d.Read(context.Background(), driver.Vec{got}, off, 0))
	must(t, d.Close())
	if !bytes.Equal(got, data) {
		t.Errorf("a repair made %x of the disk's %x", got[:16], data[:16])
	}
}
