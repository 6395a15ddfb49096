package blockdev

import (
	"context"
	"fmt"
	"syscall"
)

// Status describes what is inside the node; behind its end all is zero.
func (g *guard) Status(ctx context.Context, off, n int64) (Extent, error) {
	if err := reachable(off, n); err != nil {
		return Extent{}, err
	}
	lim := g.node.Info().Limits
	if err := checkLost(lim, off, 1); err != nil && n > 0 {
		return Extent{}, err
	}
	if off >= lim.Size {
		return Extent{Off: off, Len: n, Allocated: true, Zero: true, HostOff: -1}, nil
	}
	n = min(n, lim.Size-off)
	if n == 0 {
		return Extent{Off: off, HostOff: -1}, nil
	}
	r, err := g.tracker.enterControl(ctx)
	if err != nil {
		return Extent{}, err
	}
	defer g.tracker.end(r)
	e, err := g.statusAt(ctx, padTo(requestAlign(lim), off, n), off)
	if err != nil {
		return Extent{}, err
	}
	if skip := off - e.Off; e.HostOff >= 0 {
		e.HostOff += skip
	}
	e.Off, e.Len = off, min(e.End()-off, n)
	return e, nil
}

// statusAt is the node's extent that holds off, within the aligned range of p. A layer may tell
// runs apart that are shorter than the alignment of the one above, so the first extent of the range
// may end before off.
func (g *guard) statusAt(ctx context.Context, p padding, off int64) (Extent, error) {
	for at, end := p.off, p.off+p.n; ; {
		if err := ctx.Err(); err != nil {
			return Extent{}, context.Cause(ctx)
		}
		e, err := g.node.Status(ctx, at, end-at)
		if err != nil {
			return Extent{}, err
		}
		if e.Off != at || e.Len <= 0 || e.Len > end-at {
			return Extent{}, fmt.Errorf(
				"the driver describes %d bytes at %d by an extent of %d bytes at %d: %w",
				end-at, at, e.Len, e.Off, syscall.EIO)
		}
		if e.End() > off {
			return e, nil
		}
		at = e.End()
	}
}
