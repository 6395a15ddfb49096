//go:build rbd

package rbd

// #include "run.h"
import "C"

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

const (
	// mostAsked is how much of an image is looked at for one answer, in bytes.
	mostAsked = 1 << 30
	// mostObjects is how many objects are asked for what they hold of it.
	mostObjects = 16
)

// Status asks twice where there is data: which objects there are is known without them where the
// image has a map of its objects (the feature fast-diff), and what they hold only they know.
func (d *image) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	n = min(n, mostAsked)
	e, err := d.run(off, n, true)
	if err != nil || !e.Data {
		return e, err
	}
	return d.run(off, min(e.Len, mostObjects*d.stripe), false)
}

// run is the run at off, as far as it goes within n bytes. With whole, objects that are there count
// as data as a whole.
func (d *image) run(off, n int64, whole bool) (driver.Extent, error) {
	// librbd before 17 is wrong about ranges that begin amid an object of a clone.
	start, end := off-off%d.stripe, min(off+n, d.size.Load())
	r := C.struct_run{from: C.uint64_t(off)}
	objects := C.int(0)
	if whole {
		objects = 1
	}
	result := C.find_run(d.handle, C.uint64_t(start), C.uint64_t(end-start), objects, &r)
	if err := failed(int(result), "error finding data"); err != nil {
		return driver.Extent{}, err
	}
	begin, behind := int64(r.begin), int64(r.end)
	data := begin == off && behind > off
	switch {
	case data:
		end = min(end, behind)
	case behind > begin:
		end = min(end, begin)
	}
	return driver.Extent{
		Off: off, Len: end - off, Allocated: true, Data: data, Zero: !data, Node: driverName,
		HostOff: off,
	}, nil
}
