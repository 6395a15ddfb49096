package raw

import (
	"context"
	"math"

	"github.com/blksh/blksh/blockdev"
)

// createKeys are the options of an image to be made.
var createKeys = []blockdev.Key{
	{Name: "preallocation", Type: blockdev.Enum, Enum: []string{"off", "falloc", "full"}, Default: "off", Help: "what to do with the space of a fresh image"},
}

// create makes the file as long as the image, in whole sectors.
func create(ctx context.Context, c *blockdev.Creating) error {
	if c.Backing != "" {
		return blockdev.Refuse("Backing file not supported for file format 'raw'")
	}
	if c.Size > math.MaxInt64-blockdev.SectorSize {
		return blockdev.Refuse("Image size must be less than 8 EiB!")
	}
	size := (c.Size + blockdev.SectorSize - 1) / blockdev.SectorSize * blockdev.SectorSize
	mode, _ := blockdev.ParsePrealloc(c.Values.String("preallocation")) // the key admits nothing else
	return c.File.Truncate(ctx, size, mode, 0)
}
