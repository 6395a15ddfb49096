package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// TestBitmapsLikeQEMU plants values in all that the directory of bitmaps and their tables say. As
// QEMU the image is opened or refused in these words, for reading only or not.
func TestBitmapsLikeQEMU(t *testing.T) {
	needPeers(t)
	image := withBitmaps(t)
	be := binary.BigEndian
	ext := bytes.Index(image, be.AppendUint32(nil, 0x23852875))
	dir := int(be.Uint64(image[ext+24:]))
	table := int(be.Uint64(image[dir:]))
	for _, c := range []struct {
		name      string
		at, bytes int
		values    []uint64
	}{
		{"count", ext + 8, 4, []uint64{0, 1, 3, 1 << 16}},
		{"directory size", ext + 16, 8, []uint64{0, 8, 33, 1 << 20, 1 << 40}},
		{"directory", ext + 24, 8, []uint64{0, 512, 1 << 20, 1<<63 - 1<<20}},
		{"table", dir, 8, []uint64{0, 512, 1 << 30}},
		{"entries", dir + 8, 4, []uint64{0, 2, 1 << 27, 1<<32 - 1}},
		{"flags", dir + 12, 4, []uint64{0, 1, 4, 8, 1 << 31}},
		{"type", dir + 16, 1, []uint64{0, 2, 255}},
		{"granularity", dir + 17, 1, []uint64{0, 8, 9, 31, 32, 63, 255}},
		{"name", dir + 18, 2, []uint64{0, 3, 1023, 1024, 65535}},
		{"extra data", dir + 20, 4, []uint64{1, 8, 1 << 31, 1<<32 - 1}},
		{"table entry", table, 8, []uint64{0, 1, 2, 512, 1<<16 | 1, 1 << 56, 1 << 63}},
	} {
		for _, v := range c.values {
			b := bytes.Clone(image)
			copy(b[c.at:], be.AppendUint64(nil, v)[8-c.bytes:])
			for _, readOnly := range []bool{true, false} {
				path := store(t, b)
				theirs := openTheirs(t, path, readOnly)
				if ours := openOurs(store(t, b), readOnly); ours != theirs {
					t.Errorf("%s %#x, read-only %v: %q, qemu-io %q", c.name, v, readOnly, ours,
						theirs)
				}
			}
		}
	}
}

// openTheirs is how qemu-io refuses an image, "" if it opens it.
func openTheirs(t *testing.T, path string, readOnly bool) string {
	t.Helper()
	args := []string{"-f", "qcow2", "-c", "length", path}
	if readOnly {
		args = append([]string{"-r"}, args...)
	}
	out, _ := exec.Command("qemu-io", args...).CombinedOutput()
	_, said, refused := strings.Cut(string(out), "can't open device "+path+": ")
	if !refused {
		return ""
	}
	return strings.TrimSpace(said)
}

func openOurs(path string, readOnly bool) string {
	d, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", LikeQEMU: true, Mode: driver.Mode{ReadOnly: readOnly},
	})
	if err != nil {
		return err.Error()
	}
	_ = d.Close() // a refused open is what is looked for
	return ""
}

// TestManyBitmaps: the memory for bitmaps has a limit, however many an image claims to have and
// however long the one table is that they share. Those beyond it are told to be lost.
func TestManyBitmaps(t *testing.T) {
	const (
		count   = 400
		entries = 1 << 16
		dir     = 8 << 20
		l1      = 16 << 20
		table   = 32 << 20
	)
	be := binary.BigEndian
	b := bytes.Clone(withBitmaps(t))
	ext := bytes.Index(b, be.AppendUint32(nil, 0x23852875))
	cluster := 1 << be.Uint32(b[20:])
	b = append(b, make([]byte, dir-len(b))...)
	for i := range count {
		e := be.AppendUint64(nil, table)
		e = be.AppendUint32(e, entries)
		e = be.AppendUint32(e, 2) // auto
		e = append(e, 1, 9, 0, 4)
		e = be.AppendUint32(e, 0)
		b = append(b, append(fmt.Appendf(e, "%04d", i), 0, 0, 0, 0)...)
	}
	be.PutUint32(b[ext+8:], count)
	be.PutUint64(b[ext+16:], count*32)
	be.PutUint64(b[ext+24:], dir)
	size := entries * cluster * 8 * 512 // as long as the bitmaps are
	be.PutUint64(b[24:], uint64(size))
	be.PutUint32(b[36:], uint32(size/(cluster*cluster/8)))
	be.PutUint64(b[40:], l1)
	path, lost := store(t, b), 0
	must(t, os.Truncate(path, table+1<<20))
	d, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", Mode: driver.Mode{NoFlush: true},
		Notify: func(n driver.Notice) {
			if r, ok := n.(driver.BitmapsRetired); ok {
				lost += len(r.Names)
			}
		},
	})
	must(t, err)
	must(t, d.Write(context.Background(), driver.Vec{make([]byte, 512)}, 0, 0))
	if lost == 0 || lost == count {
		t.Errorf("%d of %d bitmaps were lost", lost, count)
	}
	_ = d.Close() // what shares clusters cannot be stored
}

