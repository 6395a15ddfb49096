package raw

import (
	"context"

	"github.com/blksh/blksh/blockdev"
)

// createKeys are the options of an image to be made.
var createKeys = []blockdev.Key{
	{Name: "preallocation", Type: blockdev.Enum, Enum: []string{"off", "falloc", "full"}, Default: "off", Help: "what to do with the space of a fresh image"},
}

// checkCreate refuses what a raw image cannot record.
func checkCreate(c *blockdev.Creating) error {
	if c.Backing != "" {
		return blockdev.Refuse("Backing file not supported for file format 'raw'")
	}
	return nil
}

// create makes the file as long as the image, in whole sectors.
func create(ctx context.Context, c *blockdev.Creating) error {
	size := (c.Size + blockdev.SectorSize - 1) / blockdev.SectorSize * blockdev.SectorSize
	mode, _ := blockdev.ParsePrealloc(c.Values.String("preallocation")) // the key admits nothing else
	return c.File.Truncate(ctx, size, mode, 0)
}
