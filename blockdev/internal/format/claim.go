package format

import (
	"context"
	"fmt"
	"syscall"

	"github.com/blksh/blksh/blockdev"
)

// Claim claims for a format what its parent asks for of the image file, and what its metadata needs: nobody
// else may write or resize, and a writable image may be written and resized at any time.
func Claim(ctx context.Context, file blockdev.Node, c blockdev.Claim, writable bool) error {
	c.Use |= blockdev.PermRead
	if writable {
		c.Use |= blockdev.PermWrite | blockdev.PermResize
	} else {
		c.Use &^= blockdev.PermWrite | blockdev.PermResize
	}
	c.Share &^= blockdev.PermWrite | blockdev.PermResize
	return blockdev.ClaimOn(ctx, file, c)
}

// Refuse is an error in words of the format's own, with the number behind them.
func Refuse(no syscall.Errno, text string, args ...any) error {
	return &blockdev.Refusal{Text: fmt.Sprintf(text, args...), Err: no}
}
