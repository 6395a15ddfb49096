// Package blkdebug is a filter that makes things go wrong on purpose: it injects errors, narrows
// what the node below seems capable of, and holds requests at named steps. Tests of the layers
// above are written with it.
//
// Rules tie actions to events, the named steps that formats and the generic layer report (see
// driver.Event). When an event occurs, the rules for it whose state fits become active: an
// inject-error rule then fails the requests of its kind, at its sector, until another event
// activates others; a set-state rule changes the state that rules ask for, so that a sequence of
// events can be told apart. Rules come from options and from a file of sections:
//
//	[inject-error]
//	event = "l2_update"
//	errno = "28"
//	once = "on"
//
// Breakpoints are set while the image is in use. A request that reaches one stands still until it
// is told to go on, and the breakpoint is spent. See blockdev.Breakpointer.
//
// Names, defaults and messages are those of QEMU 7.2, measured with qemu-io 7.2.22.
package blkdebug

import (
	"cmp"
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// Driver is the filter. Its file names are blkdebug:CONFIG:IMAGE, where CONFIG may be empty.
var Driver = driver.Driver{
	Name:      "blkdebug",
	Doc:       "injects errors, narrows limits and holds requests, for tests",
	Kind:      driver.FilterKind,
	Config:    config{},
	Schemes:   []string{"blkdebug"},
	ParseName: parseName,
	Open:      open,
}

type config struct {
	Rules        *string      `option:"config" help:"file with rules"`
	Image        driver.Child `option:"image" help:"what is filtered"`
	ImageName    *string      `option:"x-image" help:"file name of what is filtered"`
	InjectError  driver.List  `option:"inject-error" help:"rules that fail requests: event, state, iotype, errno, sector, once, immediately"`
	SetState     driver.List  `option:"set-state" help:"rules that change the state: event, state, new_state"`
	Align        driver.Bytes `option:"align" default:"0" help:"alignment of requests in bytes, a power of two"`
	MaxTransfer  driver.Bytes `option:"max-transfer" default:"0" help:"longest read or write in bytes"`
	OptWriteZero driver.Bytes `option:"opt-write-zero" default:"0" help:"unit of zeroing in bytes"`
	MaxWriteZero driver.Bytes `option:"max-write-zero" default:"0" help:"longest zeroing in bytes"`
	OptDiscard   driver.Bytes `option:"opt-discard" default:"0" help:"unit of discarding in bytes"`
	MaxDiscard   driver.Bytes `option:"max-discard" default:"0" help:"longest discard in bytes"`
	TakePerms    driver.List  `option:"take-child-perms" help:"permissions to take on the image besides those asked for"`
	UnsharePerms driver.List  `option:"unshare-child-perms" help:"permissions on the image not to share"`
}

// parseName takes blkdebug:CONFIG:IMAGE apart. A name without the prefix is that of the image.
func parseName(name string, o *driver.Options) error {
	image := name
	if rest, ok := strings.CutPrefix(name, "blkdebug:"); ok {
		var config string
		if config, image, ok = strings.Cut(rest, ":"); !ok {
			return driver.Refuse("blkdebug requires both config file and image path")
		}
		if config != "" {
			o.Set("config", config)
		}
	}
	o.Set("x-image", image)
	return nil
}

// filter is the open node.
type filter struct {
	driver.Filter
	breakpoints
	rules         *rules
	limits        driver.Limits // those asked for; zero where nothing was
	take, unshare driver.Perm
}

var _ interface {
	driver.Node
	driver.EventSink
	driver.Breakpointer
	driver.Claimer
} = (*filter)(nil)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	f := &filter{breakpoints: newBreakpoints(o.Notify)}
	c := o.Config.(*config)
	var err error
	if err := checkConfig(o, c); err != nil {
		return nil, err
	}
	if f.rules, err = readRules(ctx, c); err != nil {
		return nil, err
	}
	if f.take, err = parsePerms(&c.TakePerms.Options); err != nil {
		return nil, err
	}
	if f.unshare, err = parsePerms(&c.UnsharePerms.Options); err != nil {
		return nil, err
	}
	name := ""
	if c.ImageName != nil {
		if name = *c.ImageName; name == "" {
			return nil, &driver.NoFileNameError{Driver: "file"}
		}
	}
	if f.Next, err = o.ChildNamed(ctx, c.Image, name, driver.RoleFiltered); err != nil {
		return nil, err
	}
	if f.limits, err = parseLimits(c, f.Next.Info().RequestAlign); err != nil {
		return nil, err
	}
	return f, f.OnEvent(ctx, driver.EvNone)
}

