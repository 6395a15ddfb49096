package qcow2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// kept is a snapshot as a model has it.
type kept struct {
	id, name string
	data     []byte
}

// snapshotModel is an image with snapshots, and what the guest saw and sees.
type snapshotModel struct {
	*model
	list []kept
	next int // number of the next id
}

// loadedImage opens a snapshot of the image at path.
func loadedImage(path, which string) (*blockdev.Device, error) {
	return blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: []driver.Driver{qcow2.Driver, file.Driver}, Format: "qcow2", LoadSnapshot: which,
	})
}

// create makes a snapshot, by QEMU's hand if peer says so.
func (m *snapshotModel) create(peer bool) {
	m.next++
	s := kept{fmt.Sprint(m.next), fmt.Sprintf("s%d", m.rng.IntN(4)), bytes.Clone(m.data)}
	if peer {
		m.close()
		qemuImg(m.t, "snapshot", "-c", s.name, m.path)
		m.open()
	} else {
		made, err := m.dev.CreateSnapshot(context.Background(), s.name, time.Unix(1_800_000_000, 5))
		if err != nil || made.ID != s.id {
			m.t.Fatalf("create: %v %+v, want the id %s", err, made, s.id)
		}
	}
	m.list = append(m.list, s)
}

// pick is one of the snapshots, of those with its name the first.
func (m *snapshotModel) pick() (i int, which string) {
	i = m.rng.IntN(len(m.list))
	if m.rng.IntN(2) == 0 {
		return i, m.list[i].id
	}
	for k, s := range m.list {
		if s.name == m.list[i].name {
			return k, s.name
		}
	}
	return i, ""
}

// apply shows a snapshot again. qemu-img 7.2.22 leaks clusters where that makes the disk shorter.
func (m *snapshotModel) apply(peer bool) {
	i, which := m.pick()
	if peer && len(m.list[i].data) >= len(m.data) {
		m.close()
		qemuImg(m.t, "snapshot", "-a", which, m.path)
		m.open()
	} else if _, err := m.dev.ApplySnapshot(context.Background(), which); err != nil {
		m.t.Fatalf("apply %s: %v", which, err)
	}
	m.data = bytes.Clone(m.list[i].data)
}

func (m *snapshotModel) remove(peer bool) {
	i, which := m.pick()
	if peer { // which knows names only, and takes the first of those with one
		which = m.list[i].name
		i = slices.IndexFunc(m.list, func(s kept) bool { return s.name == which })
		m.close()
		qemuImg(m.t, "snapshot", "-d", which, m.path)
		m.open()
	} else if _, err := m.dev.DeleteSnapshot(context.Background(), which); err != nil {
		m.t.Fatalf("delete %s: %v", which, err)
	}
	m.list = append(m.list[:i], m.list[i+1:]...)
	m.next = 0
	for _, s := range m.list {
		var id int
		_, _ = fmt.Sscan(s.id, &id)
		m.next = max(m.next, id)
	}
}

// judgeSnapshots looks at every snapshot, and has QEMU look at the list and the image.
func (m *snapshotModel) judgeSnapshots() {
	m.close()
	defer m.open()
	qemuImg(m.t, "check", "-q", m.path)
	var told struct {
		Snapshots []struct{ ID, Name string }
	}
	if err := json.Unmarshal([]byte(qemuImg(m.t, "info", "--output=json", m.path)),
		&told); err != nil {
		m.t.Fatalf("%v", err)
	}
	if len(told.Snapshots) != len(m.list) {
		m.t.Fatalf("QEMU has %+v, the model %d snapshots", told.Snapshots, len(m.list))
	}
	for i, s := range m.list {
		if got := told.Snapshots[i]; got.ID != s.id || got.Name != s.name {
			m.t.Fatalf("snapshot %d is %+v, not %s %s", i, got, s.id, s.name)
		}
		m.judgeLoaded(s)
	}
}

// judgeLoaded reads a snapshot.
func (m *snapshotModel) judgeLoaded(s kept) {
	d, err := loadedImage(m.path, s.id)
	if err != nil {
		m.t.Fatalf("open %s: %v", s.id, err)
	}
	defer d.Close()
	got := make([]byte, d.Size())
	if err := d.Read(context.Background(), driver.Vec{got}, 0, 0); err != nil ||
		!bytes.Equal(got, s.data) {
		m.t.Fatalf("snapshot %s (%s) of %d bytes has changed, or: %v; it had %d", s.id, s.name,
			len(got), err, len(s.data))
	}
}

