package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// layout is where the tables of an image are in its file.
type layout struct {
	b                          []byte
	version                    int
	cluster, entry             int
	l1, l2, reftable, refblock int
	snapshot                   int // its first entry, 0 without one
	// the first extension, the bitmap directory and the table of the first bitmap; 0 without
	extensions, bitmaps, bitmapTable int
}

func (l *layout) u32(at int) int    { return int(binary.BigEndian.Uint32(l.b[at:])) }
func (l *layout) u64(at int) uint64 { return binary.BigEndian.Uint64(l.b[at:]) }

// ref is the place that a table's entry refers to.
func (l *layout) ref(at int) int { return int(l.u64(at) & 0x00fffffffffffe00) }

func newLayout(b []byte) *layout {
	l := &layout{b: b, entry: 8}
	l.version, l.cluster = l.u32(4), 1<<l.u32(20)
	l.l1, l.reftable = l.ref(40), l.ref(48)
	l.l2, l.refblock = l.ref(l.l1), l.ref(l.reftable)
	if l.u32(60) > 0 {
		l.snapshot = l.ref(64)
	}
	l.extensions = 72
	if l.version == 3 {
		l.extensions = l.u32(100)
		if l.u64(72)&16 != 0 {
			l.entry = 16
		}
	}
	for at := l.extensions; l.u32(at) != 0; at += 8 + (l.u32(at+4)+7)&^7 {
		if l.u32(at) == 0x23852875 {
			l.bitmaps = l.ref(at + 24)
			l.bitmapTable = l.ref(l.bitmaps)
		}
	}
	return l
}

// planted is one wrong value.
type planted struct {
	name  string
	at    int
	width int // 1, 2, 4 or 8 bytes
	value uint64
}

func (p planted) String() string { return fmt.Sprintf("%s=%#x", p.name, p.value) }

func (p planted) put(b []byte) []byte {
	b = bytes.Clone(b)
	be := binary.BigEndian
	switch p.width {
	case 1:
		b[p.at] = byte(p.value)
	case 2:
		be.PutUint16(b[p.at:], uint16(p.value))
	case 4:
		be.PutUint32(b[p.at:], uint32(p.value))
	case 8:
		be.PutUint64(b[p.at:], p.value)
	}
	return b
}

// plants are wrong values for every field of every table.
func (l *layout) plants() []planted {
	var list []planted
	add := func(name string, at, width int, values ...uint64) {
		for _, v := range values {
			list = append(list, planted{name, at, width, v})
		}
	}
	c, end := uint64(l.cluster), (uint64(len(l.b))+uint64(l.cluster)-1)&^(uint64(l.cluster)-1)
	// places: none, in the header, in the middle of a cluster, behind the end, far behind it,
	// farther than any file.
	places := []uint64{
		0, c, c + 512, 100, end, end + 3*c, 1 << 33, 1<<55 + c, 1<<63 - c,
		^uint64(0),
	}

	l.plantExtensions(add)
	l.plantBitmaps(add, places)
	// qemu-img writes such an image when it opens it, and what it makes of other damage then is its
	// own affair
	if l.bitmaps != 0 {
		return list
	}
	add("magic", 0, 4, 0, 0x514649fa)
	add("version", 4, 4, 0, 1, 2, 3, 4, 1<<32-1)
	add("backing offset", 8, 8, 1, 60, uint64(l.extensions), c-1, c, c+1, 1<<63, ^uint64(0))
	add("backing length", 16, 4, 0, 1023, 1024, 1<<31, 1<<32-1)
	add("cluster bits", 20, 4, 0, 8, 9, 16, 21, 22, 31, 32, 63, 1<<32-1)
	add("size", 24, 8, 0, 1, 511, 513, l.u64(24)+512, l.u64(24)-512, 1<<30, 1<<56, 1<<63-1, 1<<63,
		^uint64(0))
	add("crypt", 32, 4, 1, 2, 3, 1<<32-1)
	add("L1 size", 36, 4, 0, 1, uint64(l.u32(36))+1, 1<<22, 1<<22+1, 1<<32-1)
	add("L1 offset", 40, 8, places...)
	add("reftable offset", 48, 8, places...)
	add("reftable clusters", 56, 4, 0, 2, 1<<23/c, 1<<23/c+1, 1<<31, 1<<32-1)
	add("snapshots", 60, 4, 0, 1, 2, 1000)
	add("snapshot offset", 64, 8, places...)
	if l.snapshot != 0 && l.version == 2 { // qemu-img takes its time for these
		add("snapshots", 60, 4, 65536, 65537, 1<<31-1)
	}
	if l.version == 3 {
		add("incompatible", 72, 8, 1, 2, 3, 4, 8, 16, 32, 1<<63)
		add("compatible", 80, 8, 1, 2, 1<<63)
		add("autoclear", 88, 8, 0, 1, 2, 4, 1<<63)
		add("refcount order", 96, 4, 0, 3, 5, 6, 7, 63, 1<<32-1)
		add("header length", 100, 4, 0, 72, 103, 104, 105, 112, 113, 120, c, c+1, 1<<32-1)
		add("compression", 104, 1, 1, 2, 255)
	}
	l.plantTables(add, places)
	l.plantSnapshots(add, places)
	return list
}

