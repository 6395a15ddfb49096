package print

import (
	"errors"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// errnoWords is what the C library says of the error number in err.
func errnoWords(err error) string { return blockdev.ErrnoText(blockdev.Errno(err)) }

// words is what a person reads of an error of the block layer: its own sentence where it has one, without what the Device put
// around it, and error numbers in the words of the C library.
func words(err error) string {
	var failed *blockdev.Error
	for errors.As(err, &failed) {
		err = failed.Err
	}
	if errors.Is(err, blockdev.ErrReadOnly) {
		return "Block node is read-only"
	}
	text := err.Error()
	var no syscall.Errno
	if errors.As(err, &no) {
		if before, ok := strings.CutSuffix(text, no.Error()); ok {
			return before + blockdev.ErrnoText(no)
		}
	}
	return text
}