// TestSnapshotModel makes, applies and deletes snapshots amid changes, now and then by QEMU's hand.
func TestSnapshotModel(t *testing.T) {
	needPeers(t)
	runs, steps := blockdevtest.Rounds(6, 60), blockdevtest.Rounds(40, 120)
	shapes := append(crashShapes[:6:6],
		shape{Version: 3, ClusterBits: 16, RefcountBits: 4, Compression: "zlib"})
	for i := range runs {
		s := shapes[i%len(shapes)]
		s.Snapshot = false
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			m := &snapshotModel{model: newModel(t, t.TempDir(), s, uint64(i))}
			for range steps {
				peer := m.rng.IntN(4) == 0
				switch k := m.rng.IntN(10); {
				case k == 0 && len(m.list) < 5:
					m.create(peer)
				case k == 1 && len(m.list) > 0 && (s.Version > 2 || m.sameSize()):
					m.apply(peer)
				case k == 2 && len(m.list) > 0:
					m.remove(peer)
				case k < 4 && (s.Version > 2 || len(m.list) == 0):
					m.truncate()
				case k < 6:
					m.writeCompressed()
				case k < 7:
					m.zero(driver.MayUnmap)
				case k < 8:
					m.discard()
				default:
					m.write()
				}
				if m.rng.IntN(6) == 0 {
					m.judgeSnapshots()
				}
			}
			m.judgeSnapshots()
			m.read(0, int64(len(m.data)))
			m.close()
		})
	}
}

// sameSize says whether all snapshots are of disks as long as this one.
func (m *snapshotModel) sameSize() bool {
	for _, s := range m.list {
		if len(s.data) != len(m.data) {
			return false
		}
	}
	return true
}

// TestSnapshotRefusals holds what cannot be done against its words, and looks that nothing changed.
func TestSnapshotRefusals(t *testing.T) {
	needPeers(t)
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "refcount_bits=1", path, "1M")
	d := openImage(t, path, options())
	if err := d.Write(ctx, driver.Vec{make([]byte, 4096)}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateSnapshot(ctx, "s", time.Now()); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("one bit: %v", err)
	}
	for name, do := range map[string]func() error{
		"apply":  func() error { _, err := d.ApplySnapshot(ctx, "none"); return err },
		"delete": func() error { _, err := d.DeleteSnapshot(ctx, "none"); return err },
	} {
		if err := do(); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if v, lines, ok := peerCheck(t, path); !ok || v.Leaks+v.Corruptions+v.CheckErrors > 0 {
		t.Errorf("%+v %v %s", v, ok, lines)
	}
	const missing = "There is no snapshot with the id or name 'none'"
	if _, err := loadedImage(path, "none"); err == nil || err.Error() != missing {
		t.Errorf("load: %v", err)
	}
}

// snapshotCrash runs requests on an image with snapshots, and cuts the power behind every write:
// the image is sound, each snapshot in its list is what it was, and so is the guest's disk, or it
// is what was to be applied.
type snapshotCrash struct {
	disk  *disk
	name  string
	saved map[string][][]byte // by id, which is used again when it was the largest and is deleted
	disks []diskAt
}

// diskAt is what the guest's disk is from an event on: one of two while something changes it.
type diskAt struct {
	event       int
	data, maybe []byte
}

