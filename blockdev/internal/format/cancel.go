package format

import (
	"context"
	"time"
)

// Uncancelled is ctx without its end: metadata that began to change is changed to the end.
// Interrupted still sees the end.
func Uncancelled(ctx context.Context) context.Context {
	if ctx.Done() == nil {
		return ctx
	}
	return uncancelled{ctx}
}

// uncancelled is a context that does not end when the one in it does.
type uncancelled struct{ context.Context }

func (uncancelled) Done() <-chan struct{}       { return nil }
func (uncancelled) Err() error                  { return nil }
func (uncancelled) Deadline() (time.Time, bool) { return time.Time{}, false }

// Caller is the context of the request that ctx was made uncancelled for.
func Caller(ctx context.Context) context.Context {
	if u, ok := ctx.(uncancelled); ok {
		return u.Context
	}
	return ctx
}

// Interrupted is why the request of ctx is to end early, nil if it is not. Loops over tables ask it
// where what they have done is whole, be their context uncancelled or not.
func Interrupted(ctx context.Context) error {
	if ctx = Caller(ctx); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
