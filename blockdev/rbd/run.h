// Where an image holds data.

#include <rbd/librbd.h>

// run is the first run of data at or behind an offset; begin and end are alike if there is none.
struct run {
	uint64_t from;       // the offset, in bytes
	uint64_t begin, end; // in bytes
};

// find_run looks in a range for the run behind r->from. With whole, objects are taken for data as a
// whole. It returns 0 or a negative error number.
int find_run(rbd_image_t image, uint64_t offset, uint64_t length, int whole, struct run *r);
