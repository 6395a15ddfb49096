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
	// End is called behind the last line, and tells what is missing there as Run does.
	End() error
	// Ended says that no more lines are wanted.
	Ended() bool
}

// Run runs lines until there are none, the runner wants no more, or ctx ends. The error is that of
// the source; lines that fail end nothing by themselves.
func Run(ctx context.Context, lines Source, r Runner) error {
	_, err := run(ctx, lines, r, false)
	return err
}

// RunScript runs the lines of a script up to the first that fails. failed is how that one did, err
// the error of the source.
func RunScript(ctx context.Context, script Source, r Runner) (failed, err error) {
	return run(ctx, script, r, true)
}

func run(ctx context.Context, lines Source, r Runner, stops bool) (failed, err error) {
	for !r.Ended() {
		line, err := lines.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return r.End(), nil
		case err != nil:
			return nil, err
		}
		if failed = r.Run(ctx, line); failed != nil && stops {
			return failed, nil
		}
	}
	return nil, nil
}
