package file

import (
	"context"
	"os"
	"strings"

	"github.com/blksh/blksh/blockdev"
)

// create makes an empty file where there is none. One that is there is left alone: it may be in use, which shows only once its locks
// are asked for.
func create(_ context.Context, c *blockdev.Creating) error {
	f, err := os.OpenFile(strings.TrimPrefix(c.Name, "file:"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return &blockdev.Refusal{Text: "Could not create '" + c.Name + "': " + blockdev.ErrnoText(blockdev.Errno(err)), Err: err}
	}
	return f.Close()
}
