package format

import (
	"context"
	"fmt"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Claim claims for a format what its parent asks for of the image file, and what its metadata needs: nobody
// else may write or resize, and a writable image may be written and resized at any time.
func Claim(ctx context.Context, file driver.Node, c driver.Claim, writable bool) error {
	c.Use |= driver.PermRead
	if writable {
		c.Use |= driver.PermWrite | driver.PermResize
	} else {
		c.Use &^= driver.PermWrite | driver.PermResize
	}
	c.Share &^= driver.PermWrite | driver.PermResize
	return driver.ClaimOn(ctx, file, c)
}

// Refuse is an error in words of the format's own, with the number behind them.
func Refuse(no syscall.Errno, text string, args ...any) error {
	return &driver.Refusal{Text: fmt.Sprintf(text, args...), Err: no}
}
