package nbd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// Client is an export of a server, for many goroutines at once. Offsets and lengths are in bytes.
// Requests must satisfy Limits; those that lie outside the export are refused by the server.
type Client struct {
	cfg    Config
	agreed agreement // by the first connection; the others are like it
	ctx    context.Context
	cancel context.CancelFunc
	links  links
	lean   lean
}

// errOpenTimeout is why an attempt ends whose time is over.
var errOpenTimeout error = &driver.Refusal{Text: "Connection attempt cancelled by timeout"}

// Dial connects to a server. It tries once, or for as long as Config.OpenTimeout says, however long
// the server takes to answer.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if !cfg.trusting {
		cfg.ledger = &ledger{}
	}
	until := time.Now().Add(cfg.OpenTimeout)
	if cfg.OpenTimeout > 0 {
		var done context.CancelFunc
		ctx, done = context.WithDeadlineCause(ctx, until, errOpenTimeout)
		defer done()
	}
	var why error // the server's, which says more than that time is over
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		first, err := connect(ctx, &cfg)
		if err == nil {
			return newClient(cfg, first), nil
		}
		over := time.Until(until) <= 0
		if over && errors.Is(err, context.DeadlineExceeded) { // of dialing, ahead of ctx
			err = errOpenTimeout
		}
		if err != errOpenTimeout || why == nil {
			why = err
		}
		if over || ctx.Err() != nil {
			return nil, why
		}
		if err := await(ctx, nil, pause); err != nil && err != errOpenTimeout {
			return nil, err
		}
	}
}

func newClient(cfg Config, first *conn) *Client {
	c := &Client{cfg: cfg, agreed: first.agreed}
	c.ctx, c.cancel = context.WithCancel(cfg.until())
	only := &link{client: c, conn: first}
	c.links.list, c.links.most = []*link{only}, 1
	if first.agreed.has(nbdwire.CanMultiConn) {
		c.links.most = max(1, cfg.Connections)
	}
	if c.links.most == 1 {
		c.links.single = only
	}
	return c
}

// Close takes leave of the server. Nothing may be in flight but what was given up. A connection
// that is being made is completed, if that does not take long: nbdkit 1.32 may crash when one ends
// amid the handshake. A server that owes replies may never answer, and is hardly waited for.
func (c *Client) Close() error {
	c.links.stopGrowing()
	patience := leaveTime
	if c.owed() {
		patience = briefly
	}
	giveUp := time.AfterFunc(patience, c.cancel)
	c.links.grown.Wait()
	c.lean.made.Wait()
	giveUp.Stop()
	c.cancel()
	c.lean.close()
	for _, l := range c.links.list {
		l.close()
	}
	return nil
}

// do makes one request, on another connection if the first is lost.
func (c *Client) do(ctx context.Context, r *request) error {
	l := c.link(ctx)
	for {
		conn, err := l.get(ctx)
		if err != nil {
			return err
		}
		if err = conn.start(ctx, r, false); err == nil {
			err = conn.finish(ctx, r)
		}
		if !errors.Is(err, errLost) {
			return err
		}
		if c.cfg.ReconnectDelay == 0 {
			return dead(conn.lost())
		}
		r.renew()
	}
}

// simple makes a request without data.
func (c *Client) simple(
	ctx context.Context, cmd nbdwire.Command, f nbdwire.CommandFlags, off, n int64,
) error {
	return c.make(ctx, newRequest(cmd, f, off, n))
}

// make is do for a request that is of no more use afterwards.
func (c *Client) make(ctx context.Context, r *request) error {
	err := c.do(ctx, r)
	c.done(r)
	return err
}

// done keeps r for another request, unless its reply may still come.
func (c *Client) done(r *request) {
	if !r.abandoned {
		r.release()
	}
}

// Read fills v from off.
func (c *Client) Read(ctx context.Context, v driver.Vec, off int64) error {
	return c.transfer(ctx, nbdwire.CmdRead, 0, v, off)
}

// Write writes v at off. With fua it is on stable storage when Write returns, which the export must
// offer.
func (c *Client) Write(ctx context.Context, v driver.Vec, off int64, fua bool) error {
	return c.transfer(ctx, nbdwire.CmdWrite, fuaFlag(fua), v, off)
}

func fuaFlag(fua bool) nbdwire.CommandFlags {
	if fua {
		return nbdwire.FUA
	}
	return 0
}

// ZeroFlags change what Zero does.
type ZeroFlags struct {
	FUA    bool // on stable storage when Zero returns
	NoHole bool // keep the space
	Fast   bool // fail with ENOTSUP where zeroes would have to be written; if the export can
}

// Zero makes n bytes at off read as zeroes.
func (c *Client) Zero(ctx context.Context, off, n int64, f ZeroFlags) error {
	flags := fuaFlag(f.FUA)
	if f.NoHole {
		flags |= nbdwire.NoHole
	}
	if f.Fast {
		flags |= nbdwire.FastZero
	}
	return c.simple(ctx, nbdwire.CmdWriteZeroes, flags, off, n)
}

