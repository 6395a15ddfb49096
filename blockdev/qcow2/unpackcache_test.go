package qcow2_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// words is n bytes that compress.
func words(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(rng.IntN(4))
	}
	return b
}

// TestRecent reads compressed clusters in parts, by several at a time, and writes others in their
// place: in the image, and by giving them back in the file.
func TestRecent(t *testing.T) {
	for _, how := range []string{"zlib", "zstd"} {
		t.Run(how, func(t *testing.T) {
			ctx := context.Background()
			const cluster, clusters, part = 64 << 10, 4, 8 << 10
			d := benchImage(t, false, false, "compression_type", how)
			for generation := range uint64(4) {
				plain := words(generation, cluster*clusters)
				if err := d.Write(ctx, driver.Vec{plain}, 0, driver.Compressed); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						p := make([]byte, part)
						for off := int64(0); off < cluster*clusters; off += part {
							if err := d.Read(ctx, driver.Vec{p}, off, 0); err != nil {
								t.Error(err)
								return
							}
							if !bytes.Equal(p, plain[off:off+part]) {
								t.Errorf("generation %d: other bytes at %d", generation, off)
								return
							}
						}
					})
				}
				wg.Wait()
				if err := d.Discard(ctx, 0, cluster*clusters); err != nil {
					t.Fatal(err)
				}
				if err := d.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
