package qcow2

import (
	"context"
	"errors"
	"io/fs"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

// An image may keep the guest's data in a file of its own, at the guest's offsets, and only
// metadata in the image file. Refcounts are about the image file: clusters of the data file have
// none, and are never shared. Of a raw data file the guest's bytes are all that it holds: what
// reads as zeroes is zero there too, and all clusters have their place.

// external says whether guest data lies in a file of its own.
func (q *image) external() bool { return q.hdr.Incompatible&featDataFile != 0 }

// rawData says whether the data file holds what the guest sees.
func (q *image) rawData() bool { return q.external() && q.hdr.Autoclear&autoRawData != 0 }

// openDataFile opens what the options or the image call the data file; nil if neither names one. As
// in QEMU a relative name starts from the working directory.
func openDataFile(ctx context.Context, o *driver.Opening, h *header) (driver.Node, error) {
	dataFile := o.Config.(*config).DataFile
	if h.Incompatible&featDataFile == 0 || h.dataFile == "" {
		if !o.HasChild(dataFile) {
			return nil, nil
		}
		return o.Child(ctx, dataFile, driver.RoleFile)
	}
	n, err := o.Named(ctx, dataFile, driver.Link{Name: h.dataFile}, driver.RoleFile)
	if errors.Is(err, fs.ErrNotExist) && !o.HasChild(dataFile) && !o.LikeQEMU() {
		err = format.Advise(err, "the image calls its data file '"+h.dataFile+
			"', which starts from the working directory\n"+
			"-o data-file.filename=PATH names the file\n")
	}
	return n, err
}

// attachData takes the data file that was opened for the image, nil for none.
func (q *image) attachData(data driver.Node) error {
	switch {
	case q.external() && data == nil:
		return invalid("'data-file' is required for this image")
	case !q.external() && data != nil:
		return invalid("'data-file' can only be set for images with an external data file")
	case !q.external() && q.hdr.Autoclear&autoRawData != 0:
		return invalid("data-file-raw requires a data file")
	case data != nil && sameFile(q.file, data):
		return invalid("The image names itself as its data file")
	case data != nil:
		q.Data = data
	}
	return nil
}

// sameFile says whether two nodes are known to stand on one file.
func sameFile(a, b driver.Node) bool {
	x, okX := driver.Find[driver.Identified](a)
	y, okY := driver.Find[driver.Identified](b)
	if !okX || !okY {
		return false
	}
	devX, inoX := x.Identity()
	devY, inoY := y.Identity()
	return devX == devY && inoX == inoY
}

// claimData claims the data file for what is done with the image.
func (q *image) claimData(ctx context.Context, c driver.Claim) error {
	if q.Data == q.file {
		return nil
	}
	return format.Claim(ctx, q.Data, c, q.claims)
}

// sync puts guest data on stable storage, and then the image file.
func (q *image) sync(ctx context.Context) error {
	return inOrder(ctx, q.syncData, q.file.Flush)
}

// syncData puts the data file on stable storage, if there is one.
func (q *image) syncData(ctx context.Context) error {
	if q.Data == q.file {
		return nil
	}
	return q.Data.Flush(ctx)
}

// dataLength is the length of what guest data lies in, in whole sectors.
func (q *image) dataLength() int64 { return driver.WholeSectors(q.Data.Info().Size) }

// punch has a hole where guest data was, which saves space and which nothing depends on.
func (q *image) punch(ctx context.Context, host int64) {
	if !q.Pins.Cover(host, q.cluster) {
		_ = q.Data.Discard(ctx, host, q.cluster, 0)
	}
}

// zeroRaw makes a raw data file zero where the guest is to read zeroes.
func (q *image) zeroRaw(ctx context.Context, off, n int64, f driver.Flags) error {
	if n = min(n, q.size.Load()-off); !q.rawData() || n <= 0 {
		return nil
	}
	return q.Data.Zero(ctx, off, n, f)
}

// growData makes the data file as long as a disk that has grown.
func (q *image) growData(ctx context.Context, size int64) error {
	if !q.external() || q.dataLength() >= size && !q.rawData() {
		return nil
	}
	return q.truncateData(ctx, size)
}

func (q *image) truncateData(ctx context.Context, size int64) error {
	return prefix(q.Data.Truncate(ctx, size, driver.PreallocOff, 0), resizeFailed)
}

// resizeFailed is why a disk cannot be longer or shorter.
const resizeFailed = "Failed to resize underlying file"

// shrinkData cuts the data file off where a disk ends that has become shorter.
func (q *image) shrinkData(ctx context.Context, size int64) error {
	if !q.external() || q.dataLength() <= size {
		return nil
	}
	return q.truncateData(ctx, size)
}