// Trim says that n bytes at off are of no more use.
func (c *Client) Trim(ctx context.Context, off, n int64) error {
	return c.simple(ctx, nbdwire.CmdTrim, 0, off, n)
}

// Cache asks the server to have n bytes at off at hand soon.
func (c *Client) Cache(ctx context.Context, off, n int64) error {
	return c.simple(ctx, nbdwire.CmdCache, 0, off, n)
}

// Flush puts all writes that were answered, on whichever connection, on stable storage.
func (c *Client) Flush(ctx context.Context) error {
	return c.simple(ctx, nbdwire.CmdFlush, 0, 0, 0)
}

const (
	// pieceSize is Config.Piece where nobody says it.
	pieceSize = 1 << 20
	// ahead is how many pieces of one transfer are in flight.
	ahead = 8
)

// transfer reads or writes v, in pieces that are in flight together.
func (c *Client) transfer(
	ctx context.Context, cmd nbdwire.Command, f nbdwire.CommandFlags, v driver.Vec, off int64,
) error {
	piece := min(cmp.Or(c.cfg.Piece, pieceSize), c.agreed.limits().MaxTransfer)
	if n := v.Len(); n <= piece {
		r := newRequest(cmd, f, off, n)
		r.data = v
		return c.make(ctx, r)
	}
	t := transfer{client: c, ctx: ctx, pieces: make([]piecePlace, 0, ahead)}
	for at, part := range v.Pieces(piece) {
		r := newRequest(cmd, f, off+at, part.Len())
		r.data = part
		if t.add(r); t.err != nil {
			break
		}
	}
	for len(t.pieces) > 0 {
		t.reap()
	}
	return t.err
}

// transfer is a long read or write under way.
type transfer struct {
	client *Client
	ctx    context.Context
	pieces []piecePlace // in flight, in the order in which they were sent
	err    error        // the first
}

type piecePlace struct {
	r    *request
	conn *conn // nil if it was lost before it was sent
}

// add sends a piece, and waits for the oldest where too many are under way.
func (t *transfer) add(r *request) {
	if len(t.pieces) == ahead {
		t.reap()
	}
	for t.err == nil {
		conn, err := t.client.link(t.ctx).get(t.ctx)
		if err == nil {
			err = conn.start(t.ctx, r, len(t.pieces) > 0)
		}
		switch {
		case err == nil:
			t.pieces = append(t.pieces, piecePlace{r, conn})
			return
		case errors.Is(err, errBusy):
			t.reap()
		case errors.Is(err, errLost):
			t.pieces = append(t.pieces, piecePlace{r, nil})
			return
		default:
			t.err = err
		}
	}
}

// reap waits for the oldest piece. One whose connection was lost is made anew.
func (t *transfer) reap() {
	p := t.pieces[0]
	t.pieces = t.pieces[:copy(t.pieces, t.pieces[1:])]
	err := errLost
	if p.conn != nil {
		err = p.conn.finish(t.ctx, p.r)
	}
	if errors.Is(err, errLost) {
		if t.client.cfg.ReconnectDelay > 0 {
			p.r.renew()
			err = t.client.do(t.ctx, p.r)
		} else if p.conn != nil {
			err = dead(p.conn.lost())
		} else {
			err = dead(errLost)
		}
	}
	t.client.done(p.r)
	if t.err == nil {
		t.err = err
	}
}

// BlockStatus describes what begins at off, up to at most n bytes or beyond them: extents of
// Config.Context, one after the other, at least one. ENOTSUP if the server does not have that
// context.
func (c *Client) BlockStatus(ctx context.Context, off, n int64) ([]Extent, error) {
	return c.StatusIn(ctx, c.cfg.context(), off, n)
}

// Bitmaps are the names of the dirty bitmaps that were agreed on.
func (c *Client) Bitmaps() []string {
	var names []string
	for _, x := range c.agreed.contexts {
		if name, ok := strings.CutPrefix(x.Name, nbdwire.ContextDirtyBitmap); ok {
			names = append(names, name)
		}
	}
	return names
}

// StatusIn is BlockStatus for any meta context that was agreed on.
func (c *Client) StatusIn(ctx context.Context, name string, off, n int64) ([]Extent, error) {
	if _, ok := c.agreed.named(name); !ok {
		return nil, fmt.Errorf("there is no meta context %s: %w", name, syscall.ENOTSUP)
	}
	var got []Extent
	r := newRequest(nbdwire.CmdBlockStatus, 0, off, n)
	r.context = name
	r.status = func(list []nbdwire.Extent) error {
		if got != nil {
			return fmt.Errorf("extents of context %s again", name)
		}
		got = list
		return nil
	}
	err := c.make(ctx, r)
	if err == nil && len(got) == 0 {
		err = fmt.Errorf("the server described nothing of %d bytes at %d: %w", n, off, syscall.EIO)
	}
	return got, err
}
