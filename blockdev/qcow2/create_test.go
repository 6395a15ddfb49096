package qcow2_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// TestCreateAgrees makes images by both programs: all bytes are alike.
func TestCreateAgrees(t *testing.T) {
	needPeers(t)
	dir := t.TempDir()
	base := filepath.Join(dir, "base.raw")
	if err := os.WriteFile(base, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		options string
		size    int64
		backing bool
	}{
		{"", 1 << 30, false},
		{"", 0, false},
		{"", 1000, false},
		{"compat=0.10", 10 << 20, false},
		{"cluster_size=512", 1 << 20, false},
		{"cluster_size=4k", 3 << 30, false},
		{"cluster_size=2M", 1 << 40, false},
		{"refcount_bits=1", 1 << 20, false},
		{"refcount_bits=64,cluster_size=512", 100 << 10, false},
		{"lazy_refcounts=on", 1 << 20, false},
		{"extended_l2=on", 1 << 20, false},
		{"compression_type=zstd", 1 << 20, false},
		{"preallocation=metadata", 10 << 20, false},
		{"preallocation=metadata,cluster_size=512", 3 << 20, false},
		{"preallocation=falloc,cluster_size=4k", 9 << 20, false},
		{"preallocation=full,extended_l2=on,cluster_size=16k", 1 << 20, false},
		{"", 1 << 20, true},
		{"compat=0.10,cluster_size=1k", 1 << 20, true},
	} {
		t.Run(fmt.Sprint(c.options, c.size, c.backing), func(t *testing.T) {
			theirs, ours := filepath.Join(dir, fmt.Sprint("theirs", i)),
				filepath.Join(dir, fmt.Sprint("ours", i))
			args := []string{"create", "-q", "-f", "qcow2"}
			cfg := blockdev.CreateConfig{
				Drivers: testDrivers, Format: "qcow2", Options: options(),
				Size: c.size,
			}
			for _, word := range strings.FieldsFunc(c.options,
				func(r rune) bool { return r == ',' }) {
				key, value, _ := strings.Cut(word, "=")
				cfg.Options.Set(key, value)
				args = append(args, "-o", word)
			}
			if c.backing {
				cfg.Backing, cfg.BackingFormat = base, "raw"
				args = append(args, "-b", base, "-F", "raw")
			}
			qemuImg(t, append(args, theirs, fmt.Sprint(c.size))...)
			if err := blockdev.Create(context.Background(), ours, cfg); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(theirs)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(ours)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes differ from qemu-img's %d", len(got), len(want))
			}
		})
	}
}

// TestCreateRefused asks for the words with which options are refused.
func TestCreateRefused(t *testing.T) {
	for _, c := range []struct {
		options *driver.Options
		want    string
	}{
		{options("compat", "9"), "Invalid compatibility level: '9'; there are 0.10 (or v2) and 1.1 (or v3)"},
		{options("cluster_size", "1000"), "Cluster size must be a power of two between 512 and 2048k"},
		{options("cluster_size", "4M"), "Cluster size must be a power of two between 512 and 2048k"},
		{options("extended_l2", "on", "cluster_size", "8k"), "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes"},
		{options("refcount_bits", "7"), "Refcount width must be a power of two and may not exceed 64 bits"},
		{options("refcount_bits", "128"), "Refcount width must be a power of two and may not exceed 64 bits"},
		{options("refcount_bits", "8", "compat", "0.10"), "Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)"},
		{options("lazy_refcounts", "on", "compat", "0.10"), "Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)"},
	} {
		err := blockdev.Create(context.Background(), filepath.Join(t.TempDir(), "x"),
			blockdev.CreateConfig{
				Drivers: testDrivers, Format: "qcow2", Options: c.options, Size: 1 << 20,
			})
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%v: %v, not %q", c.options.Keys(), err, c.want)
		}
	}
}
