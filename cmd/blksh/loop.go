package main

import (
	"context"
	"errors"
	"io"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// loop runs the lines of a source until it ends or the session does.
func loop(ctx context.Context, s *session.Session, src source) {
	for !s.Ended() {
		line, err := src.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.Fail(event.Fail(event.Report{Err: err}))
			}
			return
		}
		_ = s.Run(ctx, line) // shown, and counted in the status
	}
}
