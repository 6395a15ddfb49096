package format

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// Claim claims for a format what its parent asks for of the image file, and what its metadata
// needs: nobody else may write or resize, and a writable image may be written and resized at any
// time.
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

// OpenFile opens the child key, the file of an image, and claims it for what the format does with
// it before it has a parent.
func OpenFile(ctx context.Context, o *driver.Opening, key driver.Child) (driver.Node, error) {
	file, err := o.Child(ctx, key, driver.RoleFile)
	if err != nil {
		return nil, err
	}
	c := driver.Claim{Use: driver.PermRead, Share: driver.PermAll}
	return file, Claim(ctx, file, c, !o.Mode.ReadOnly)
}

// advised is an error with advice.
type advised struct {
	error
	advice string
}

var _ driver.Hinter = (*advised)(nil)

// Advise adds to an error what to do next, in whole lines.
func Advise(err error, lines string) error { return &advised{err, lines} }

// Hint is what to do next.
func (a *advised) Hint() string { return a.advice }

// Unwrap is the error without the advice.
func (a *advised) Unwrap() error { return a.error }
