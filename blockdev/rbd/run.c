//go:build rbd

#include <errno.h>

#include "run.h"

// enough ends the search; nothing of librbd's is called so.
enum { enough = -EXFULL };

// found is called for each piece of data, in order.
static int found(uint64_t offset, size_t length, int exists, void *arg)
{
	struct run *r = arg;
	uint64_t end = offset + length;
	if (!exists || end <= r->from)
		return 0;
	if (r->begin == r->end) {
		r->begin = offset > r->from ? offset : r->from;
		r->end = end;
		return r->begin > r->from ? enough : 0;
	}
	if (offset != r->end)
		return enough;
	r->end = end;
	return 0;
}

int find_run(rbd_image_t image, uint64_t offset, uint64_t length, int whole, struct run *r)
{
	r->begin = r->end = 0;
	int result = rbd_diff_iterate2(image, NULL, offset, length, 1, whole, found, r);
	return result == enough ? 0 : result;
}
