package main

import (
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

// What the kernel does at a signal that has no handler.
const (
	byDefault uintptr = iota
	ignored
)

// act sets what the kernel does at a signal, behind the back of the Go runtime, and returns what it
// did before. One that is ignored stays so.
func act(number syscall.Signal, handler uintptr) (before sigaction) {
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), 0, uintptr(unsafe.Pointer(&before)),
		sigsetSize, 0, 0)
	if before.handler != ignored {
		after := sigaction{handler: handler}
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&after)), 0,
			sigsetSize, 0, 0)
	}
	return before
}

// raise sends the process a signal as if it had no handlers but the default ones. The Go runtime
// has handlers of its own, which would print stacks or ignore the signal where a C program dies. A
// signal that is ignored stays so.
func raise(number int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := act(syscall.Signal(number), byDefault)
	var set unix.Sigset_t
	set.Val[0] = 1 << (number - 1)
	_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), syscall.Signal(number))
	// Still there: the default of this signal is to do nothing, or the process was stopped and goes
	// on.
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&before)), 0,
		sigsetSize, 0, 0)
}
