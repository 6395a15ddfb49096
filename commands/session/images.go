package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

// Image is an open device with the requests that are on their way to it.
type Image struct {
	// Name tells images apart. In the qemu dialects there is only one, called "".
	Name string
	Dev  *blockdev.Device
	// Position is the offset behind what was read last without saying where.
	Position int64

	flying int  // requests in the background, not yet delivered
	holds  bool // a layer may hold requests
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Cache is a cache mode.
type Cache struct{ Direct, NoFlush, WriteThrough bool }

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
	if slices.Contains([]string{"threads", "native", "io_uring"}, name) {
		return name, nil
	}
	return "", invalid("aio", name)
}

func invalid(what, name string) error {
	return event.Fail(event.Report{Err: fmt.Errorf("Invalid %s option: %s", what, name)})
}

// Opening is how an image is to be opened, as the options of the program or of the command open say it.
type Opening struct {
	Name       string // a file name in any form; "" with Unnamed
	Unnamed    bool   // Options say everything
	Options    *blockdev.Options
	Format     string
	ReadOnly   bool
	Snapshot   bool
	CopyOnRead bool
	ForceShare bool
	Unmap      *bool // nil: as usual
	Cache      Cache
	AIO        string // "" for the usual one
}

// MergeOptions adds "key=value,..." to o. The warnings are about words without a value.
func MergeOptions(o *blockdev.Options, text string) (warnings []event.Event, err error) {
	more, err := blockdev.ParseOptionString(text, "")
	if err != nil {
		return nil, event.Fail(event.Report{Err: err})
	}
	o.Merge(more)
	for word := range shortOptions(text) {
		key, off := strings.CutPrefix(word, "no")
		if off = off && key != ""; !off {
			key = word
		}
		warnings = append(warnings, event.ShortOption{Word: word, Key: key, Off: off})
	}
	return warnings, nil
}

// shortOptions walks the words of an option string that have no value. A comma that is part of a value is written twice.
func shortOptions(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			end := strings.IndexAny(text, "=,")
			if end < 0 || text[end] == ',' {
				word, rest, _ := strings.Cut(text, ",")
				if !yield(word) {
					return
				}
				text = rest
				continue
			}
			text = text[end+1:]
			_, text = untilComma(text)
		}
	}
}

// untilComma cuts text behind its first single comma.
func untilComma(text string) (value, rest string) {
	for i := 0; i < len(text); i++ {
		if text[i] != ',' {
			continue
		}
		if i++; i == len(text) || text[i] != ',' {
			return text[:i-1], text[i:]
		}
	}
	return text, ""
}

// optionShare is the option that ForceShare stands for.
const optionShare = "force-share"

// Open opens an image and makes it the current one. The error is an event.Failure.
func (s *Session) Open(ctx context.Context, o Opening) error {
	if s.current != nil {
		return event.Fail(event.FileOpen{})
	}
	cfg, err := s.config(o)
	if err != nil {
		return event.Fail(event.Report{Err: err})
	}
	dev, err := blockdev.Open(ctx, o.Name, cfg)
	s.deliverNotices()
	if err != nil {
		return event.Fail(event.OpenFailed{Name: o.Name, Unnamed: o.Unnamed, Err: err})
	}
	im := &Image{Dev: dev}
	_, im.holds = blockdev.Find[blockdev.Breakpointer](dev.Top())
	im.ctx, im.cancel = context.WithCancelCause(context.Background())
	s.images = append(s.images, im)
	s.current = im
	return nil
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
	share := o.ForceShare
	if share && opts.Has(optionShare) && opts.String(optionShare) != "on" {
		return blockdev.OpenConfig{}, errors.New("-U conflicts with image options")
	}
	if share {
		opts.Set(optionShare, "on")
	}
	if o.Name == "" && !o.Unnamed { // a name, and an empty one: no reason to look at the options for another
		opts.SetDefault("file.driver", "file")
	}
	s.setAIO(opts, o)
	return blockdev.OpenConfig{
		Drivers: s.Drivers,
		Options: opts,
		Format:  o.Format,
		Mode: blockdev.Mode{
			ReadOnly: o.ReadOnly, Direct: o.Cache.Direct, NoFlush: o.Cache.NoFlush, Unmap: o.Unmap == nil || *o.Unmap, ForceShare: share,
		},
		WriteThrough: o.Cache.WriteThrough,
		Snapshot:     o.Snapshot,
		CopyOnRead:   o.CopyOnRead,
		Secret:       s.secret,
		Notify:       s.Notify,
		Trace:        s.Trace,
	}, nil
}

