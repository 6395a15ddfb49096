package qcow2_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// Set beside qemu-img bench on the same image: qemu-img bench -f qcow2 -t writeback -d 1 -s SIZE
// [-w] IMAGE.

const benchSize = 256 << 20

// benchImage makes an image, written over its whole length or empty.
func benchImage(b testing.TB, full, compressed bool, pairs ...any) *blockdev.Device {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.qcow2")
	err := blockdev.Create(context.Background(), path, blockdev.CreateConfig{
		Drivers: testDrivers, Format: "qcow2", Options: options(pairs...), Size: benchSize,
	})
	if err != nil {
		b.Fatal(err)
	}
	d := openImage(b, path, options())
	b.Cleanup(func() { _ = d.Close() })
	buf := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range buf {
		buf[i] = byte(rng.Uint32()) & 15
	}
	var f driver.Flags
	if compressed {
		f = driver.Compressed
	}
	for off := int64(0); full && off < benchSize; off += int64(len(buf)) {
		if err := d.Write(context.Background(), driver.Vec{buf}, off, f); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

func benchmark(b *testing.B, d *blockdev.Device, size int64, random, write bool) {
	b.Helper()
	ctx := context.Background()
	v := driver.Vec{make([]byte, size)}
	v[0][0] = 1
	rng := rand.New(rand.NewPCG(2, 2))
	slots := benchSize / size
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range int64(b.N) {
		at := i % slots
		if random {
			at = rng.Int64N(slots)
		}
		var err error
		if write {
			err = d.Write(ctx, v, at*size, 0)
		} else {
			err = d.Read(ctx, v, at*size, 0)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	d := benchImage(b, true, false)
	for _, size := range []int64{4 << 10, 1 << 20} {
		for _, random := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dk/random=%v", size>>10, random),
				func(b *testing.B) { benchmark(b, d, size, random, false) })
		}
	}
}

func BenchmarkOverwrite(b *testing.B) {
	d := benchImage(b, true, false)
	for _, size := range []int64{4 << 10, 1 << 20} {
		for _, random := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dk/random=%v", size>>10, random),
				func(b *testing.B) { benchmark(b, d, size, random, true) })
		}
	}
}

func BenchmarkAllocate(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dk", size>>10), func(b *testing.B) {
			benchmark(b, benchImage(b, false, false), size, false, true)
		})
	}
}

func BenchmarkReadCompressed(b *testing.B) {
	for _, how := range []string{"zlib", "zstd"} {
		d := benchImage(b, true, true, "compression_type", how)
		b.Run(how, func(b *testing.B) { benchmark(b, d, 1<<20, false, false) })
	}
}

func BenchmarkReadParallel(b *testing.B) {
	d := benchImage(b, true, false)
	const size = 4 << 10
	b.SetBytes(size)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		v := driver.Vec{make([]byte, size)}
		rng := rand.New(rand.NewPCG(3, rand.Uint64()))
		for pb.Next() {
			if err := d.Read(context.Background(), v, rng.Int64N(benchSize/size)*size,
				0); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
