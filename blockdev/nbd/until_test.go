package nbd

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// TestUntil: when servers are waited for no longer, a request that no server answers fails, as does
// one that comes later, and so it is where that was so from the start.
func TestUntil(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, late := range []bool{false, true} {
		ours, theirs := net.Pipe()
		until, end := context.WithCancelCause(context.Background())
		defer end(nil)
		if late {
			end(gone)
		}
		go func() {
			var b [28]byte // a request of the plain form
			_, _ = io.ReadFull(theirs, b[:])
			end(gone)
		}()
		cfg := Config{Until: until}
		a := agreement{export: nbdwire.Export{Size: 1 << 20}}
		c := newClient(cfg, newConn(genericStream{ours}, a, &cfg))
		for range 2 {
			err := c.Read(context.Background(), driver.Vec{make([]byte, 512)}, 0)
			if err == nil || err.Error() != "the connection to the server is lost: gone" {
				t.Errorf("%t: %v", late, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_ = theirs.Close()
	}
}