func recordSnapshots(t fataler, dir string, s shape, seed uint64, deaf string) *snapshotCrash {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(seed, 7))
	path := filepath.Join(dir, fmt.Sprintf("snap-%d.qcow2", modelFiles.Add(1)))
	size := (20 + rng.Int64N(40)) * s.cluster()
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", s.createOptions(), path, fmt.Sprint(size))
	contents, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	r := &snapshotCrash{name: filepath.Base(path), saved: map[string][][]byte{}}
	var o *driver.Options
	r.disk, o = newDisk(r.name, contents)
	r.disk.deaf = deaf
	d := openDisk(t, o, s)
	data := make([]byte, size)
	note := func(maybe []byte) {
		r.disk.mu.Lock()
		defer r.disk.mu.Unlock()
		r.disks = append(r.disks,
			diskAt{event: len(r.disk.log), data: bytes.Clone(data), maybe: maybe})
	}
	note(nil)
	var ids []string
	for range 14 {
		switch k := rng.IntN(6); {
		case k == 0 || len(ids) == 0:
			made, err := d.CreateSnapshot(ctx, "s", time.Unix(1, 0))
			if err != nil {
				t.Fatalf("create: %v", err)
			}
			r.saved[made.ID] = append(r.saved[made.ID], bytes.Clone(data))
			ids = append(ids, made.ID)
		case k == 1:
			i := rng.IntN(len(ids))
			if _, err := d.DeleteSnapshot(ctx, ids[i]); err != nil {
				t.Fatalf("delete: %v", err)
			}
			ids = append(ids[:i], ids[i+1:]...)
		case k == 2:
			id := ids[rng.IntN(len(ids))]
			was := r.saved[id][len(r.saved[id])-1]
			note(was)
			if _, err := d.ApplySnapshot(ctx, id); err != nil {
				t.Fatalf("apply: %v", err)
			}
			data = bytes.Clone(was)
			note(nil)
		default:
			note(nil)
			n := min(size, (1+rng.Int64N(6))*s.cluster())
			off := rng.Int64N(size-n+1) &^ (sector - 1)
			p := bytes.Repeat([]byte{byte(1 + rng.IntN(255))}, int(n))
			next := bytes.Clone(data)
			copy(next[off:], p)
			r.disks[len(r.disks)-1].maybe = next
			err := d.Write(ctx, driver.Vec{p}, off, 0)
			if err == nil {
				err = d.Flush(ctx)
			}
			if err != nil {
				t.Fatalf("write: %v", err)
			}
			data = next
			note(nil)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return r
}

// judge says what is wrong with what a crash left, "" for nothing.
func (r *snapshotCrash) judge(image []byte, cut int) (wrong string) {
	defer func() {
		if p, ok := recover().(failure); ok {
			wrong = string(p)
		}
	}()
	name := r.name + "-crashed"
	_, o := newDisk(name, image)
	defer disks.Delete(name)
	d := openDisk(panicker{}, o, shape{})
	ctx := context.Background()
	res, err := d.Check(ctx, 0)
	if err != nil || res.Corruptions > 0 || res.CheckErrors > 0 {
		d.Close()
		return fmt.Sprintf("check: %v %+v", err, res)
	}
	now := r.disks[0]
	for _, at := range r.disks {
		if at.event <= cut+1 {
			now = at
		}
	}
	wrong = sectorsOf(d, now.data, now.maybe)
	list, err := d.Snapshots(ctx)
	if closed := d.Close(); err != nil || closed != nil {
		return fmt.Sprintf("list or close: %v, %v", err, closed)
	}
	for _, s := range list {
		if wrong == "" {
			wrong = r.judgeOne(o, s.ID)
		}
	}
	return wrong
}

// judgeOne reads a snapshot of what a crash left.
func (r *snapshotCrash) judgeOne(o *driver.Options, id string) (wrong string) {
	d, err := blockdev.Open(context.Background(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{diskDriver, qcow2.Driver}, Format: "qcow2", Options: o,
		LoadSnapshot: id,
	})
	if err != nil {
		return fmt.Sprintf("open snapshot %s: %v", id, err)
	}
	defer d.Close()
	for _, want := range r.saved[id] {
		if wrong = sectorsOf(d, want, nil); wrong == "" {
			return ""
		}
	}
	return "snapshot " + id + ": " + wrong
}

// sectorsOf says what is wrong with a device whose sectors are to be those of want or of maybe.
func sectorsOf(d *blockdev.Device, want, maybe []byte) string {
	got := make([]byte, d.Size())
	if err := d.Read(context.Background(), driver.Vec{got}, 0, 0); err != nil ||
		len(got) != len(want) {
		return fmt.Sprintf("read: %v, %d bytes instead of %d", err, len(got), len(want))
	}
	for at := 0; at < len(got); at += sector {
		have := got[at : at+sector]
		if !bytes.Equal(have, want[at:at+sector]) &&
			(maybe == nil || !bytes.Equal(have, maybe[at:at+sector])) {
			return fmt.Sprintf("sector at %d holds what was never there: %x...", at, have[:8])
		}
	}
	return ""
}

// TestSnapshotCrash cuts the power behind every write of commands for snapshots. Version 2 has no
// dirty bit for the flags, which a check tells of: it is left out.
func TestSnapshotCrash(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	for i := range blockdevtest.Rounds(len(crashShapes), 200) {
		s := crashShapes[i%len(crashShapes)]
		if s.Version == 2 || s.RefcountBits == 1 {
			continue
		}
		r := recordSnapshots(t, dir, s, uint64(i), "")
		r.crashes(t, i, func(image []byte, cut int, wrong string) bool {
			path := filepath.Join(os.TempDir(), "qcow2-crashed.img")
			_ = os.WriteFile(path, image, 0o600)
			t.Errorf("workload %d (%+v), cut behind event %d of %d: %s; image in %s", i, s, cut,
				len(r.disk.log), wrong, path)
			return false
		})
		disks.Delete(r.name)
	}
}

// crashes calls bad with each crash that left something wrong, until it says no.
func (r *snapshotCrash) crashes(
	t *testing.T, seed int, bad func(image []byte, cut int, wrong string) bool,
) {
	t.Helper()
	run := &crashRun{disk: r.disk}
	run.crashes(rand.New(rand.NewPCG(uint64(seed), 8)), 1, func(image []byte, cut int) bool {
		wrong := r.judge(image, cut)
		return wrong == "" || bad(image, cut, wrong)
	})
}

// TestSnapshotCrashJudgement removes one barrier after the other: each must be missed.
func TestSnapshotCrashJudgement(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	for _, barrier := range []string{
		"(*image).storeL1", // an L1 table before what refers to it
		// the snapshot table before the header, and that before what it lacks is given back
		"(*image).storeSnapshots",
		"(*image).switchL1",  // the header before the old tree is given back
		"(*image).markDirty", // the dirty bit before refcounts and flags that do not agree
	} {
		t.Run(barrier, func(t *testing.T) {
			for seed := range 200 {
				s := crashShapes[seed%3]
				r := recordSnapshots(t, dir, s, uint64(1000+seed), barrier)
				sound := true
				r.crashes(t, seed, func([]byte, int, string) bool {
					sound = false
					return false
				})
				disks.Delete(r.name)
				if !sound {
					return
				}
			}
			t.Errorf("nobody misses the flush in %s", barrier)
		})
	}
}