// setAIO asks the file below for a way to make requests.
func (s *Session) setAIO(opts *blockdev.Options, o Opening) {
	if o.AIO == "" || o.AIO == "threads" {
		return
	}
	if o.AIO == "native" && !o.Cache.Direct && s.Policy.AIOFallback {
		s.Notify(blockdev.Warning{Text: "WARNING: aio=native was specified for '" + o.Name +
			"', but it requires cache.direct=on, which was not specified. Falling back to aio=threads.\n" +
			"         This will become an error condition in future QEMU versions."})
		return
	}
	opts.SetDefault("file.aio", o.AIO)
}

func (s *Session) secret(id string) ([]byte, error) {
	if data, ok := s.secrets[id]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("No secret with id '%s'", id)
}

// Reopening is what the command reopen changes.
type Reopening struct {
	Options   *blockdev.Options
	ReadOnly  *bool  // nil: as it is
	CacheMode *Cache // nil: as it is
}

// Reopen changes options of an open image.
func (s *Session) Reopen(ctx context.Context, im *Image, r Reopening) error {
	change := r.Options.Clone()
	if r.ReadOnly != nil {
		if change.Has("read-only") {
			return errors.New("Cannot set both -r/-w and 'read-only'")
		}
		change.Set("read-only", *r.ReadOnly)
	}
	writeThrough := im.Dev.WriteThrough()
	if c := r.CacheMode; c != nil {
		if change.Has("cache.direct") || change.Has("cache.no-flush") {
			return errors.New("Cannot set both -c and the cache options")
		}
		change.Set("cache.direct", c.Direct)
		change.Set("cache.no-flush", c.NoFlush)
		writeThrough = c.WriteThrough
	}
	if err := s.Drain(ctx, im); err != nil {
		return err
	}
	err := im.Dev.Reopen(ctx, change)
	s.deliverNotices()
	if err != nil {
		return err
	}
	im.Dev.SetWriteThrough(writeThrough)
	return nil
}

// Close waits for the requests of an image and closes it. Requests that nothing can wake any more are given up.
func (s *Session) Close(ctx context.Context, im *Image) error {
	if err := s.Drain(ctx, im); err != nil {
		s.abandon(im)
	}
	im.cancel(nil)
	err := im.Dev.Close()
	s.deliverNotices()
	s.images = slices.DeleteFunc(s.images, func(other *Image) bool { return other == im })
	if s.current == im {
		s.current = nil
	}
	return err
}

// abandon ends the requests of an image that stand still, without a word from each.
func (s *Session) abandon(im *Image) {
	s.Emit(event.Abandoned{Requests: im.flying})
	im.cancel(syscall.ECANCELED)
	for im.flying > 0 {
		<-s.wake
		s.deliverNotices()
		for _, r := range s.takeFinished() {
			r.im.flying--
		}
	}
}

// Finish closes everything. A failure to close belongs to no command and is told by the layer that failed.
func (s *Session) Finish(ctx context.Context) {
	for len(s.images) > 0 {
		_ = s.Close(ctx, s.images[0])
	}
	s.Printer.Flush()
}

// Image is the current image, nil if there is none.
func (s *Session) Image() *Image { return s.current }
