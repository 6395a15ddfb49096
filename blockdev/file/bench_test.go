package file_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// BenchmarkQueue reads 4 KiB at random from a file of 256 MiB by the batch queue: on a ring, and by
// goroutines.
func BenchmarkQueue(b *testing.B) {
	const block, blocks = 4096, 256 << 20 / 4096
	name := temp(b, 0)
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 7)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	for range blocks * block / len(data) {
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	f.Close()
	for _, aio := range []string{"io_uring", "threads"} {
		for _, direct := range []bool{false, true} {
			for _, depth := range []int{1, 32, 128} {
				b.Run(fmt.Sprintf("%s/direct=%v/depth=%d", aio, direct, depth), func(b *testing.B) {
					d, err := blockdev.Open(b.Context(), "", blockdev.OpenConfig{
						Drivers: drivers(), Mode: driver.Mode{ReadOnly: true, Direct: direct},
						Options: options("driver", "file", "filename", name, "aio", aio),
					})
					if err != nil {
						b.Fatal(err)
					}
					defer d.Close()
					q, err := d.Queue(b.Context(), depth, block)
					if err != nil {
						b.Fatal(err)
					}
					defer q.Close()
					readAtRandom(b, q, block, blocks)
				})
			}
		}
	}
}

func readAtRandom(b *testing.B, q driver.Queue, block, blocks int) {
	r := rand.New(rand.NewPCG(1, 2))
	free := make([]int, q.Depth())
	for i := range free {
		free[i] = i
	}
	done := make([]int, q.Depth())
	b.SetBytes(int64(block))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	defer func() { b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") }()
	for started, ended := 0, 0; ended < b.N; {
		for ; len(free) > 0 && started < b.N; started++ {
			slot := free[len(free)-1]
			free = free[:len(free)-1]
			q.Stage(slot, driver.OpRead, int64(r.IntN(blocks)*block), int64(block), 0)
		}
		if err := q.Submit(); err != nil {
			b.Fatal(err)
		}
		n, err := q.Reap(1, done)
		if err != nil {
			b.Fatal(err)
		}
		for _, slot := range done[:n] {
			if err := q.Err(slot); err != nil {
				b.Fatal(err)
			}
			free = append(free, slot)
		}
		ended += n
	}
}

// cpuTime is what this process has used so far, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
