package session

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/event"
)

// Image is an open device with the requests that are on their way to it.
type Image struct {
	// Name tells images apart. In the qemu dialects there is only one, called "".
	Name string
	Dev  *blockdev.Device
	// Position is the offset behind what was read last without saying where.
	Position int64
	// Again goes on with what was looked for last, for so many matches; nil if nothing was.
	Again func(ctx context.Context, s *Session, im *Image, most int64) error

	flying int  // requests in the background, not yet delivered
	holds  bool // a layer may hold requests

	path      string // as it was given; "" if options say everything
	snapshot  string // the one inside the image that is open, as it was given; "" for none
	admission *admission
	undo      *target.File // the log of changes; nil if none is kept
	undoName  string       // that of the log
	guarded   bool         // read-only was asked for
	locked    error        // why the key is missing; nil with it, and where there is none
	told      bool         // locked was told, or a command went to the locked image
	strict    bool         // writes must be made of whole blocks
	parts     bool         // writes may be made of parts of blocks, whatever else holds
	ctx       context.Context
	cancel    context.CancelCauseFunc
}

// Cache is a cache mode.
type Cache struct{ Direct, NoFlush, WriteThrough bool }

// CacheModes are what ParseCache reads, without the other names that some have.
func CacheModes() []string {
	return []string{"none", "writeback", "writethrough", "directsync", "unsafe"}
}

// DiscardModes are what ParseDiscard reads, as CacheModes.
func DiscardModes() []string { return []string{"ignore", "unmap"} }

// AIOModes are what ParseAIO reads.
func AIOModes() []string { return []string{"threads", "native", "io_uring"} }

// ParseCache reads a cache mode by its name.
func ParseCache(name string) (Cache, error) {
	switch name {
	case "none", "off":
		return Cache{Direct: true}, nil
	case "directsync":
		return Cache{Direct: true, WriteThrough: true}, nil
	case "writeback":
		return Cache{}, nil
	case "unsafe":
		return Cache{NoFlush: true}, nil
	case "writethrough":
		return Cache{WriteThrough: true}, nil
	}
	return Cache{}, invalid("cache", name)
}

// ParseDiscard reads a discard mode by its name, and says whether discards are passed on.
func ParseDiscard(name string) (unmap bool, err error) {
	switch name {
	case "unmap", "on":
		return true, nil
	case "ignore", "off":
		return false, nil
	}
	return false, invalid("discard", name)
}

// ParseAIO reads the name of a way to make requests.
func ParseAIO(name string) (string, error) {
	if slices.Contains(AIOModes(), name) {
		return name, nil
	}
	return "", invalid("aio", name)
}

func invalid(what, name string) error {
	return event.FailReport(driver.Refuse("Invalid %s option: %s", what, name))
}

// Opening is how an image is to be opened, as the options of the program or of the command open say
// it.
type Opening struct {
	Name     string // a file name in any form; "" with Unnamed
	Unnamed  bool   // Options say everything
	Options  *blockdev.Options
	Format   string
	Certain  bool // a file of another format than Format is refused
	ReadOnly bool
	Snapshot bool // writes go to a temporary overlay
	// LoadSnapshot opens a snapshot inside the image, read-only.
	LoadSnapshot string
	CopyOnRead   bool
	ForceShare   bool
	Unmap        *bool // nil: as usual
	Cache        Cache
	AIO          string // "" for the usual one

	As     string // what the image is called; "" for the usual name
	Write  bool   // block devices of the host may be written to
	InUse  bool   // block devices may be written to also while others use them
	Strict bool   // writes must be made of whole blocks
	Parts  bool   // writes may be made of parts of blocks, whatever the dialect has
	// Undo names a new file in which is noted what the image held before it is changed; "" notes
	// nothing.
	Undo string
	// BackingDevice: the image may name a device of the host as what it stands on.
	BackingDevice bool
	// Keyless: nobody is asked for a key, since what comes needs none.
	Keyless bool
	// From is the image in which Name was found, "" if the user gave it.
	From string
}

// MergeOptions adds "key=value,..." to o. The warnings are about words without a value.
func MergeOptions(o *blockdev.Options, text string) (warnings []event.Event, err error) {
	more, err := blockdev.ParseShortOptions(text, "", func(word, key string, off bool) {
		warnings = append(warnings, event.ShortOption{Word: word, Key: key, Off: off})
	})
	if err != nil {
		return nil, event.FailReport(err)
	}
	o.Merge(more)
	return warnings, nil
}

