package print

import (
	"errors"
	"reflect"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// cause is what JSON says about the error that an event carries.
type cause struct {
	Errno  string  `json:"errno,omitempty" doc:"name of the error number, such as EIO"`
	Off    *int64  `json:"offset,omitempty" unit:"bytes" doc:"of the request that failed"`
	Len    *int64  `json:"length,omitempty" unit:"bytes" doc:"of the request that failed"`
	Holder *holder `json:"holder,omitempty" doc:"the process that holds the image: pid and command"`
}

type holder struct {
	Command string `json:"command"`
	PID     int    `json:"pid"`
}

// causeIn is the cause of the error in v, which may be nil.
func causeIn(v reflect.Value) reflect.Value {
	err, _ := v.Interface().(error)
	told := cause{Errno: errnoName(err), Holder: holderOf(err)}
	if at := requestOf(err); at != nil {
		told.Off, told.Len = &at.Off, &at.Len
	}
	return reflect.ValueOf(told)
}

// requestOf is the request that failed, nil if the error knows none.
func requestOf(err error) *blockdev.Error {
	var at *blockdev.Error
	if !errors.As(err, &at) || at.Op == "flush" || at.Op == "check" {
		return nil
	}
	return at
}

// errnoName is the name of the error number in err, "" if there is none.
func errnoName(err error) string {
	if errors.Is(err, blockdev.ErrReadOnly) {
		return "EPERM"
	}
	var no syscall.Errno
	// what lies outside of an image is no failure of the disk, though QEMU calls it EIO
	if errors.As(err, new(*blockdev.RangeError)) || !errors.As(err, &no) {
		return ""
	}
	if name := unix.ErrnoName(no); name != "" {
		return name
	}
	return strconv.Itoa(int(no))
}

// holderOf is who holds what the error is about, nil if that is not known.
func holderOf(err error) *holder {
	var held driver.Held
	if !errors.As(err, &held) {
		return nil
	}
	p, err := held.Holder()
	if err != nil {
		return nil
	}
	return &holder{p.Command, p.PID}
}
