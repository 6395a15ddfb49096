package blockdev

import (
	"context"
	"errors"
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
)

// CreateConfig says what image to make.
type CreateConfig struct {
	Drivers []Driver
	Format  string
	// Options are the format's CreateKeys.
	Options *Options
	// Size is the length that the guest sees, in bytes; -1 takes that of the backing file.
	Size int64
	// Backing is the backing file's name as the image is to record it, relative to the image unless absolute; BackingFormat is
	// its format and must be given with it, since guessing it later would let a guest choose.
	Backing, BackingFormat string
	// Force makes the image also on a device, and in place of a file that is there and not empty.
	Force bool
	// Admit is OpenConfig.Admit, about what is there to be overwritten.
	Admit func(f HostFile, write bool) (release func(), err error)
	// Gate is OpenConfig.Gate, about what stands behind the backing file.
	Gate func(Link) error
}

// CreateOptionError says that no image can be made as the configuration has it.
type CreateOptionError struct{ Err error }

func (e *CreateOptionError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *CreateOptionError) Unwrap() error { return e.Err }

// Creation is an image that can be made: everything about it is decided, and what is there is as it was.
type Creation struct {
	format   *Driver
	creating driver.Creating
	place    *driver.Place
	file     *Device
}

// Create makes the image file name. It appears there when it is whole; until then, and for good if that fails, what was there
// stays, but for devices and files with several names.
func Create(ctx context.Context, name string, cfg CreateConfig) error {
	c, err := PrepareCreate(ctx, name, cfg)
	if err != nil {
		return err
	}
	return c.Make(ctx)
}

// PrepareCreate decides all that can be decided before an image is made. Make or Discard ends it.
func PrepareCreate(ctx context.Context, name string, cfg CreateConfig) (*Creation, error) {
	t := &tree{cfg: OpenConfig{Drivers: cfg.Drivers}}
	c := &Creation{format: t.driver(cfg.Format)}
	backing, err := cfg.openBacking(ctx, name)
	if err != nil {
		return nil, err
	}
	if backing != nil {
		defer backing.Close() // it was only read
		if cfg.Size < 0 {
			cfg.Size = backing.Length()
		}
	}
	if c.creating, err = cfg.settle(c.format); err != nil {
		return nil, &CreateOptionError{err}
	}
	placing := &driver.Placing{Force: cfg.Force, Admit: func(f HostFile) (func(), error) { return cfg.admit(f, backing) }}
	if c.place, err = t.placeFor(name, placing); err != nil {
		return nil, err
	}
	open := OpenConfig{
		Drivers: cfg.Drivers, Options: c.place.Options, Mode: Mode{Unmap: true},
		Claim: driver.Claim{Use: driver.PermRead | driver.PermWrite | driver.PermResize, Share: driver.PermRead},
	}
	if !c.place.Admitted {
		open.Admit = func(f HostFile, _ bool) (func(), error) { return placing.Admit(f) }
	}
	if c.file, err = Open(ctx, "", open); err != nil {
		return nil, errors.Join(err, c.place.Discard())
	}
	c.creating.File = c.file.top
	return c, nil
}

// settle checks the options of the format and the size. Nothing is touched.
func (cfg *CreateConfig) settle(format *Driver) (driver.Creating, error) {
	var c driver.Creating
	switch {
	case format == nil:
		return c, driver.Refuse("Unknown file format '%s'", cfg.Format)
	case format.Kind != driver.Format || format.Create == nil:
		return c, driver.Refuse("Format driver '%s' does not support image creation", cfg.Format)
	case cfg.Size < 0:
		return c, driver.Refuse("Image creation needs a size parameter")
	case cfg.Size > maxLength:
		return c, driver.Refuse("Image size must be at most %d bytes", int64(maxLength))
	}
	options := &Options{}
	if cfg.Options != nil {
		options = cfg.Options.Clone()
	}
	values, err := driver.ParseValues(format.CreateKeys, options)
	if err != nil {
		return c, err
	}
	if options.Len() > 0 {
		return c, driver.Refuse("Invalid parameter '%s'", options.Keys()[0])
	}
	c = driver.Creating{Size: cfg.Size, Values: values, Backing: cfg.Backing, BackingFormat: cfg.BackingFormat}
	if format.CheckCreate != nil {
		err = format.CheckCreate(&c)
	}
	return c, err
}

// openBacking opens the backing file, to see that it is there and how long it is; nil if there is none.
func (cfg *CreateConfig) openBacking(ctx context.Context, image string) (*Device, error) {
	if cfg.Backing == "" {
		return nil, nil
	}
	if cfg.BackingFormat == "" {
		return nil, &CreateOptionError{driver.Refuse("Backing file specified without backing format")}
	}
	d, err := Open(ctx, resolveName(image, cfg.Backing), OpenConfig{
		Drivers: cfg.Drivers, Format: cfg.BackingFormat, Mode: Mode{ReadOnly: true}, Gate: cfg.Gate,
	})
	if err != nil {
		return nil, &driver.Refusal{Text: fmt.Sprintf("Backing file: %v", err), Err: err}
	}
	return d, nil
}

// admit is the rule about what is there: never a part of the backing chain, and what the caller has against it.
func (cfg *CreateConfig) admit(f HostFile, backing *Device) (release func(), err error) {
	if backing != nil && backing.standsOn(f) {
		return nil, &CreateOptionError{driver.Refuse("An image cannot be part of its own backing chain")}
	}
	if cfg.Admit == nil {
		return nil, nil
	}
	return cfg.Admit(f, true)
}

// standsOn says whether f is any layer of a device.
func (d *Device) standsOn(f HostFile) bool {
	for _, n := range d.tree.nodes {
		if h, ok := n.guard.node.(driver.Hosted); ok && h.Is(f) {
			return true
		}
	}
	return false
}

// placeFor asks the protocol of a name, whatever form that has, for the place of an image.
func (t *tree) placeFor(name string, p *driver.Placing) (*driver.Place, error) {
	s := spec{name: name, options: &Options{}, protocol: true}
	drv, err := t.resolve(&s)
	if err != nil {
		return nil, err
	}
	if drv == nil || drv.Kind != driver.Protocol || drv.Place == nil {
		what := "The name"
		if drv != nil {
			what = "Protocol driver '" + drv.Name + "'"
		}
		return nil, &CreateOptionError{driver.Refuse("%s does not support image creation", what)}
	}
	p.Options = s.options
	return drv.Place(p)
}

// Size is the length that the guest will see, in bytes.
func (c *Creation) Size() int64 { return c.creating.Size }

// Make makes the image.
func (c *Creation) Make(ctx context.Context) error {
	err := c.file.Truncate(ctx, 0, PreallocOff)
	if errors.Is(err, ErrNotSupported) {
		err = nil
	}
	if err == nil {
		err = c.format.Create(ctx, &c.creating)
	}
	if err == nil {
		err = c.file.Flush(ctx)
	}
	if err == nil {
		err = ctx.Err() // whoever stopped this gets no image, though the last step went through
	}
	err = errors.Join(err, c.file.Close())
	if err != nil {
		return errors.Join(err, c.place.Discard())
	}
	return c.place.Publish()
}

// Discard ends a creation that is not to be made.
func (c *Creation) Discard() error { return errors.Join(c.file.Close(), c.place.Discard()) }
