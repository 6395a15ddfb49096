package qcow2_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// A version 2 image cannot hide what a longer backing file has behind its end. Refusing to grow
// must not cost it its machine state.
func TestRefusedGrowthKeepsMachineState(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	base, top := filepath.Join(dir, "base.raw"), filepath.Join(dir, "top.qcow2")
	create := func(path, format string, size int64, backing string, pairs ...any) {
		t.Helper()
		cfg := blockdev.CreateConfig{
			Drivers: testDrivers, Format: format, Size: size,
			Options: options(pairs...),
		}
		if backing != "" {
			cfg.Backing, cfg.BackingFormat = backing, "raw"
		}
		if err := blockdev.Create(ctx, path, cfg); err != nil {
			t.Fatal(err)
		}
	}
	create(base, "raw", 256<<10, "")
	create(top, "qcow2", 8<<10, base, "compat", "0.10", "cluster_size", "512")
	d, err := blockdev.Open(ctx, top, blockdev.OpenConfig{Drivers: testDrivers, Format: "qcow2"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := bytes.Repeat([]byte("state"), 2000)
	if err := d.WriteVMState(ctx, driver.Vec{want}, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.NeedWrite(ctx, true); err != nil {
		t.Fatal(err)
	}
	if err := d.Truncate(ctx, 128<<10,
		driver.PreallocOff); !errors.Is(err, driver.ErrNotSupported) {
		t.Fatalf("truncate: %v", err)
	}
	got := make([]byte, len(want))
	if err := d.ReadVMState(ctx, driver.Vec{got}, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the machine state is lost")
	}
}
