package qcow2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// put is a write of n bytes at off, compressed if packed.
type put struct {
	off, n int64
	packed bool
}

func (p put) do(d *blockdev.Device) error {
	f := driver.Flags(0)
	if p.packed {
		f = driver.Compressed
	}
	return d.Write(context.Background(), driver.Vec{bytes.Repeat([]byte{0xa5}, int(p.n))}, p.off, f)
}

// newPath makes an image of 4 MiB.
func newPath(t *testing.T, cfg blockdev.CreateConfig) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	cfg.Drivers, cfg.Format, cfg.Size = testDrivers, "qcow2", 4<<20
	if err := blockdev.Create(context.Background(), path, cfg); err != nil {
		t.Fatal(err)
	}
	return path
}

// placesOf lists the runs of data that an image has itself, as start+length@place.
func placesOf(t *testing.T, d *blockdev.Device, unit int64) string {
	t.Helper()
	var runs []driver.Extent
	for off := int64(0); off < d.Size(); {
		e, err := d.Status(context.Background(), off, d.Size()-off)
		if err != nil {
			t.Fatal(err)
		}
		off = e.End()
		if e.Depth != 0 || e.HostOff < 0 {
			continue
		}
		if k := len(runs) - 1; k >= 0 && runs[k].End() == e.Off &&
			runs[k].HostOff+runs[k].Len == e.HostOff {
			runs[k].Len += e.Len
			continue
		}
		runs = append(runs, e)
	}
	var words []string
	for _, e := range runs {
		words = append(words, fmt.Sprintf("%d+%d@%d", e.Off/unit, e.Len/unit, e.HostOff/unit))
	}
	return strings.Join(words, " ")
}

// alternating are n clusters of 4 KiB with as many between them that have no place yet, of which
// the first is compressed.
func alternating(n int64) []put {
	list := []put{{0, 4 << 10, true}}
	for i := range n {
		list = append(list, put{i<<13 + 4<<10, 4 << 10, false})
	}
	return list
}