// plantExtensions does it for the extensions of the header.
func (l *layout) plantExtensions(add func(string, int, int, ...uint64)) {
	for at, i := l.extensions, 0; l.u32(at) != 0; at, i = at+8+(l.u32(at+4)+7)&^7, i+1 {
		name, room := fmt.Sprintf("extension %d ", i), uint64(l.cluster-at-8)
		add(name+"type", at, 4, 0, 0xe2792aca, 0x6803f857, 0x0537be77, 0x23852875, 0x44415441,
			0x12345678)
		add(name+"length", at+4, 4, 0, 1, 15, 16, 24, room, room+1, 1<<31, 1<<32-1)
	}
}

// plantTables does it for the tables that map guest clusters and count host clusters.
func (l *layout) plantTables(add func(string, int, int, ...uint64), places []uint64) {
	flags := []uint64{1 << 63, 1 << 62, 1 << 61, 1 << 56, 1, 2, 1 << 8}
	entry := func(name string, at int) {
		old := l.u64(at)
		add(name, at, 8, places...)
		for _, p := range places {
			add(name+" copied", at, 8, p&^(1<<62)|1<<63)
		}
		for _, f := range flags {
			add(name+" flag", at, 8, old^f)
		}
	}
	for i := range 2 {
		entry(fmt.Sprintf("L1[%d]", i), l.l1+8*i)
	}
	for i := range 10 { // each kind of cluster is among them, see hostileImages
		at := l.l2 + i*l.entry
		entry(fmt.Sprintf("L2[%d]", i), at)
		if old := l.u64(at); old&(1<<62) != 0 {
			shift := 62 - (l.u32(20) - 8)
			place, longest := old&(1<<shift-1), uint64(1)<<62-1
			add(fmt.Sprintf("L2[%d] sectors", i), at, 8, old|1<<63, place|1<<62,
				longest&^(1<<shift-1)|place|1<<62, longest|1<<62,
				(old+511)|1<<62, 1<<62|1<<shift-513, 1<<62|uint64(len(l.b)-3), 1<<62|uint64(l.l2))
		}
		if l.entry == 16 {
			add(fmt.Sprintf("L2[%d] bitmap", i), at+8, 8, 0, 1, 1<<32, 1<<32|1, 1<<63|1<<31,
				1<<32-1, (1<<32-1)<<32, ^uint64(0), 0x55555555aaaaaaaa)
		}
	}
	for i := range 3 {
		entry(fmt.Sprintf("reftable[%d]", i), l.reftable+8*i)
	}
	for i := range 8 {
		add(fmt.Sprintf("refcounts %d", i), l.refblock+8*i, 8, 0, 1, 0x0001000100010001,
			0x0002000200020002, 1<<63, ^uint64(0))
	}
}

// plantSnapshots does it for the first entry of the snapshot table.
func (l *layout) plantSnapshots(add func(string, int, int, ...uint64), places []uint64) {
	at := l.snapshot
	if at == 0 {
		return
	}
	add("snapshot L1 offset", at, 8, places...)
	add("snapshot L1 size", at+8, 4, 0, 1, 100, 1<<22, 1<<22+1, 1<<32-1)
	add("snapshot id length", at+12, 2, 0, 1, 2, 1<<16-1)
	add("snapshot name length", at+14, 2, 0, 1, 100, 1<<16-1)
	add("snapshot state size", at+32, 4, 1, 1<<32-1)
	add("snapshot extra length", at+36, 4, 0, 1, 8, 15, 16, 17, 23, 25, 1024, 1025, 1<<22, 1<<31,
		1<<32-1)
	l1 := l.ref(at)
	for i, v := range append(places, 1<<63|1<<62, 1, 1<<56) {
		add(fmt.Sprintf("snapshot L1[0] %d", i), l1, 8, v)
	}
}

