package main

import (
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct of that name.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const sigsetSize = 8 // bytes

// raise sends the process a signal as if it had no handlers but the default ones. The Go runtime has handlers of its own, which would
// print stacks or ignore the signal where a C program dies. A signal that is ignored stays so.
func raise(number int) {
	if signal.Ignored(syscall.Signal(number)) {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before sigaction
	var none sigaction
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&none)), uintptr(unsafe.Pointer(&before)), sigsetSize, 0, 0)
	var set unix.Sigset_t
	set.Val[0] = 1 << (number - 1)
	_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), syscall.Signal(number))
	// Still there: the default of this signal is to do nothing, or the process was stopped and goes on.
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&before)), 0, sigsetSize, 0, 0)
}
