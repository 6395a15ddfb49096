package qcow2_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/blksh/blksh/blockdev"
)

// TestHoles wants holes of the file to be told as qemu-img tells them: where metadata was
// preallocated, and not of a cluster that was written in part.
func TestHoles(t *testing.T) {
	t.Parallel()
	needPeers(t)
	for _, options := range []string{
		"preallocation=off", "preallocation=metadata", "preallocation=full",
	} {
		path := filepath.Join(t.TempDir(), "image")
		qemuImg(t, "create", "-q", "-f", "qcow2", "-o", options, path, "4M")
		d := openImage(t, path, nil)
		err := d.Write(context.Background(), blockdev.Vec{make([]byte, 4096)}, 1<<20, 0)
		if err := errors.Join(err, d.Close()); err != nil {
			t.Fatal(err)
		}
		type extent struct {
			Start, Length int64
			Zero, Data    bool
		}
		var want, got []extent
		if err := json.Unmarshal([]byte(qemuImg(t, "map", "--output=json", path)),
			&want); err != nil {
			t.Fatal(err)
		}
		d = openImage(t, path, nil)
		for off := int64(0); off < d.Size(); {
			e, err := d.Status(context.Background(), off, d.Size()-off)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got); n > 0 && got[n-1].Zero == e.Zero && got[n-1].Data == e.Data {
				got[n-1].Length += e.Len
			} else {
				got = append(got, extent{off, e.Len, e.Zero, e.Data})
			}
			off = e.End()
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", options, got, want)
		}
	}
}