// optionShare is the option that ForceShare stands for.
const optionShare = "force-share"

// Open opens an image and makes it the current one. The error is an event.Failure. Where the
// dialect repairs, damage is no error yet, see damaged, nor is a key that is missing, see locks.
func (s *Session) Open(ctx context.Context, o Opening) error {
	name, err := s.imageName(o)
	if err != nil {
		return err
	}
	cfg, err := s.config(o)
	if err != nil {
		return event.FailReport(err)
	}
	im := &Image{
		Name: name, path: o.Name, snapshot: o.LoadSnapshot, guarded: o.ReadOnly, strict: o.Strict,
		parts: o.Parts,
	}
	im.admission = &admission{s: s, write: o.Write, inUse: o.InUse}
	if err := s.keepLog(ctx, im, o, &cfg); err != nil {
		return err
	}
	dev, err := s.open(ctx, o, cfg, im.admission)
	if s.locks(o, err) {
		dev, err = s.openLocked(ctx, o, cfg, im, event.Fail(openFailed(o, err)))
	}
	if err != nil {
		im.dropLog()
		e := openFailed(o, err)
		e.Absent = s.absent(o, err)
		failure := event.Fail(e)
		if s.postpones(o, err, failure) {
			return nil
		}
		return failure
	}
	s.damaged = nil
	im.Dev = dev
	_, im.holds = driver.Find[driver.Breakpointer](dev.Top())
	im.ctx, im.cancel = context.WithCancelCause(context.Background())
	s.enlist(im)
	if s.Announce {
		s.Emit(event.Opened{Image: im.Describe(), First: !s.opened})
	}
	s.opened = true
	return nil
}

// openFailed says that an image could not be opened, with what advice depends on.
func openFailed(o Opening, err error) event.OpenFailed {
	return event.OpenFailed{
		Name: o.Name, Unnamed: o.Unnamed, ReadOnly: o.ReadOnly, Shared: o.ForceShare,
		Readable: !o.Unnamed && unix.Access(o.Name, unix.R_OK) == nil, Err: err,
	}
}

// absent says whether an image could not be opened since there is no file of its name. What is
// missing may also be another file, such as its backing file, or what a command in brackets serves.
func (s *Session) absent(o Opening, err error) bool {
	protocol := blockdev.ProtocolOf(o.Name, s.Drivers)
	if o.Unnamed || !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(o.Name, "{:") ||
		protocol == nil || protocol.Name != "file" {
		return false
	}
	_, err = os.Lstat(o.Name)
	return errors.Is(err, fs.ErrNotExist)
}

// open opens the stack of an image. Block devices that nobody asked to write to are opened for
// reading.
func (s *Session) open(ctx context.Context, o Opening, cfg blockdev.OpenConfig,
	a *admission,
) (*blockdev.Device, error) {
	s.Ready()
	if s.Policy.Careful {
		cfg.Admit = a.admit
	}
	dev, err := blockdev.Open(ctx, o.Name, cfg)
	if errors.Is(err, errDeviceNeedsAsking) {
		cfg.Mode.ReadOnly = true
		dev, err = blockdev.Open(ctx, o.Name, cfg)
	}
	s.deliverNotices()
	if err == nil {
		dev.SetStrict(s.insists(dev.Direct(), o.Strict, o.Parts))
		s.keep(o.Name, dev)
	}
	if err == nil && s.Policy.Understands != nil {
		if err = s.Policy.Understands(dev); err != nil {
			return nil, errors.Join(err, dev.Close())
		}
	}
	return dev, err
}

// opened is a device that was opened by a name, and may be closed by now.
type opened struct {
	name string
	dev  *blockdev.Device
}

// keep notes a device for Unflushed, in place of those that nobody asks about any more.
func (s *Session) keep(name string, dev *blockdev.Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices = slices.DeleteFunc(s.devices, func(o opened) bool { return o.dev.Over() })
	s.devices = append(s.devices, opened{name, dev})
}

