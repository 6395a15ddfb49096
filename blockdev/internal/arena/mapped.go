//go:build !race

package arena

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is how long huge pages are, and what they are aligned to, in bytes. Where theirs are
// longer the kernel takes small ones.
const hugePage = 2 << 20

// allocate maps memory, and returns the part of it that is to be used and the whole mapping.
func allocate(n int) (mem, mapped []byte, err error) {
	room := 0
	if n >= hugePage {
		room = hugePage
	}
	mapped, err = unix.Mmap(-1, 0, n+room, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil || room == 0 {
		return mapped, mapped, err
	}
	at := int(-uintptr(unsafe.Pointer(&mapped[0])) % hugePage)
	mem = mapped[at : at+n]
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // not every kernel has them
	return mem, mapped, nil
}

func release(mapped []byte) { _ = unix.Munmap(mapped) } // fails only for what was never mapped
