package qcow2

import (
	"bytes"
	"fmt"
	"testing"
)

// Lengths that zlib 1.2.13 (raw, window of 4 KiB, memory level 9) and libzstd 1.5.4 (level 3) give,
// as QEMU 7.2 calls them.
func TestPackRunIsAsLongAsTheOthers(t *testing.T) {
	for _, tt := range []struct {
		how  compression
		b    byte
		n    int
		want int
	}{
		{compressZlib, 0, 512, 8},
		{compressZlib, 0xa5, 512, 8},
		{compressZlib, 0, 4 << 10, 20},
		{compressZlib, 0xa5, 4 << 10, 22},
		{compressZlib, 0xff, 4 << 10, 20},
		{compressZlib, 1, 4 << 10, 21},
		{compressZlib, 0, 64 << 10, 78},
		{compressZlib, 0xa5, 64 << 10, 79},
		{compressZlib, 0xff, 64 << 10, 78},
		{compressZlib, 1, 64 << 10, 79},
		{compressZlib, 0, 2 << 20, 2049},
		{compressZlib, 0xcd, 2 << 20, 2050},
		{compressZstd, 1, 512, 19},
		{compressZstd, 1, 4 << 10, 19},
		{compressZstd, 0xa5, 64 << 10, 20},
		{compressZstd, 1, 2 << 20, 82},
	} {
		if got := len(packRun(tt.how, nil, tt.b, tt.n)); got != tt.want {
			t.Errorf("%v: %d bytes of %#x in %d bytes, want %d", tt.how, tt.n, tt.b, got, tt.want)
		}
	}
}

func TestPackRunUnpacks(t *testing.T) {
	for _, how := range []compression{compressZlib, compressZstd} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			for bits := 9; bits <= 21; bits++ {
				out := make([]byte, 1<<bits)
				for b := range 256 {
					if bits > 16 && b%51 != 0 {
						continue
					}
					want := bytes.Repeat([]byte{byte(b)}, 1<<bits)
					if err := decompress(how, out,
						packRun(how, nil, byte(b), 1<<bits)); err != nil {
						t.Fatalf("%d bytes of %#x: %v", 1<<bits, b, err)
					}
					if !bytes.Equal(out, want) {
						t.Fatalf("%d bytes of %#x come out otherwise", 1<<bits, b)
					}
				}
			}
		})
	}
}
