package qcow2_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// TestCut has who reads an image whose file was cut short learn of it, whatever was lost: clusters
// with data, tables, or a part of a table; also who skips what is known to be zero.
func TestCut(t *testing.T) {
	t.Parallel()
	needPeers(t)
	for options, step := range map[string]int64{
		"cluster_size=4k,compat=0.10": 512,    // several L2 tables
		"cluster_size=64k":            9 << 9, // with holes of the file in its tables
	} {
		path := filepath.Join(t.TempDir(), "image")
		qemuImg(t, "create", "-q", "-f", "qcow2", "-o", options, path, "8M")
		d := openImage(t, path, nil)
		cluster := d.Info().Cluster
		for off := int64(0); off < d.Size(); off += 1 << 20 {
			data := bytes.Repeat([]byte{byte(1 + off>>19)}, int(2*cluster))
			must(t, d.Write(context.Background(), driver.Vec{data}, off, 0))
		}
		must(t, d.Close())
		want, told, err := readData(t, path)
		if must(t, err); told {
			t.Fatal("a whole image is cut short")
		}
		st, err := os.Stat(path)
		must(t, err)
		for end, i := st.Size()-2*cluster, 0; end > cluster; end, i = end-step, i+1 {
			if !blockdevtest.Sampled(i, 7) {
				continue
			}
			must(t, os.Truncate(path, end))
			got, told, err := readData(t, path)
			if err == nil && !told && !bytes.Equal(got, want) {
				t.Errorf("%s: nobody tells that %d bytes of %d are left", options, end, st.Size())
			}
		}
	}
}

// readData reads all of an image but what is known to be zero, and whether it was told that the
// file was cut short.
func readData(t *testing.T, path string) (data []byte, told bool, err error) {
	d, err := blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", Mode: driver.Mode{ReadOnly: true},
		Notify: func(n driver.Notice) {
			if _, is := n.(driver.ImageCutShort); is {
				told = true
			}
		},
	})
	if err != nil {
		return nil, told, err
	}
	defer d.Close()
	data = make([]byte, d.Size())
	for off := int64(0); off < d.Size(); {
		e, err := d.Status(context.Background(), off, d.Size()-off)
		if err != nil {
			return nil, told, err
		}
		if e.Data && !e.Zero {
			if _, err := d.ReadAt(data[off:e.End()], off); err != nil && err != io.EOF {
				return nil, told, err
			}
		}
		off = e.End()
	}
	return data, told, nil
}