// parseLimits reads the limits asked for. Each must be made of whole units of those before it, and
// of the image's alignment.
func parseLimits(c *config, imageAlign int64) (driver.Limits, error) {
	var l driver.Limits
	align := c.Align.Int()
	unit := max(align, imageAlign, 1)
	if unit >= math.MaxInt32 || unit&(unit-1) != 0 {
		return l, driver.Refuse("Cannot meet constraints with align %d", align)
	}
	l.RequestAlign = align
	for _, next := range []struct {
		key   string
		value driver.Bytes
		limit *int64
		unit  *int64 // a limit read before
	}{
		{"max-transfer", c.MaxTransfer, &l.MaxTransfer, &unit},
		{"opt-write-zero", c.OptWriteZero, &l.ZeroAlign, &unit},
		{"max-write-zero", c.MaxWriteZero, &l.MaxZero, &l.ZeroAlign},
		{"opt-discard", c.OptDiscard, &l.DiscardAlign, &unit},
		{"max-discard", c.MaxDiscard, &l.MaxDiscard, &l.DiscardAlign},
	} {
		*next.limit = next.value.Int()
		if *next.limit >= math.MaxInt32 || *next.limit%max(*next.unit, unit) != 0 {
			return l, driver.Refuse("Cannot meet constraints with %s %d", next.key, *next.limit)
		}
	}
	return l, nil
}

// parsePerms reads a list of permission names.
func parsePerms(o *driver.Options) (driver.Perm, error) {
	var perms driver.Perm
	count, i := o.Len(), 0
	for ; ; i++ {
		v, ok := o.Get(strconv.Itoa(i))
		if !ok {
			break
		}
		switch v {
		case "consistent-read":
			perms |= driver.PermRead
		case "write":
			perms |= driver.PermWrite
		case "write-unchanged":
			perms |= driver.PermWriteUnchanged
		case "resize":
			perms |= driver.PermResize
		default:
			return 0, driver.Refuse("Parameter 'null' does not accept value '%v'", v)
		}
	}
	if i < count {
		return 0, driver.Refuse(
			"List indices are not contiguous, saw %d elements but %d largest index", count, count)
	}
	return perms, nil
}

// Claim adds and withholds what the options say.
func (f *filter) Claim(ctx context.Context, c driver.Claim) error {
	return driver.ClaimOn(ctx, f.Next,
		driver.Claim{Use: c.Use | f.take, Share: c.Share &^ f.unshare})
}

// Info is that of the image with the limits asked for. Alignments of the image stay with its own
// guard.
func (f *filter) Info() driver.Info {
	below := f.Next.Info()
	info := below
	info.Driver = "blkdebug"
	info.Limits = below.Inherited()
	info.Size, info.Cluster = below.Size, below.Cluster
	l := f.limits
	info.RequestAlign, info.ZeroAlign, info.MaxZero, info.MaxDiscard = l.RequestAlign, l.ZeroAlign,
		l.MaxZero, l.MaxDiscard
	info.MaxTransfer = cmp.Or(l.MaxTransfer, info.MaxTransfer)
	info.DiscardAlign = cmp.Or(l.DiscardAlign, info.DiscardAlign)
	info.WriteTakes = below.WriteTakes & driver.FUA
	info.ZeroTakes = below.ZeroTakes & (driver.FUA | driver.MayUnmap | driver.NoFallback)
	return info
}

func (f *filter) ReadVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.rules.check(ioRead, off, v.Len()); err != nil {
		return err
	}
	return f.Next.ReadVec(ctx, v, off, fl)
}

func (f *filter) WriteVec(ctx context.Context, v driver.Vec, off int64, fl driver.Flags) error {
	if err := f.rules.check(ioWrite, off, v.Len()); err != nil {
		return err
	}
	return f.Next.WriteVec(ctx, v, off, fl)
}

// Zero leaves what is shorter than a unit to be written, so that the writing is tested too.
func (f *filter) Zero(ctx context.Context, off, n int64, fl driver.Flags) error {
	if n < max(f.limits.RequestAlign, f.limits.ZeroAlign) {
		return driver.ErrNotSupported
	}
	if err := f.rules.check(ioWriteZeroes, off, n); err != nil {
		return err
	}
	return f.Next.Zero(ctx, off, n, fl)
}

func (f *filter) Discard(ctx context.Context, off, n int64, fl driver.Flags) error {
	if n < f.limits.RequestAlign {
		return driver.ErrNotSupported
	}
	if err := f.rules.check(ioDiscard, off, n); err != nil {
		return err
	}
	return f.Next.Discard(ctx, off, n, fl)
}

func (f *filter) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	if err := f.rules.check(ioBlockStatus, off, n); err != nil {
		return driver.Extent{}, err
	}
	return f.Next.Status(ctx, off, n)
}

func (f *filter) Flush(ctx context.Context) error {
	if err := f.rules.check(ioFlush, 0, 0); err != nil {
		return err
	}
	return f.Next.Flush(ctx)
}

// OnEvent activates the rules for e, and holds the request at the breakpoints set there.
func (f *filter) OnEvent(ctx context.Context, e driver.Event) error {
	f.rules.reach(e)
	return f.breakpoints.reach(ctx, e)
}