// Unflushed are the names of the images in which what was written last may be missing if the
// program ends now. Any goroutine may call it, whatever others wait for.
func (s *Session) Unflushed() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.devices {
		if o.dev.Unflushed() {
			names = append(names, o.name)
		}
	}
	return names
}

// OpenCommand is Open for the command of that name.
func (s *Session) OpenCommand(ctx context.Context, o Opening) error {
	if o.Unmap == nil {
		o.Unmap = &s.Policy.OpenUnmaps
	}
	err := s.Open(ctx, o)
	if err != nil && s.Policy.OpenFailureEnds {
		s.End()
	}
	return err
}

// config translates an Opening into the terms of the block layer.
func (s *Session) config(o Opening) (blockdev.OpenConfig, error) {
	opts := &blockdev.Options{}
	if o.Options != nil {
		opts = o.Options.Clone()
	}
	opts.ReadSizes(s.Policy.Sizes)
	share := o.ForceShare && (o.ReadOnly || !s.Policy.Alone)
	var claim driver.Claim // shares everything
	if s.Policy.Alone && !o.ForceShare {
		claim.Share = driver.PermRead | driver.PermWriteUnchanged
	}
	if share && opts.Has(optionShare) && opts.String(optionShare) != "on" {
		return blockdev.OpenConfig{}, errors.New("-U conflicts with image options")
	}
	if share {
		opts.Set(optionShare, "on")
	}
	// a name, and an empty one: no reason to look at the options for another
	if o.Name == "" && !o.Unnamed {
		opts.SetDefault("file.driver", "file")
	}
	ask := s.Ask
	if o.Keyless {
		ask = nil
	}
	return blockdev.OpenConfig{
		Drivers:  s.Drivers,
		Options:  opts,
		Defaults: s.defaults(o),
		Format:   o.Format, CheckFormat: o.Certain,
		Mode: blockdev.Mode{
			ReadOnly: o.ReadOnly, Direct: o.Cache.Direct, NoFlush: o.Cache.NoFlush,
			Unmap: o.Unmap == nil || *o.Unmap, ForceShare: share,
		},
		Claim:        claim,
		Gate:         s.gate(o.BackingDevice),
		From:         o.From,
		LikeQEMU:     s.Policy.LikeQEMU,
		ExactDiscard: s.Policy.ExactDiscard,
		WriteThrough: o.Cache.WriteThrough,
		Snapshot:     o.Snapshot,
		LoadSnapshot: o.LoadSnapshot,
		CopyOnRead:   o.CopyOnRead,
		Object:       s.object,
		Ask:          ask,
		Until:        s.untilGivenUp(),
		Notify:       s.Notify,
		Trace:        s.Trace,
	}, nil
}

// defaults are the values that the dialect and the options of the program give to options of
// drivers. Options given for a node win over them.
func (s *Session) defaults(o Opening) *blockdev.Options {
	var defaults blockdev.Options
	if !s.Policy.Locks {
		defaults.Set("locking", "off")
	}
	switch {
	case o.AIO == "":
	case o.AIO == "native" && !o.Cache.Direct && s.Policy.AIOFallback:
		s.Notify(driver.AIOFallback{File: o.Name})
	default:
		defaults.Set("aio", o.AIO)
	}
	return &defaults
}

// insists says whether writes must be made of whole blocks.
func (s *Session) insists(direct, strict, parts bool) bool {
	return !parts && (strict || direct && s.Policy.WholeBlocks)
}

func (s *Session) object(id string) any { return s.objects[id] }

// Reopening is what the command reopen changes.
type Reopening struct {
	Options   *blockdev.Options
	ReadOnly  *bool  // nil: as it is
	CacheMode *Cache // nil: as it is
	InUse     bool   // block devices of the host may be written to while others use them
}

