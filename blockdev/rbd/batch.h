// Requests to librbd in batches: started together, collected as they are answered.

#include <rbd/librbd.h>
#include <sys/uio.h>

// The operations are those of driver.Op.
enum op { OP_READ, OP_WRITE, OP_ZERO, OP_DISCARD, OP_FLUSH };

// request is what one caller asks for, and the answer.
struct request {
	struct batch *batch;
	const struct iovec *pieces; // of memory, for OP_READ and OP_WRITE
	int count;                  // of pieces
	enum op op;
	int flags;       // RBD_WRITE_ZEROES_FLAG_*, for OP_ZERO
	uint64_t offset; // in bytes
	uint64_t length; // in bytes
	int number;      // in its batch
	ssize_t result;  // bytes read, or 0, or a negative error number
};

// new_batch makes room for a number of requests; NULL if there is no memory.
struct batch *new_batch(int room);

// free_batch may be called when all requests have been collected.
void free_batch(struct batch *b);

// batch_request is request i, to be filled in.
struct request *batch_request(struct batch *b, int i);

// batch_start starts the requests with these numbers. One that cannot be started is answered.
void batch_start(struct batch *b, rbd_image_t image, const int *numbers, int count);

// batch_collect waits until at least least requests are answered, or all that were started, puts
// the numbers of up to most of them into numbers and returns how many.
int batch_collect(struct batch *b, int least, int *numbers, int most);
