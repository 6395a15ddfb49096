package qcow2_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/file"
	"github.com/blksh/blksh/blockdev/qcow2"
)

// An image is made, written to and read through the block layer, which needs the drivers of all
// layers.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "qcow2")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "disk.qcow2")
	drivers := []driver.Driver{file.Driver, qcow2.Driver}

	if err := blockdev.Create(ctx, name,
		blockdev.CreateConfig{Drivers: drivers, Format: "qcow2", Size: 1 << 30}); err != nil {
		log.Fatal(err)
	}
	disk, err := blockdev.Open(ctx, name, blockdev.OpenConfig{Drivers: drivers})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()
	if _, err := disk.WriteAt([]byte("hello"), 123456789); err != nil {
		log.Fatal(err)
	}
	extent, err := disk.Status(ctx, 0, disk.Size())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(disk.Size(), "bytes; allocated from", extent.End())
	// Output: 1073741824 bytes; allocated from 123404288
}
