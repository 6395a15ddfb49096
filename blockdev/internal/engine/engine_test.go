package engine_test

import (
	"testing"

	"github.com/blksh/blksh/blockdev/internal/engine"
	"github.com/blksh/blksh/blockdev/internal/engine/enginetest"
)

func TestSync(t *testing.T) {
	enginetest.Run(t, func(*testing.T) engine.Port { return engine.Sync{} })
}
