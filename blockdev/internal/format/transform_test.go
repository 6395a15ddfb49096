package format_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// memory is a file in memory.
type memory struct {
	driver.Leaf
	data []byte
}

func (m *memory) Info() driver.Info {
	return driver.Info{Limits: driver.Limits{
		Size:      int64(len(m.data)),
		ZeroTakes: driver.NoFallback,
	}}
}

func (m *memory) ReadVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	v.Clear()
	if off < int64(len(m.data)) {
		v.CopyFrom(m.data[off:])
	}
	return nil
}

func (m *memory) WriteVec(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	if end := off + v.Len(); end > int64(len(m.data)) {
		m.data = append(m.data, make([]byte, end-int64(len(m.data)))...)
	}
	v.CopyTo(m.data[off:])
	return nil
}

// places mixes into each sector where it is.
type places struct{}

func (places) Encode(dst, src []byte, guest, host int64) error {
	copy(dst, src)
	return places{}.Decode(dst, guest, host)
}

func (places) Decode(p []byte, guest, host int64) error {
	for at := 0; at < len(p); at += 512 {
		for i, b := range binary.LittleEndian.AppendUint64(nil,
			uint64(guest+int64(at))<<32|uint64(host+int64(at))) {
			p[at+i] ^= b
		}
	}
	return nil
}

// TestTransform writes and reads whole sectors in odd pieces of memory. The file has them mixed
// with where they are, also what is around a write in its block, and the writer's memory stays as
// it is.
func TestTransform(t *testing.T) {
	const block, blocks = 4096, 64
	ctx := context.Background()
	file := &memory{data: bytes.Repeat([]byte{0xff}, blocks*4)}
	m := format.NewBlockMap(format.BlockMapConfig{
		Name: "test", File: file, Blocks: blocks, Block: block, Data: 512, Size: block * blocks,
		None: 0xffffffff, Zero: 0xfffffffe,
		Count: func(context.Context, uint32) error { return nil },
	})
	m.Transform = places{}
	rng := rand.New(rand.NewPCG(5, 5))
	want := make([]byte, block*blocks)
	for range 200 {
		off := rng.Int64N(block*blocks/512) * 512
		n := min((1+rng.Int64N(40))*512, block*blocks-off)
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		sent := bytes.Clone(p)
		if err := m.WriteVec(ctx, cut(rng, sent), off, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sent, p) {
			t.Fatalf("write of %d at %d changed the writer's memory", n, off)
		}
		copy(want[off:], p)
	}
	got := make([]byte, len(want))
	if err := m.ReadVec(ctx, cut(rng, got), 0, 0); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read: %v, or other bytes", err)
	}
	for off := int64(0); off < int64(len(want)); off += block {
		run, err := m.Lookup(ctx, off, block)
		if err != nil {
			t.Fatal(err)
		}
		if run.Kind != format.Data {
			continue
		}
		stored := slices.Clone(file.data[run.Host : run.Host+block])
		if err := (places{}).Decode(stored, off, run.Host); err != nil ||
			!bytes.Equal(stored, want[off:off+block]) {
			t.Fatalf("block at %d: %v, or it is stored as it is not to be", off, err)
		}
		e, err := m.Status(ctx, off, block)
		if err != nil || e.HostOff != -1 || e.Zero {
			t.Errorf("status at %d: %+v %v", off, e, err)
		}
	}
}

// cut is p in pieces of any lengths.
func cut(rng *rand.Rand, p []byte) driver.Vec {
	var v driver.Vec
	for len(p) > 0 {
		n := min(len(p), 1+rng.IntN(3000))
		v, p = append(v, p[:n]), p[n:]
	}
	return v
}