// TestDataFileEntries: an entry that leads to another place of the data file than the guest's
// offset, or to a compressed cluster, is corrupt as for QEMU: nothing else is shown or written in
// its place. That the flags of entries are right is checked and repaired.
func TestDataFileEntries(t *testing.T) {
	needPeers(t)
	const cluster, slot = 4 << 10, 2
	ctx, be := context.Background(), binary.BigEndian
	dir := t.TempDir()
	data := dir + "/data"
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k,data_file="+data,
		dir+"/image", "1M")
	qemuIO(t, "-c", "write -P 1 0 64k", dir+"/image")
	image, err := os.ReadFile(dir + "/image")
	must(t, err)
	whole, err := os.ReadFile(data)
	must(t, err)
	l1 := be.Uint64(image[40:])
	at := be.Uint64(image[l1:])&0x00fffffffffffe00 + 8*slot
	for name, c := range map[string]struct {
		entry    uint64
		readable bool
	}{
		"moved":        {1<<63 | 5*cluster, false},
		"far":          {1<<63 | 1<<40, false},
		"moved zeroes": {1<<63 | 5*cluster | 1, false},
		"unaligned":    {1<<63 | slot*cluster | 512, false},
		"compressed":   {1<<62 | 5*cluster, false},
		"not copied":   {slot * cluster, true},
		"right":        {1<<63 | slot*cluster, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(image)
			be.PutUint64(b[at:], c.entry)
			path := store(t, b)
			d, err := blockdev.Open(ctx, path, blockdev.OpenConfig{
				Drivers: testDrivers, Format: "qcow2", Mode: driver.Mode{ReadOnly: true},
			})
			must(t, err)
			got := make([]byte, cluster)
			err = d.Read(ctx, driver.Vec{got}, slot*cluster, 0)
			must(t, d.Close())
			if (err == nil) != c.readable {
				t.Errorf("read: %v", err)
			}
			theirs, _ := exec.Command("qemu-io", "-r", "-c", "read 8k 4k", path).CombinedOutput()
			if c.readable == bytes.Contains(theirs, []byte("failed")) {
				t.Errorf("qemu-io: %s", theirs)
			}
			ours, _, _ := ourCheck(t, path, 0)
			peer, lines, _ := peerCheck(t, path)
			if ours != peer {
				t.Errorf("check: %+v, qemu-img %+v %s", ours, peer, lines)
			}
			d = openImage(t, path, options())
			_ = d.Write(ctx, driver.Vec{bytes.Repeat([]byte{9}, cluster)}, slot*cluster, 0)
			_ = d.Close() // the image may be found corrupt
			is, err := os.ReadFile(data)
			must(t, err)
			copy(is[slot*cluster:][:cluster], whole[slot*cluster:])
			if !bytes.Equal(is, whole) {
				t.Error("another part of the disk was written")
			}
			must(t, os.WriteFile(data, whole, 0o600))
		})
	}
	b := bytes.Clone(image)
	be.PutUint64(b[at:], slot*cluster)
	path := store(t, b)
	ourCheck(t, path, driver.FixErrors|driver.FixLeaks)
	if v, lines, ok := peerCheck(t, path); !ok || v.Corruptions > 0 {
		t.Errorf("after the repair: %+v %s", v, lines)
	}
}
