package qcow2

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Describe tells what QEMU's info shows of an image, in its order.
func (q *image) Describe() []driver.Detail {
	ctx := context.Background()
	if q.LockAnyway(ctx) != nil {
		return nil
	}
	defer q.Unlock()
	h := q.hdr
	var encrypt []driver.Detail
	if list := q.encryptionDetails(); list != nil {
		encrypt = []driver.Detail{{Key: "encrypt", Sub: list}}
	}
	if q.version == 2 {
		return append([]driver.Detail{
			{Key: "compat", Value: "0.10"},
			{Key: "compression type", Value: h.Compression.String()},
			{Key: "refcount bits", Value: int64(1) << q.refOrder},
		}, encrypt...)
	}
	d := []driver.Detail{
		{Key: "compat", Value: "1.1"},
		{Key: "compression type", Value: h.Compression.String()},
		{Key: "lazy refcounts", Value: h.lazy()},
	}
	if list := q.bitmapDetails(ctx); list != nil {
		d = append(d, driver.Detail{Key: "bitmaps", Sub: list})
	}
	d = append(d, driver.Detail{Key: "refcount bits", Value: int64(1) << q.refOrder})
	if h.dataFile != "" {
		d = append(d, driver.Detail{Key: "data file", Value: h.dataFile})
	}
	if q.external() {
		d = append(d, driver.Detail{Key: "data file raw", Value: q.rawData()})
	}
	return append(append(d, encrypt...),
		driver.Detail{Key: "corrupt", Value: h.Incompatible&featCorrupt != 0},
		driver.Detail{Key: "extended l2", Value: q.extended},
	)
}
