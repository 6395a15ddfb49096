package blockdevtest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/blksh/blksh/blockdev/driver"
)

// Request is what reaches a faulty node.
type Request struct {
	Kind     string // read, write, zero, discard, status, truncate, flush or close
	Off, Len int64  // for truncate Off is the new length
}

// FaultyName is the name of the driver that Faulty makes. Its option "file" is the node that it
// filters.
const FaultyName = "test-faulty"

type faultyConfig struct {
	File driver.Child `option:"file" help:"what is filtered"`
}

// Faulty is the driver of a filter that asks fail about each request and fails it with the error
// that it gets. Requests that pass, with nil, go on to the node below. An error made by Torn lets a
// part of a write through before it fails. fail may be called from many goroutines at once.
func Faulty(fail func(Request) error) driver.Driver {
	return driver.Driver{
		Name:     FaultyName,
		Doc:      "fails the requests that a test chooses",
		Kind:     driver.FilterKind,
		Resolves: driver.OverFormat,
		Config:   faultyConfig{},
		Open: func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
			next, err := o.Child(ctx, o.Config.(*faultyConfig).File, driver.RoleFiltered)
			if err != nil {
				return nil, err
			}
			return &faulty{driver.Filter{Next: next}, fail}, nil
		},
	}
}

// Torn fails a write after its first n bytes.
func Torn(n int64, err error) error { return &torn{n, err} }

type torn struct {
	n   int64
	err error
}

func (t *torn) Error() string { return t.err.Error() }

func (t *torn) Unwrap() error { return t.err }

// Fault fails one request of a run, so that a test can go through all places where something may
// fail: it repeats the run with At from 0 on until At is no longer below Seen.
type Fault struct {
	At  int64 // number of the request to fail, among those that count
	Err error
	// Kinds count; if there are none, all that change something or make it durable.
	Kinds []string
	// Stays: all later requests that count fail as well.
	Stays bool

	seen atomic.Int64
}

// Fail is for Faulty.
func (f *Fault) Fail(r Request) error {
	kinds := f.Kinds
	if kinds == nil {
		kinds = []string{"write", "zero", "discard", "truncate", "flush"}
	}
	if !slices.Contains(kinds, r.Kind) {
		return nil
	}
	if at := f.seen.Add(1) - 1; at == f.At || f.Stays && at > f.At {
		return f.Err
	}
	return nil
}

// Seen is how many requests that count have come.
func (f *Fault) Seen() int64 { return f.seen.Load() }

// faulty is the open node.
type faulty struct {
	driver.Filter
	fail func(Request) error
}

var _ driver.Node = (*faulty)(nil)

func (f *faulty) Info() driver.Info {
	i := f.Next.Info()
	i.Driver = FaultyName
	return i
}

func (f *faulty) ReadVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.fail(Request{"read", off, v.Len()}); err != nil {
		return err
	}
	return f.Next.ReadVec(ctx, v, off, fl)
}

func (f *faulty) WriteVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	err := f.fail(Request{"write", off, v.Len()})
	var part *torn
	if errors.As(err, &part) {
		return errors.Join(f.Next.WriteVec(ctx, v.Slice(0, min(part.n, v.Len())), off, fl),
			part.err)
	}
	if err != nil {
		return err
	}
	return f.Next.WriteVec(ctx, v, off, fl)
}

func (f *faulty) Zero(ctx context.Context, off, n int64, fl driver.Flags) error {
	if err := f.fail(Request{"zero", off, n}); err != nil {
		return err
	}
	return f.Next.Zero(ctx, off, n, fl)
}

func (f *faulty) Discard(ctx context.Context, off, n int64, fl driver.Flags) error {
	if err := f.fail(Request{"discard", off, n}); err != nil {
		return err
	}
	return f.Next.Discard(ctx, off, n, fl)
}

func (f *faulty) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	if err := f.fail(Request{"status", off, n}); err != nil {
		return driver.Extent{}, err
	}
	return f.Next.Status(ctx, off, n)
}

func (f *faulty) Truncate(ctx context.Context, size int64, p driver.Prealloc,
	fl driver.Flags,
) error {
	if err := f.fail(Request{"truncate", size, 0}); err != nil {
		return err
	}
	return f.Next.Truncate(ctx, size, p, fl)
}

func (f *faulty) Flush(ctx context.Context) error {
	if err := f.fail(Request{Kind: "flush"}); err != nil {
		return err
	}
	return f.Next.Flush(ctx)
}

func (f *faulty) Close() error { return f.fail(Request{Kind: "close"}) }