// Reopen changes options of an open image.
func (s *Session) Reopen(ctx context.Context, im *Image, r Reopening) error {
	change := r.Options.Clone()
	if r.ReadOnly != nil {
		if change.Has("read-only") {
			return driver.Refuse("Cannot set both -r/-w and 'read-only'")
		}
		change.Set("read-only", *r.ReadOnly)
	}
	writeThrough := im.Dev.WriteThrough()
	if c := r.CacheMode; c != nil {
		if change.Has("cache.direct") || change.Has("cache.no-flush") {
			return driver.Refuse("Cannot set both -c and the cache options")
		}
		change.Set("cache.direct", c.Direct)
		change.Set("cache.no-flush", c.NoFlush)
		writeThrough = c.WriteThrough
	}
	if err := s.Drain(ctx, im); err != nil {
		return err
	}
	if r.ReadOnly != nil {
		im.guarded = *r.ReadOnly
		im.admission.write = im.admission.write || !*r.ReadOnly
	}
	im.admission.inUse = im.admission.inUse || r.InUse
	err := im.Dev.Reopen(ctx, change)
	s.deliverNotices()
	if err != nil {
		return err
	}
	im.Dev.SetWriteThrough(writeThrough)
	im.Dev.SetStrict(s.insists(im.Dev.Direct(), im.strict, im.parts))
	return nil
}

// Close waits for the requests of an image and closes it. Requests that nothing can wake any more
// are given up. The error is an event.Failure, and nil where the dialect leaves failures to the
// layer that failed.
func (s *Session) Close(ctx context.Context, im *Image) error {
	err := s.shut(ctx, im)
	s.delist(im)
	return err
}

// shut is Close without a look at the list of images.
func (s *Session) shut(ctx context.Context, im *Image) error {
	e := event.CloseFailed{Name: im.Name, Path: im.path, ReadOnly: im.Dev.ReadOnly()}
	if err := s.Drain(ctx, im); err != nil {
		s.abandon(im)
	}
	im.cancel(nil)
	e.Err = errors.Join(im.Dev.Close(), im.endLog())
	s.deliverNotices()
	return s.closing(e)
}

// OpenBeside opens an image that no command goes to. The caller closes it. A person who let a
// device be written to is asked for its name. The error is an event.Failure.
func (s *Session) OpenBeside(ctx context.Context, o Opening) (*blockdev.Device, error) {
	return s.openApart(ctx, o, &admission{s: s, write: o.Write, inUse: o.InUse}, o.Write,
		func(*blockdev.Device) error { return nil })
}

// openApart opens an image that no command goes to, and if check finds it fit has a person who
// typed the line named the devices that change, where ask is set. The error is an event.Failure.
func (s *Session) openApart(ctx context.Context, o Opening, a *admission, ask bool,
	check func(*blockdev.Device) error,
) (*blockdev.Device, error) {
	cfg, err := s.config(o)
	if err != nil {
		return nil, event.FailReport(err)
	}
	dev, err := s.open(ctx, o, cfg, a)
	if err == nil {
		if err = check(dev); err != nil {
			err = errors.Join(err, dev.Close())
		}
	}
	if err != nil {
		return nil, event.Fail(openFailed(o, err))
	}
	if s.typed && ask {
		if err := s.confirm(ctx, a); err != nil {
			return nil, errors.Join(err, dev.Close())
		}
	}
	return dev, nil
}

// CloseBeside closes what OpenBeside or OpenToCheck opened. The error is as that of Close.
func (s *Session) CloseBeside(dev *blockdev.Device) error {
	e := event.CloseFailed{Path: dev.Chain()[0].Filename, ReadOnly: dev.ReadOnly()}
	e.Err = dev.Close()
	s.deliverNotices()
	return s.closing(e)
}

func (s *Session) closing(e event.CloseFailed) error {
	if e.Err == nil || !s.Policy.CloseCounts {
		return nil
	}
	return event.Fail(e)
}

// abandon ends the requests of an image that stand still, without a word from each.
func (s *Session) abandon(im *Image) {
	s.background(event.Fail(event.Abandoned{Requests: im.flying}))
	im.cancel(syscall.ECANCELED)
	for im.flying > 0 {
		<-s.wake
		s.deliverNotices()
		for _, r := range s.takeFinished() {
			if r.im == im {
				s.land(r)
			} else {
				s.complete(r)
			}
		}
	}
}

// Finish closes everything. What fails belongs to no line.
func (s *Session) Finish(ctx context.Context) {
	for _, im := range s.images {
		s.where = event.Where{Image: im.Name}
		s.failUnused(im)
		if err := s.shut(ctx, im); err != nil {
			s.Fail(err)
		}
	}
	s.images, s.current = nil, nil
	s.failUntold()
	s.Printer.Flush()
}

// Image is the current image, nil if there is none.
func (s *Session) Image() *Image { return s.current }
