//go:build rbd

package rbd

// #include "run.h"
import "C"

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

const (
	// mostAsked is how much of an image is looked at for one answer, in bytes, and mostMapped how
	// much of one with a map of its objects, which is looked at and not they.
	mostAsked  = 1 << 30
	mostMapped = 1 << 38
	// mostObjects is how many objects are asked for what they hold of it.
	mostObjects = 16
)

// Status asks twice where there is data: which objects there are is known without them where the
// image has a map of them (the feature fast-diff), and what they hold only they know.
func (d *image) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	n = min(n, d.mostAsked())
	e, err := d.run(off, n, true)
	if err != nil || !e.Data {
		return e, err
	}
	return d.run(off, min(e.Len, mostObjects*d.stripe), false)
}

func (d *image) mostAsked() int64 {
	var features, flags C.uint64_t
	if C.rbd_get_features(d.handle, &features) == 0 && C.rbd_get_flags(d.handle, &flags) == 0 &&
		features&C.RBD_FEATURE_FAST_DIFF != 0 && flags&C.RBD_FLAG_FAST_DIFF_INVALID == 0 {
		return mostMapped
	}
	return mostAsked
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
