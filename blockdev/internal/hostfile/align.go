package hostfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/internal/arena"
	"github.com/blksh/blksh/blockdev/target"
)

// alignment finds the units in which a descriptor opened with O_DIRECT takes offsets and lengths,
// and memory: as the kernel says (statx, from Linux 6.1 on), else as the device says or as trying
// shows.
func alignment(fd int) (offset, memory int64) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	if err == nil && st.Mask&unix.STATX_DIOALIGN != 0 && isPowerOfTwo(st.Dio_offset_align) &&
		isPowerOfTwo(st.Dio_mem_align) {
		return int64(st.Dio_offset_align), int64(st.Dio_mem_align)
	}
	page := int64(os.Getpagesize())
	if sector, err := unix.IoctlGetInt(fd, unix.BLKSSZGET); err == nil &&
		isPowerOfTwo(uint32(sector)) {
		return int64(sector), page
	}
	return probeOffsetAlign(fd, page), page
}

func isPowerOfTwo(n uint32) bool { return n != 0 && n&(n-1) == 0 }

// probeOffsetAlign reads ever longer pieces from the start of the file until one is taken. A file
// system may refuse the size of a read only where there is data, so this is a guess where the
// kernel does not say.
func probeOffsetAlign(fd int, page int64) int64 {
	a, err := arena.New(1, int(page))
	if err != nil {
		return page
	}
	defer a.Free()
	for n := int64(512); n < page; n *= 2 {
		_, err := target.Retry(func() (int, error) { return unix.Pread(fd, a.Slot(0)[:n], 0) })
		if !errors.Is(err, unix.EINVAL) {
			return n
		}
	}
	return page
}
