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

// words is what a person reads of an error of the block layer: its own sentence where it has one,
// without what the Device put around it, and error numbers in the words of the C library.
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

// errorText is what err says, a line for each of several that were joined. Names from images are
// part of it.
func errorText(err error) string {
	if shown, ok := eachLine(err, errorText); ok {
		return shown
	}
	return visibleControls(err.Error())
}

// eachLine is the text of errors that were joined, each as shown says it.
func eachLine(err error, shown func(error) string) (string, bool) {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return "", false
	}
	var lines, said []string
	for _, e := range several.Unwrap() {
		lines, said = append(lines, e.Error()), append(said, shown(e))
	}
	return strings.Join(said, "\n"), strings.Join(lines, "\n") == err.Error()
}

// reworded is what err says, with other words for an error in it, if say has some. What wraps an
// error ends with its text.
func reworded(err error, say func(error) (string, bool)) string {
	if said, ok := say(err); ok {
		return said
	}
	if said, ok := eachLine(err, func(e error) string { return reworded(e, say) }); ok {
		return said
	}
	text, inner := err.Error(), errors.Unwrap(err)
	if inner == nil {
		return text
	}
	if before, ok := strings.CutSuffix(text, inner.Error()); ok {
		return before + reworded(inner, say)
	}
	return text
}
