package print

import (
	"errors"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// errnoWords is what the C library says of the error number in err.
func errnoWords(err error) string { return driver.ErrnoText(blockdev.Errno(err)) }

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
	text := errorText(err)
	var no syscall.Errno
	if errors.As(err, &no) {
		if before, ok := strings.CutSuffix(text, no.Error()); ok {
			return before + driver.ErrnoText(no)
		}
	}
	return text
}

// errorText is what err says, a line for each of several that were joined. Names from images are part of it.
func errorText(err error) string {
	text := err.Error()
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var lines, shown []string
		for _, e := range several.Unwrap() {
			lines, shown = append(lines, e.Error()), append(shown, errorText(e))
		}
		if strings.Join(lines, "\n") == text {
			return strings.Join(shown, "\n")
		}
	}
	return visibleControls(text)
}
