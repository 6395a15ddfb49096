package commands_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/drivers"
)

// damagedTable is a qcow2 image of 1 MiB, all of it written, with an L2 entry that cannot be: that
// of its sixth cluster of 64 KiB.
func damagedTable(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "disk")
	if err := blockdev.Create(ctx, path,
		blockdev.CreateConfig{Drivers: drivers.All(), Format: "qcow2", Size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	d, err := blockdev.Open(ctx, path, blockdev.OpenConfig{Drivers: drivers.All(), Format: "qcow2"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	be := binary.BigEndian
	l2 := be.Uint64(image[be.Uint64(image[40:]):]) & (1<<56 - 1)
	be.PutUint64(image[l2+5*8:], 0x80000000000a0200)
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMapBeforeDamage wants what lies before a damaged entry, then the error.
func TestMapBeforeDamage(t *testing.T) {
	path := damagedTable(t)
	const run = "320 KiB (0x50000) bytes     allocated at offset 0 bytes (0x0)"
	for _, c := range []struct{ dialect, line, want string }{
		{"native", "map", "      0   327680       320 KiB  data                     0       327680\n"},
		{"native", "map 64k", "  65536   262144       256 KiB  data                     0       393216\n"},
		{"qemu-7.2", "map", run},
	} {
		s := newShell(t, c.dialect)
		got := s.dialogue(t, "open -r -o driver=qcow2 "+path, c.line)
		before, after, found := strings.Cut(got, c.want)
		if !found || strings.Contains(before, "Input/output error") ||
			!strings.Contains(after, "Input/output error") {
			t.Errorf("%s, %s: %s", c.dialect, c.line, got)
		}
		if c.dialect == "native" && s.Status() != 5 {
			t.Errorf("%s: status %d", c.line, s.Status())
		}
	}
}

// TestCommandsAfterCorruption wants no medium for what needs none of its bytes, in the words of
// each dialect.
func TestCommandsAfterCorruption(t *testing.T) {
	for _, c := range []struct{ dialect, line, want string }{
		{"native", "length", "!qemu-io: length failed: No medium found\n"},
		{"native", "info", "!qemu-io: info failed: No medium found\n"},
		{"native", "map", "!qemu-io: map failed: No medium found\n"},
		{"qemu-7.2", "length", "getlength: No medium found\n"},
		{"qemu-7.2", "info", ""},
		{"qemu-7.2", "map", "!qemu-io: Failed to query image length: No medium found\n"},
		{"qemu-7.2", "truncate 1k", "!qemu-io: No medium inserted\n"},
		{"qemu-7.2", "read 0 0", "read failed: No medium found\n"},
		{"qemu-7.2", "write 2M 1k", "write failed: No medium found\n"},
	} {
		s := newShell(t, c.dialect)
		s.dialogue(t, "open -o driver=qcow2 "+damagedTable(t), "write 320k 64k")
		if got := s.dialogue(t, c.line); got != c.want {
			t.Errorf("%s, %s: %q", c.dialect, c.line, got)
		}
	}
}