// TestPlaces wants the clusters of writes that go to several runs of the file to be where qemu-io
// 7.2 puts them: none of a write takes a place that the same write gives back.
func TestPlaces(t *testing.T) {
	t.Parallel()
	small, extended := options("cluster_size", "4k"), options("extended_l2", "on")
	for _, c := range []struct {
		name    string
		options *driver.Options
		backing bool // half a disk of another image
		puts    []put
		unit    int64 // of want, in bytes
		want    string
	}{
		{
			"before and behind data", small, false,
			[]put{
				{760 << 10, 108 << 10, false},
				{256 << 10, 64 << 10, true},
				{104 << 10, 848 << 10, false},
			},
			4096, "26+164@33 190+27@5 217+21@197",
		},
		{
			"subclusters", extended, false,
			[]put{{1280 << 10, 64 << 10, true}, {1628672, 12800, false}, {792576, 908 << 10, false}},
			512, "1548+1524@1036 3072+256@768 3328+36@2560",
		},
		{
			"a backing file", options("refcount_bits", "64"), true,
			[]put{
				{448 << 10, 320 << 10, false},
				{384 << 10, 64 << 10, true},
				{192 << 10, 768 << 10, false},
			},
			512, "384+512@1408 896+640@640 1536+384@1920",
		},
		{
			"edges in a backing file", options("refcount_bits", "64"), true,
			[]put{{439641, 54317, false}, {320 << 10, 64 << 10, true}, {337372, 632202, false}},
			512, "640+128@1024 768+256@640 1024+896@1152",
		},
		{
			"many runs", small, false, append(alternating(4), put{0, 64 << 10, false}),
			4096, "0+1@10 1+1@6 2+1@11 3+1@7 4+1@12 5+1@8 6+1@13 7+1@9 8+8@14",
		},
		{
			"all given back before", small, false,
			append(alternating(2), put{0, 4 << 10, false}, put{0, 24 << 10, false}),
			4096, "0+1@8 1+1@6 2+1@5 3+1@7 4+2@9",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := blockdev.CreateConfig{Options: c.options}
			if c.backing {
				cfg.Backing, cfg.BackingFormat = newPath(t, blockdev.CreateConfig{}), "qcow2"
				d := openImage(t, cfg.Backing, nil)
				if err := errors.Join(put{0, 2 << 20, false}.do(d), d.Close()); err != nil {
					t.Fatal(err)
				}
			}
			d := openImage(t, newPath(t, cfg), nil)
			for _, p := range c.puts {
				if err := p.do(d); err != nil {
					t.Fatalf("%+v: %v", p, err)
				}
			}
			if got := placesOf(t, d, c.unit); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRunsBehindFailure has one run of a write fail: it tells of that, some runs behind it are
// written, as many as QEMU has under way, and the image stays sound.
func TestRunsBehindFailure(t *testing.T) {
	t.Parallel()
	const clusters = 24
	for _, failing := range []int{0, 1, 9} {
		path := newPath(t, blockdev.CreateConfig{Options: options("cluster_size", "4k")})
		writes, counts := 0, false
		var written []int
		d := openWatched(t, path, driver.Mode{}, func(r blockdevtest.Request) error {
			if !counts || r.Kind != "write" || r.Len%4096 != 0 || r.Off < 5*4096 {
				return nil
			}
			if writes++; writes-1 == failing {
				return syscall.EIO
			}
			return nil
		})
		for i := int64(1); i < clusters; i += 2 {
			if err := (put{i << 12, 4 << 10, false}).do(d); err != nil {
				t.Fatal(err)
			}
		}
		counts = true
		v := driver.Vec{bytes.Repeat([]byte{0x5a}, clusters<<12)}
		if err := d.Write(context.Background(), v, 0, 0); !errors.Is(err, syscall.EIO) {
			t.Errorf("run %d fails: %v", failing, err)
		}
		counts = false
		for i := range clusters {
			p := make([]byte, 1)
			if err := d.Read(context.Background(), driver.Vec{p}, int64(i)<<12, 0); err != nil {
				t.Fatal(err)
			}
			if p[0] == 0x5a {
				written = append(written, i)
			}
		}
		var want []int
		for i := range failing + 8 {
			if i != failing {
				want = append(want, i)
			}
		}
		if !slices.Equal(written, want) {
			t.Errorf("run %d fails: %d are written, want %d", failing, written, want)
		}
		res, err := checkDevice(context.Background(), d, 0)
		if err != nil || res.Leaks+res.Corruptions+res.CheckErrors != 0 {
			t.Errorf("run %d fails: %+v, %v", failing, res, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlaceBehindGivenBack wants a compressed cluster to be where qemu-io 7.2 puts it when those
// that it is placed behind were given back: at the same place, unless that is something else's now,
// which the original then has two owners for.
func TestPlaceBehindGivenBack(t *testing.T) {
	t.Parallel()
	const cluster, packed = int64(64 << 10), int64(79) // bytes
	for _, c := range []struct {
		name    string
		between []put
		end     int64 // of the file
	}{
		{"free", nil, 5*cluster + 2*packed},
		{"taken", []put{{3 << 20, cluster, false}}, 6*cluster + packed},
	} {
		path := newPath(t, blockdev.CreateConfig{})
		d := openImage(t, path, nil)
		err := errors.Join(put{1 << 20, cluster, true}.do(d),
			d.Discard(context.Background(), 1<<20, cluster))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(c.between, put{2 << 20, cluster, true}) {
			if err := p.do(d); err != nil {
				t.Fatal(err)
			}
		}
		res, err := checkDevice(context.Background(), d, 0)
		if err != nil || res.Leaks+res.Corruptions+res.CheckErrors != 0 {
			t.Errorf("%s: %+v, %v", c.name, res, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() != c.end {
			t.Errorf("%s: the file ends at %d, want %d", c.name, st.Size(), c.end)
		}
	}
}
