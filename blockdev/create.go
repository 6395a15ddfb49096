package blockdev

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
)

// CreateConfig says what image to make.
type CreateConfig struct {
	Drivers []Driver
	Format  string
	// Options are those of the format's CreateConfig.
	Options *Options
	// Size is the length that the guest sees, in bytes; -1 takes that of the backing file.
	Size int64
	// Backing is the backing file's name as the image is to record it, relative to the image unless
	// absolute; BackingFormat is its format and must be given with it, since guessing it later
	// would let a guest choose.
	Backing, BackingFormat string
	// Force makes the image also on a device, and in place of a file that is there and not empty.
	Force bool
	// Admit is OpenConfig.Admit, about what is there to be overwritten.
	Admit func(f HostFile, write bool) (release func(), err error)
	// Gate is OpenConfig.Gate, about what stands behind the backing file.
	Gate func(Link) error
	// Object is OpenConfig.Object, and Ask OpenConfig.Ask.
	Object func(id string) any
	Ask    func(ctx context.Context, q driver.Question) (driver.Secret, error)
}

// CreateOptionError says that no image can be made as the configuration has it.
type CreateOptionError struct{ Err error }

func (e *CreateOptionError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *CreateOptionError) Unwrap() error { return e.Err }

// Creation is an image that can be made: everything about it is decided, and what is there is as it
// was.
type Creation struct {
	cfg      CreateConfig
	backing  *Device // nil if there is none
	format   *Driver
	creating driver.Creating
	files    []newFile // the image, then its further parts
}

// newFile is a file that an image is made of.
type newFile struct {
	name  string // as it was given
	place *driver.Place
	dev   *Device
}

// Create makes the image file name. It appears there when it is whole; until then, and for good if
// that fails, what was there stays, but for devices and files with several names.
func Create(ctx context.Context, name string, cfg CreateConfig) error {
	c, err := PrepareCreate(ctx, name, cfg)
	if err != nil {
		return err
	}
	return c.Make(ctx)
}

// PrepareCreate decides all that can be decided before an image is made. Make or Discard ends it.
func PrepareCreate(ctx context.Context, name string, cfg CreateConfig) (*Creation, error) {
	c := &Creation{cfg: cfg}
	var err error
	if c.backing, err = cfg.openBacking(ctx, name); err != nil {
		return nil, err
	}
	if c.backing != nil && cfg.Size < 0 {
		c.cfg.Size = c.backing.Size()
	}
	if err = c.settle(name); err == nil {
		err = c.place(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Discard())
	}
	return c, nil
}

// place finds the places of all files of the image and opens them.
func (c *Creation) place(ctx context.Context) (err error) {
	if c.creating.File, err = c.newFile(ctx, c.creating.Filename); err != nil {
		return err
	}
	for i := range c.creating.Parts {
		part := &c.creating.Parts[i]
		if part.File, err = c.newFile(ctx, part.Name); err != nil {
			return &PartError{part.Name, err}
		}
	}
	return nil
}

// newFile finds the place of a file of the image and opens it.
func (c *Creation) newFile(ctx context.Context, name string) (driver.Node, error) {
	if err := c.checkNew(name); err != nil {
		return nil, err
	}
	placing := &driver.Placing{Force: c.cfg.Force, Admit: c.admit}
	place, err := c.tree().placeFor(name, placing)
	if err != nil {
		return nil, err
	}
	open := OpenConfig{
		Drivers: c.cfg.Drivers, Options: place.Options, Mode: Mode{Unmap: true},
		Claim: driver.Claim{
			Use:   driver.PermRead | driver.PermWrite | driver.PermResize,
			Share: driver.PermRead,
		},
	}
	if !place.Admitted {
		open.Admit = func(f HostFile, _ bool) (func(), error) { return placing.Admit(f) }
	}
	dev, err := Open(ctx, "", open)
	if err != nil {
		return nil, errors.Join(err, place.Discard())
	}
	c.files = append(c.files, newFile{name, place, dev})
	return dev.top, nil
}

// checkNew refuses a second file of the same name.
func (c *Creation) checkNew(name string) error {
	for _, f := range c.files {
		if samePath(f.name, name) {
			return errTwice(name)
		}
	}
	return nil
}

func errTwice(name string) error {
	return &CreateOptionError{driver.Refuse("'%s' cannot be two files of an image at once", name)}
}

