package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// An L1 table may refer to one L2 table all the time, and many snapshots to one L1 table. A check
// reads each once and counts all.
func TestCheckReadsTablesOnce(t *testing.T) {
	// of an L1 table, and those that share it
	const cluster, words, snapshots = 4096, 32 << 10, 1000
	be := binary.BigEndian
	image := bytes.Clone(seeds(t)["zstd"])
	l2 := be.Uint64(image[40:]) // the L1 table
	l2 = be.Uint64(image[l2:])
	l1 := len(image)
	for range words {
		image = be.AppendUint64(image, l2)
	}
	table := len(image)
	for range snapshots {
		entry := make([]byte, 64)
		be.PutUint64(entry, uint64(l1))
		be.PutUint32(entry[8:], words)
		be.PutUint32(entry[36:], 24) // bytes of extra data
		image = append(image, entry...)
	}
	image = append(image, make([]byte, -len(image)&(cluster-1))...)
	be.PutUint32(image[36:], words)
	be.PutUint64(image[40:], uint64(l1))
	be.PutUint32(image[60:], snapshots)
	be.PutUint64(image[64:], uint64(table))

	reads := 0
	d := openWatched(t, store(t, image), driver.Mode{ReadOnly: true, Check: true},
		func(r blockdevtest.Request) error {
			if r.Kind == "read" {
				reads++
			}
			return nil
		})
	defer d.Close()
	res, err := checkDevice(context.Background(), d, 0)
	if err != nil {
		t.Fatal(err)
	}
	perTable := res.AllocatedClusters / words
	if perTable < 3 || res.AllocatedClusters%words != 0 {
		t.Errorf("%d clusters allocated by %d references to one L2 table", res.AllocatedClusters,
			words)
	}
	// Each data cluster, and the L2 table, is referred to more often than a refcount of 16 bits can
	// say.
	if least := int64(words) * snapshots; res.Corruptions < least {
		t.Errorf("%d corruptions", res.Corruptions)
	}
	if reads > 2*words/8192+snapshots+100 {
		t.Errorf("%d reads", reads)
	}
}

// withSnapshot adds a snapshot to an image that has none. Its L1 table cannot be: it is all of the
// first 32 GiB of the file.
func withSnapshot(image []byte) []byte {
	be := binary.BigEndian
	image = append(image, make([]byte, -len(image)&4095)...)
	be.PutUint32(image[60:], 1)
	be.PutUint64(image[64:], uint64(len(image)))
	entry := make([]byte, 4096)
	be.PutUint32(entry[8:], 1<<32-1)
	be.PutUint32(entry[36:], 24) // bytes of extra data
	return append(image, entry...)
}

// A refcount block that is said to be far behind the end of the file does not make the file longer,
// nor does the table of a snapshot that is said to be longer than all of it.
func TestRepairKeepsFileShort(t *testing.T) {
	images := seeds(t)
	images["snapshot"] = withSnapshot(bytes.Clone(images["v3"]))
	for name, image := range images {
		for _, at := range []uint64{1 << 34, 1 << 42, 1<<56 - 1<<21} {
			image := bytes.Clone(image)
			table := binary.BigEndian.Uint64(image[48:])
			binary.BigEndian.PutUint64(image[table+8:], at)
			path := store(t, image)
			d := openWatched(t, path, driver.Mode{Check: true}, func(r blockdevtest.Request) error {
				if r.Kind != "read" && r.Off > int64(4*len(image)) {
					t.Errorf("%s, block at %#x: %+v", name, at, r)
					return errors.New("far behind the end of the file")
				}
				return nil
			})
			res, err := checkDevice(context.Background(), d, driver.FixErrors|driver.FixLeaks)
			if closed := d.Close(); closed != nil {
				t.Errorf("%s, block at %#x: %v", name, at, closed)
			}
			if err != nil || res.Corruptions > 0 {
				t.Errorf("%s, block at %#x: %v %+v", name, at, err, res)
			} else {
				soundButLeaks(t, path, name, false)
			}
			if info, err := os.Stat(path); err != nil || info.Size() > int64(4*len(image)) {
				t.Errorf("%s, block at %#x: %d bytes became %d", name, at, len(image), info.Size())
			}
		}
	}
}

// What is called repaired is on stable storage: nothing is written behind the last flush, and that
// counts.
func TestRepairIsFlushed(t *testing.T) {
	image := bytes.Clone(seeds(t)["v3"])
	binary.BigEndian.PutUint64(image[72:], 3) // dirty and corrupt
	run := func(watch func(blockdevtest.Request) error) error {
		d := openWatched(t, store(t, image), driver.Mode{Check: true}, watch)
		_, err := checkDevice(context.Background(), d, driver.FixErrors|driver.FixLeaks)
		watch(blockdevtest.Request{Kind: "returned"})
		_ = d.Close()
		return err
	}
	var did []string
	err := run(func(r blockdevtest.Request) error {
		if r.Kind != "read" {
			did = append(did, r.Kind)
		}
		return nil
	})
	end := slices.Index(did, "returned")
	if err != nil || end == 0 || did[end-1] != "flush" {
		t.Errorf("%v, %q", err, did)
	}
	flushes := int64(0)
	for _, kind := range did[:end] {
		if kind == "flush" {
			flushes++
		}
	}
	for at := range flushes {
		f := &blockdevtest.Fault{At: at, Err: syscall.EIO, Stays: true, Kinds: []string{"flush"}}
		if err := run(f.Fail); !errors.Is(err, syscall.EIO) {
			t.Errorf("flush %d of %d fails, and the repair says %v", at, flushes, err)
		}
	}
}

// An image whose first cluster is damaged behind what the header needs is opened, read and checked.
func TestOpenReadsWhatItNeeds(t *testing.T) {
	const cluster = 65536
	path := filepath.Join(t.TempDir(), "image")
	err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: testDrivers, Format: "qcow2", Options: options("cluster_size", "65536"),
		Size: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, path, false)
	rng := rand.New(rand.NewPCG(1, 7))
	for range 40 {
		bad := int64(1+rng.IntN(cluster/512-1)) * 512
		for _, check := range []bool{false, true} {
			d := openWatched(t, path, driver.Mode{ReadOnly: true, Check: check},
				func(r blockdevtest.Request) error {
					if r.Kind == "read" && r.Off < bad+512 && r.Off+r.Len > bad {
						return syscall.EIO
					}
					return nil
				})
			if check {
				_, err = checkDevice(context.Background(), d, 0)
			} else {
				err = d.Read(context.Background(), driver.Vec{make([]byte, 1<<20)}, 0, 0)
			}
			if err != nil {
				t.Errorf("bad sector at %d, check %v: %v", bad, check, err)
			}
			_ = d.Close()
		}
	}
}

// The name of a wrong snapshot is not told at a length that the image chooses.
func TestCheckShortensNames(t *testing.T) {
	image := withSnapshot(bytes.Clone(seeds(t)["v3"]))
	entry := image[len(image)-4096:]
	binary.BigEndian.PutUint16(entry[14:], 3000)
	copy(entry[64:], bytes.Repeat([]byte("x"), 3000))
	d := openWatched(t, store(t, image), driver.Mode{Check: true},
		func(blockdevtest.Request) error { return nil })
	defer d.Close()
	res, err := checkDevice(t.Context(), d, 0)
	if err != nil || res.Corruptions == 0 {
		t.Fatal(res, err)
	}
	said := 0
	for _, m := range res.Messages {
		if strings.Contains(m, "xxx") {
			said = len(m)
		}
	}
	if said == 0 || said > 400 {
		t.Errorf("%d bytes about it", said)
	}
}
