package raw_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/raw"
)

func TestCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, []byte("what was there before"), 0o600); err != nil {
		t.Fatal(err)
	}
	create := func(size int64, backing, prealloc string) error {
		var o driver.Options
		if prealloc != "" {
			o.Set("preallocation", prealloc)
		}
		cfg := blockdev.CreateConfig{
			Drivers: []driver.Driver{raw.Driver, file.Driver}, Format: "raw", Options: &o,
			Size: size, Backing: backing, Force: true,
		}
		if backing != "" {
			cfg.BackingFormat = "raw"
		}
		return blockdev.Create(t.Context(), name, cfg)
	}
	for _, prealloc := range []string{"", "off", "full"} {
		if err := create(1000, "", prealloc); err != nil {
			t.Fatalf("preallocation %q: %v", prealloc, err)
		}
		data, err := os.ReadFile(name)
		if err != nil || string(data) != string(make([]byte, 1000)) {
			t.Errorf("preallocation %q: %d bytes, %v", prealloc, len(data), err)
		}
	}
	for what, err := range map[string]error{
		"preallocation": create(512, "", "metadata"),
		"backing file":  create(512, name, ""),
		"size":          create(1<<63-1, "", ""),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