// samePath says whether two names come to the same, links aside.
func samePath(a, b string) bool {
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// PartError is about a further file of an image that is to be made.
type PartError struct {
	Name string // of the file
	Err  error
}

func (e *PartError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *PartError) Unwrap() error { return e.Err }

func (c *Creation) tree() *tree { return &tree{cfg: OpenConfig{Drivers: c.cfg.Drivers}} }

// settle checks the options of the format and the size of the image name, "" for one that is not
// to be made. Nothing is touched.
func (c *Creation) settle(name string) error {
	cfg := &c.cfg
	c.format = c.tree().driver(cfg.Format)
	var err error
	switch {
	case c.format == nil:
		err = driver.Refuse("Unknown file format '%s'", cfg.Format)
	case c.format.Kind != driver.Format || c.format.Create == nil:
		err = driver.Refuse("Format driver '%s' does not support image creation", cfg.Format)
	case cfg.Size < 0:
		err = driver.Refuse("Image creation needs a size parameter")
	case cfg.Size > maxLength:
		err = driver.Refuse("Image size must be at most %d bytes", int64(maxLength))
	default:
		err = c.settleOptions(name)
	}
	if err != nil {
		return &CreateOptionError{err}
	}
	return nil
}

func (c *Creation) settleOptions(name string) error {
	options := &Options{}
	if c.cfg.Options != nil {
		options = c.cfg.Options.Clone()
	}
	config, err := driver.NewConfig(c.format.CreateConfig, options)
	if err != nil {
		return err
	}
	if options.Len() > 0 {
		return &driver.ParameterError{
			Option: options.Keys()[0], Options: names(c.format.CreateKeys()),
		}
	}
	c.creating = driver.Creating{
		Filename: name, Size: c.cfg.Size, Config: config, Backing: c.cfg.Backing,
		BackingFormat: c.cfg.BackingFormat, Objects: objects{c.cfg.Object, c.cfg.Ask},
	}
	switch {
	case c.cfg.Backing != "" && !c.format.Declares("backing"):
		return driver.Refuse("Backing file not supported for file format '%s'", c.format.Name)
	case c.format.CheckCreate == nil:
		return nil
	}
	return c.format.CheckCreate(&c.creating)
}

// openBacking opens the backing file, to see that it is there and how long it is; nil if there is
// none.
func (cfg *CreateConfig) openBacking(ctx context.Context, image string) (*Device, error) {
	if cfg.Backing == "" {
		return nil, nil
	}
	if cfg.BackingFormat == "" {
		return nil, &CreateOptionError{driver.Refuse(
			"Backing file specified without backing format")}
	}
	d, err := Open(ctx, driver.Beside(image, cfg.Backing), OpenConfig{
		Drivers: cfg.Drivers, Format: cfg.BackingFormat, Mode: Mode{ReadOnly: true, NoIO: true},
		Gate: cfg.Gate, Object: cfg.Object,
	})
	if err != nil {
		return nil, driver.RefuseAs(err, "Backing file: %v", err)
	}
	return d, nil
}

// admit is the rule about what is there: never a part of the backing chain or of the new image, and
// what the caller has against it.
func (c *Creation) admit(f HostFile) (release func(), err error) {
	if c.backing != nil && c.backing.standsOn(f) {
		return nil, &CreateOptionError{driver.Refuse(
			"An image cannot be part of its own backing chain")}
	}
	for _, other := range c.files {
		if other.dev.standsOn(f) {
			return nil, errTwice(f.Name)
		}
	}
	if c.cfg.Admit == nil {
		return nil, nil
	}
	return c.cfg.Admit(f, true)
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

// PlaceError says that a protocol has no place for new images. There may be some of others.
type PlaceError struct{ what string }

func (e *PlaceError) Error() string { return e.what + " does not support image creation" }

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
		return nil, &CreateOptionError{&PlaceError{what}}
	}
	p.Options = s.options
	return drv.Place(p)
}

// Size is the length that the guest will see, in bytes.
func (c *Creation) Size() int64 { return c.creating.Size }

// Make makes the image.
func (c *Creation) Make(ctx context.Context) error {
	var err error
	for _, f := range c.files {
		if err == nil {
			err = f.empty(ctx)
		}
	}
	if err == nil {
		err = c.format.Create(ctx, &c.creating)
	}
	for _, f := range c.files {
		if err == nil {
			err = f.dev.Flush(ctx)
		}
	}
	if err == nil {
		err = ctx.Err() // whoever stopped this gets no image, though the last step went through
	}
	if err = errors.Join(err, c.close()); err != nil {
		return errors.Join(err, c.discard())
	}
	// The image comes last: it names the others.
	for i, f := range slices.Backward(c.files) {
		if err := f.place.Publish(); err != nil {
			c.files = c.files[:i]
			return errors.Join(err, c.discard())
		}
	}
	return nil
}

// empty cuts off whatever is there. What cannot be cut, such as a device, stays.
func (f *newFile) empty(ctx context.Context) error {
	if f.place.GiveUp != nil {
		f.place.GiveUp()
	}
	err := f.dev.Truncate(ctx, 0, PreallocOff)
	if errors.Is(err, ErrNotSupported) {
		return nil
	}
	return err
}

// Discard ends a creation that is not to be made.
func (c *Creation) Discard() error { return errors.Join(c.close(), c.discard()) }

func (c *Creation) close() (err error) {
	if c.backing != nil {
		err = c.backing.Close()
	}
	for _, f := range c.files {
		err = errors.Join(err, f.dev.Close())
	}
	return err
}

// discard leaves what was there before.
func (c *Creation) discard() error {
	var err error
	for _, f := range c.files {
		err = errors.Join(err, f.place.Discard())
	}
	return err
}
