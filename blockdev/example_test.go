package blockdev_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/drivers"
)

// An open device is an io.ReaderAt and an io.WriterAt, whatever it stands on.
func Example() {
	disk, err := blockdev.Open(context.Background(), "mem:64M",
		blockdev.OpenConfig{Drivers: drivers.All(), Format: "raw"})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()
	if _, err := disk.WriteAt([]byte("hello"), 4096); err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 8)
	if _, err := disk.ReadAt(p, 4096); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q of %d bytes\n", p, disk.Size())
	// Output: "hello\x00\x00\x00" of 67108864 bytes
}

// Errors say what was tried.
func ExampleDevice_Write() {
	ctx := context.Background()
	disk, err := blockdev.Open(ctx, "mem:1M", blockdev.OpenConfig{
		Drivers: drivers.All(), Format: "raw", Mode: blockdev.Mode{ReadOnly: true},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()
	err = disk.Write(ctx, blockdev.Vec{make([]byte, 512)}, 0, 0)
	var failed *blockdev.Error
	fmt.Println(errors.As(err, &failed), failed.Op, failed.Off, failed.Len,
		errors.Is(err, blockdev.ErrReadOnly))
	// Output: true write 0 512 true
}

// Status tells what is stored, and what only reads as zeroes.
func ExampleDevice_Status() {
	ctx := context.Background()
	disk, err := blockdev.Open(ctx, "mem:1M",
		blockdev.OpenConfig{Drivers: drivers.All(), Format: "raw"})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()
	if err := disk.Write(ctx, blockdev.Vec{make([]byte, 100)}, 512<<10, blockdev.FUA); err != nil {
		log.Fatal(err)
	}
	for off := int64(0); off < disk.Size(); {
		extent, err := disk.Status(ctx, off, disk.Size()-off)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(extent.Off, extent.Len, extent.Zero)
		off = extent.End()
	}
	// Output:
	// 0 524288 true
	// 524288 65536 false
	// 589824 458752 true
}
