package null

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

func open(t *testing.T, name string, given map[string]any) (*blockdev.Device, error) {
	t.Helper()
	var o driver.Options
	for k, v := range given {
		o.Set(k, v)
	}
	return blockdev.Open(context.Background(), name,
		blockdev.OpenConfig{Drivers: []driver.Driver{Aio, Co}, Options: &o})
}

func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name  string
		given map[string]any
		size  int64
		err   string
	}{
		{"", map[string]any{"driver": "null-co"}, 1 << 30, ""},
		{"", map[string]any{"driver": "null-aio", "size": "1000"}, 1024, ""},
		{"null-co://", map[string]any{"driver": "null-co", "size": int64(0)}, 0, ""},
		{"null-co://x", map[string]any{"driver": "null-co"}, 0, "The only allowed filename for this driver is 'null-co://'"},
		{"foo", map[string]any{"driver": "null-aio"}, 0, "The only allowed filename for this driver is 'null-aio://'"},
		{"", map[string]any{"driver": "null-co", "latency-ns": "-1"}, 0, "latency-ns is invalid"},
		{"", map[string]any{"driver": "null-co", "filename": "foo"}, 0, "Block protocol 'null-co' doesn't support the option 'filename'"},
		{"", map[string]any{"driver": "null-co", "read-zeroes": "x"}, 0, "Parameter 'read-zeroes' expects 'on' or 'off'"},
	} {
		d, err := open(t, c.name, c.given)
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%q %v: %v, want %s", c.name, c.given, err, c.err)
			}
			continue
		}
		if c.err != "" || d.Size() != c.size {
			t.Errorf("%q %v: length %d, want %d %s", c.name, c.given, d.Size(), c.size, c.err)
		}
	}
}

func TestRead(t *testing.T) {
	ctx := context.Background()
	for _, zeroes := range []bool{false, true} {
		d, err := open(t, "", map[string]any{"driver": "null-co", "read-zeroes": zeroes})
		if err != nil {
			t.Fatal(err)
		}
		buf := []byte{1, 2, 3}
		want := map[bool][]byte{false: {1, 2, 3}, true: {0, 0, 0}}[zeroes]
		if err := d.Read(ctx, driver.Vec{buf}, 5, 0); err != nil || !bytes.Equal(buf, want) {
			t.Errorf("read-zeroes %v: %v, %v", zeroes, buf, err)
		}
		if e, err := d.Status(ctx, 0, d.Size()); err != nil || e.Allocated != zeroes ||
			e.Zero != zeroes || e.Data || e.Len != d.Size() {
			t.Errorf("read-zeroes %v: %+v, %v", zeroes, e, err)
		}
		if err := d.Zero(ctx, 0, 512, driver.NoFallback); !errors.Is(err, driver.ErrNotSupported) {
			t.Errorf("zeroes without fallback: %v", err)
		}
		if err := d.Zero(ctx, 0, 512, 0); err != nil {
			t.Error(err)
		}
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 90 * time.Second
		d := &device{name: "null-co", size: 1 << 20, latency: latency}
		start := time.Now()
		do := func(ctx context.Context, op string, err error, want time.Duration) {
			t.Helper()
			if took := time.Since(start); err != nil && ctx.Err() == nil || took != want {
				t.Errorf("%s took %v, want %v: %v", op, took, want, err)
			}
			start = time.Now()
		}
		ctx, cancel := context.WithCancel(context.Background())
		do(ctx, "read", d.ReadVec(ctx, driver.Vec{{0}}, 0, 0), latency)
		do(ctx, "write", d.WriteVec(ctx, driver.Vec{{0}}, 0, 0), latency)
		do(ctx, "flush", d.Flush(ctx), latency)
		time.AfterFunc(time.Second, cancel)
		err := d.ReadVec(ctx, driver.Vec{{0}}, 0, 0)
		do(ctx, "cancelled read", err, time.Second)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled read: %v", err)
		}
	})
}
