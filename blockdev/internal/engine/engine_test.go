package engine_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/internal/engine"
	"github.com/blksh/blksh/blockdev/internal/engine/enginetest"
)

func TestSync(t *testing.T) {
	enginetest.Run(t, func(*testing.T) engine.Port { return engine.Sync{} })
}

func TestRing(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Port {
		p, err := engine.NewRing()
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Skip("no io_uring here: ", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
}