// plantBitmaps does it for the directory of bitmaps and the table of the first one.
func (l *layout) plantBitmaps(add func(string, int, int, ...uint64), places []uint64) {
	at := l.bitmaps
	if at == 0 {
		return
	}
	ext := l.extensions
	for l.u32(ext) != 0x23852875 {
		ext += 8 + (l.u32(ext+4)+7)&^7
	}
	add("bitmaps", ext+8, 4, 0, 2, 65535, 65536, 1<<32-1)
	add("bitmaps reserved", ext+12, 4, 1)
	add("bitmap directory size", ext+16, 8, 0, 8, 23, 25, 1<<20, 1<<26, 1<<26+1, ^uint64(0))
	add("bitmap directory offset", ext+24, 8, places...)
	add("bitmap table offset", at, 8, places...)
	add("bitmap table size", at+8, 4, 0, 2, 1<<20, 0x8000000, 0x8000001, 1<<32-1)
	add("bitmap flags", at+12, 4, 1, 2, 4, 8, 1<<31)
	add("bitmap type", at+16, 1, 0, 2, 255)
	add("bitmap granularity", at+17, 1, 0, 8, 9, 31, 32, 255)
	add("bitmap name length", at+18, 2, 0, 1, 1023, 1024, 1<<16-1)
	add("bitmap extra length", at+20, 4, 1, 8, 1<<31, 1<<32-1)
	add("bitmap name", at+25, 1, '1', 0) // b1 is there already
	for _, v := range append(places, 1, 2, 1<<56) {
		add("bitmap table[0]", l.bitmapTable, 8, v)
	}
}

// hostileImage is an image to be damaged.
type hostileImage struct {
	name string
	data []byte
}

// hostileImages are images of every feature, with every kind of cluster among the first ten.
func hostileImages(t *testing.T) []hostileImage {
	t.Helper()
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	if err := os.WriteFile(base, bytes.Repeat([]byte("base"), 1<<14), 0o600); err != nil {
		t.Fatal(err)
	}
	var list []hostileImage
	for _, s := range []struct{ name, options string }{
		{"v2", "compat=0.10,cluster_size=4k"},
		{"v3", "cluster_size=4k"},
		{"extended", "cluster_size=16k,extended_l2=on,refcount_bits=8"},
		{"zstd", "cluster_size=4k,compression_type=zstd,lazy_refcounts=on"},
		{"bitmaps", "cluster_size=4k"},
	} {
		path := filepath.Join(dir, s.name)
		args := []string{"create", "-q", "-f", "qcow2", "-o", s.options}
		if s.name == "v3" || s.name == "v2" {
			args = append(args, "-b", base, "-F", "raw")
		}
		qemuImg(t, append(args, path, "4M")...)
		d := openImage(t, path, options())
		fillKinds(t, d)
		switch s.name {
		case "v2", "v3":
			qemuImg(t, "snapshot", "-c", "one", path)
			qemuImg(t, "snapshot", "-c", "two", path)
		case "bitmaps":
			qemuImg(t, "bitmap", "--add", path, "b0")
			qemuImg(t, "bitmap", "--add", path, "b1")
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, hostileImage{s.name, b})
	}
	return list
}

// fillKinds writes clusters of each kind and closes the image.
func fillKinds(t *testing.T, d *blockdev.Device) {
	t.Helper()
	ctx := context.Background()
	c := d.Info().Cluster
	data := func(seed byte) driver.Vec {
		p := make([]byte, c)
		for i := range p {
			p[i] = byte(i*i>>3) + seed
		}
		return driver.Vec{p}
	}
	for _, err := range []error{
		d.Write(ctx, data(1), 0, 0),
		d.Write(ctx, data(2), c, 0),
		d.Write(ctx, data(3), 2*c, driver.Compressed),
		d.Write(ctx, data(4), 3*c, driver.Compressed),
		d.Zero(ctx, 4*c, c, 0),
		d.Write(ctx, data(5), 5*c, 0),
		d.Zero(ctx, 5*c, c/2, 0),
		d.Write(ctx, driver.Vec{data(6)[0][:c/2]}, 7*c+c/4, 0),
		d.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}
