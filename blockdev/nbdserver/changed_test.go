package nbdserver_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// TestChanged loses a server and finds another export in its place: one of another length, and one
// that nobody may write to. Neither is used. When the first is back, the client goes on.
func TestChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sock")
	start := func(size int64, readOnly bool) (stop func()) {
		disk := open(t, image(t, size), blockdev.Mode{})
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		s := &nbdserver.Server{Exports: []nbdserver.Export{{Disk: disk, ReadOnly: readOnly}}}
		ended := make(chan error)
		go func() { ended <- s.Serve(ctx, l) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	stop := start(1<<20, false)
	client, err := nbd.Dial(context.Background(), nbd.Config{
		Address:        nbd.Address{Network: "unix", Path: path},
		ReconnectDelay: time.Second / 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read := func() error {
		return client.Read(context.Background(), driver.Vec{make([]byte, 512)}, 0)
	}
	// until reads until the answer is as it should be. The client tries to connect now and then.
	until := func(text string) {
		t.Helper()
		for tick := time.Tick(10 * time.Millisecond); ; <-tick {
			err := read()
			if text == "" && err == nil || text != "" && err != nil &&
				strings.Contains(err.Error(), text) {
				return
			}
			if text != "" && err == nil {
				t.Fatal("another export is read")
			}
		}
	}
	until("")
	stop()
	stop = start(1<<20+512, false)
	until("the export is 1049088 bytes long, not 1048576")
	stop()
	stop = start(1<<20, true)
	until("the export can no longer do")
	stop()
	stop = start(1<<20, false)
	until("")
	stop()
}
