//go:build rbd

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

struct batch {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	int wanted;  // whoever waits wants so many answers; 0: nobody waits
	int running; // requests without an answer
	int ready;   // answers that nobody has collected
	int *numbers; // of the requests with these answers, the oldest first
	struct request requests[];
};

struct batch *new_batch(int room)
{
	struct batch *b = calloc(1, sizeof *b + room * sizeof *b->requests);
	if (!b)
		return NULL;
	b->numbers = calloc(room, sizeof *b->numbers);
	if (!b->numbers) {
		free(b);
		return NULL;
	}
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->answered, NULL);
	for (int i = 0; i < room; i++) {
		b->requests[i].batch = b;
		b->requests[i].number = i;
	}
	return b;
}

void free_batch(struct batch *b)
{
	pthread_cond_destroy(&b->answered);
	pthread_mutex_destroy(&b->lock);
	free(b->numbers);
	free(b);
}

struct request *batch_request(struct batch *b, int i) { return &b->requests[i]; }

static void answer(struct request *r, ssize_t result)
{
	struct batch *b = r->batch;
	pthread_mutex_lock(&b->lock);
	r->result = result;
	b->numbers[b->ready++] = r->number;
	b->running--;
	if (b->wanted && (b->ready >= b->wanted || !b->running))
		pthread_cond_signal(&b->answered);
	pthread_mutex_unlock(&b->lock);
}

// completed is called by a thread of librbd.
static void completed(rbd_completion_t c, void *arg)
{
	ssize_t result = rbd_aio_get_return_value(c);
	rbd_aio_release(c);
	answer(arg, result);
}

static int start(rbd_image_t image, struct request *r, rbd_completion_t c)
{
	switch (r->op) {
	case OP_READ:
		return rbd_aio_readv(image, r->pieces, r->count, r->offset, c);
	case OP_WRITE:
		return rbd_aio_writev(image, r->pieces, r->count, r->offset, c);
	case OP_ZERO:
		return rbd_aio_write_zeroes(image, r->offset, r->length, c, r->flags, 0);
	case OP_DISCARD:
		return rbd_aio_discard(image, r->offset, r->length, c);
	case OP_FLUSH:
		return rbd_aio_flush(image, c);
	}
	return -ENOTSUP;
}

void batch_start(struct batch *b, rbd_image_t image, const int *numbers, int count)
{
	pthread_mutex_lock(&b->lock);
	b->running += count;
	pthread_mutex_unlock(&b->lock);
	for (int i = 0; i < count; i++) {
		struct request *r = &b->requests[numbers[i]];
		rbd_completion_t c;
		int e = rbd_aio_create_completion(r, completed, &c);
		if (e < 0) {
			answer(r, e);
			continue;
		}
		e = start(image, r, c);
		if (e < 0) { // nobody calls completed
			rbd_aio_release(c);
			answer(r, e);
		}
	}
}

int batch_collect(struct batch *b, int least, int *numbers, int most)
{
	pthread_mutex_lock(&b->lock);
	while (b->ready < least && b->running) {
		b->wanted = least;
		pthread_cond_wait(&b->answered, &b->lock);
	}
	b->wanted = 0;
	int n = b->ready < most ? b->ready : most;
	memcpy(numbers, b->numbers, n * sizeof *numbers);
	b->ready -= n;
	memmove(b->numbers, b->numbers + n, b->ready * sizeof *numbers);
	pthread_mutex_unlock(&b->lock);
	return n;
}
