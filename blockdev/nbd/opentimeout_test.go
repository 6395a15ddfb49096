package nbd

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// TestOpenTimeout has servers that stop talking at some step. Opening ends when its time is over,
// and says what the server did wrong if there is more to say than that.
func TestOpenTimeout(t *testing.T) {
	t.Parallel()
	const hungUp = "Failed to read initial magic: Unexpected end-of-file before all data were read"
	silent := func(net.Conn) {}
	greets := func(c net.Conn) { _, _, _ = nbdwire.GreetClient(c) }
	leaves := func(c net.Conn) { _ = c.Close() }
	for name, x := range map[string]struct {
		serve []func(net.Conn) // one connection after the other; the last for all others too
		want  string
	}{
		"says nothing":                   {[]func(net.Conn){silent}, errOpenTimeout.Error()},
		"only greets":                    {[]func(net.Conn){greets}, errOpenTimeout.Error()},
		"hangs up":                       {[]func(net.Conn){leaves}, hungUp},
		"hangs up and then says nothing": {[]func(net.Conn){leaves, silent}, hungUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sock")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for i := 0; ; i++ {
					c, err := l.Accept()
					if err != nil {
						return
					}
					t.Cleanup(func() { _ = c.Close() })
					x.serve[min(i, len(x.serve)-1)](c)
				}
			}()
			c, err := Dial(context.Background(), Config{
				Address: Address{Network: "unix", Path: path}, OpenTimeout: 200 * time.Millisecond,
			})
			if err == nil {
				_ = c.Close()
			}
			if err == nil || err.Error() != x.want {
				t.Errorf("%v, expected %s", err, x.want)
			}
		})
	}
}

// TestOpenTimeoutEnds gives up the opening before its time is over.
func TestOpenTimeoutEnds(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			stop()
			<-t.Context().Done()
		}
	}()
	_, err = Dial(ctx, Config{
		Address: Address{Network: "unix", Path: path}, OpenTimeout: time.Hour,
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestOpenTimeoutOfNobody: where no server ever came, that is told, however the last attempt ended.
func TestOpenTimeoutOfNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sock")
	var all sync.WaitGroup
	for range 50 { // in some the time is over just before the second attempt begins
		all.Go(func() {
			_, err := Dial(context.Background(), Config{
				Address: Address{Network: "unix", Path: path}, OpenTimeout: firstPause,
			})
			if !errors.Is(err, syscall.ENOENT) {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
