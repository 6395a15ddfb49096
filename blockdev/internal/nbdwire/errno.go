package nbdwire

import "syscall"

// The error numbers that may stand on the wire, whatever the machine calls them.
const (
	codePerm       = 1
	codeIO         = 5
	codeNoMem      = 12
	codeInvalid    = 22
	codeNoSpace    = 28
	codeOverflow   = 75
	codeNotSup     = 95
	codeShutdown   = 108
	errnoOfUnknown = syscall.EINVAL
)

// Errno is the error number of the machine for one on the wire, 0 for 0. One that the specification
// does not name counts as EINVAL.
func Errno(code uint32) syscall.Errno {
	switch code {
	case 0:
		return 0
	case codePerm:
		return syscall.EPERM
	case codeIO:
		return syscall.EIO
	case codeNoMem:
		return syscall.ENOMEM
	case codeNoSpace:
		return syscall.ENOSPC
	case codeOverflow:
		return syscall.EOVERFLOW
	case codeNotSup:
		return syscall.ENOTSUP
	case codeShutdown:
		return syscall.ESHUTDOWN
	}
	return errnoOfUnknown
}

// Code is the number on the wire for an error number of the machine, 0 for 0. What has none of its
// own counts as EIO: the client did nothing wrong.
func Code(no syscall.Errno) uint32 {
	switch no {
	case 0:
		return 0
	case syscall.EPERM, syscall.EROFS, syscall.EACCES:
		return codePerm
	case syscall.ENOMEM:
		return codeNoMem
	case syscall.EINVAL:
		return codeInvalid
	case syscall.ENOSPC, syscall.EFBIG, syscall.EDQUOT:
		return codeNoSpace
	case syscall.EOVERFLOW:
		return codeOverflow
	case syscall.ENOTSUP, syscall.ENOSYS:
		return codeNotSup
	case syscall.ESHUTDOWN:
		return codeShutdown
	}
	return codeIO
}

// What the errors of the haggling are to programs.
const (
	errPerm     = syscall.EACCES
	errNoExport = syscall.ENOENT
)
