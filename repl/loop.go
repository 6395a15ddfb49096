package repl

import (
	"context"
	"errors"
	"io"
)

// Runner runs lines.
type Runner interface {
	// Run runs one line and shows what comes of it. The error tells whether it failed.
	Run(ctx context.Context, line Line) error
	// Fail shows the failure of something that is no line.
	Fail(err error)
	// Ended says that no more lines are wanted.
	Ended() bool
}

// Run runs lines until there are none, the runner wants no more, or ctx ends. A line that fails
// takes with it the rest of the scripts that it stands in, unless keepGoing. A script that cannot
// be read is a failure and no end; the error is that of the source below all scripts.
func Run(ctx context.Context, lines *Stack, r Runner, keepGoing bool) error {
	for !r.Ended() {
		line, err := lines.Next(ctx)
		var script *ScriptError
		switch {
		case err == nil:
			if r.Run(ctx, line) != nil && !keepGoing {
				lines.Abandon()
			}
		case errors.As(err, &script):
			r.Fail(err)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
	return nil
}
