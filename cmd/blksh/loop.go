package main

import (
	"context"
	"errors"
	"io"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

// loop runs the lines of a source until it ends or the session does. While it waits for a line, requests in the background complete
// and are shown.
func loop(ctx context.Context, s *session.Session, src source) {
	for !s.Ended() {
		line, err := next(s, src)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.Fail(event.Fail(event.Report{Err: err}))
			}
			return
		}
		_ = s.Run(ctx, line) // shown, and counted in the status
	}
}

func next(s *session.Session, src source) (line string, err error) {
	if !s.Busy() {
		return src.Next()
	}
	ready := make(chan struct{})
	go func() {
		line, err = src.Next()
		close(ready)
	}()
	s.Await(ready)
	return line, err
}
