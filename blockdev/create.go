package blockdev

import (
	"context"
	"errors"
	"fmt"
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
}

// Create makes the image file name, over one that is there.
func Create(ctx context.Context, name string, cfg CreateConfig) error {
	t := &tree{cfg: OpenConfig{Drivers: cfg.Drivers}}
	format := t.driver(cfg.Format)
	switch {
	case format == nil:
		return Refuse("Unknown file format '%s'", cfg.Format)
	case format.Kind != Format || format.Create == nil:
		return Refuse("Format driver '%s' does not support image creation", cfg.Format)
	}
	options := cfg.Options
	if options == nil {
		options = &Options{}
	}
	options = options.Clone()
	values, err := ParseValues(format.CreateKeys, options)
	if err != nil {
		return err
	}
	if options.Len() > 0 {
		return Refuse("Invalid parameter '%s'", options.Keys()[0])
	}
	if err := cfg.settleBacking(ctx, name); err != nil {
		return err
	}
	if cfg.Size < 0 {
		return Refuse("Image creation needs a size parameter")
	}
	file, err := t.createFile(ctx, name)
	if err != nil {
		return err
	}
	err = format.Create(ctx, &Creating{
		File: file.top, Size: cfg.Size, Values: values, Backing: cfg.Backing, BackingFormat: cfg.BackingFormat,
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return errors.Join(err, file.Close())
}

// settleBacking looks at the backing file, for its length and to see that it is there.
func (cfg *CreateConfig) settleBacking(ctx context.Context, image string) error {
	if cfg.Backing == "" {
		return nil
	}
	if cfg.BackingFormat == "" {
		return Refuse("Backing file specified without backing format")
	}
	d, err := Open(ctx, resolveName(image, cfg.Backing), OpenConfig{
		Drivers: cfg.Drivers, Format: cfg.BackingFormat, Mode: Mode{ReadOnly: true},
	})
	if err != nil {
		return &Refusal{fmt.Sprintf("Could not open '%s': %v", cfg.Backing, err), err}
	}
	defer d.Close()
	if cfg.Size < 0 {
		cfg.Size = d.Length()
	}
	return nil
}

// createFile makes the storage, opens it for itself alone, and empties it.
func (t *tree) createFile(ctx context.Context, name string) (*Device, error) {
	p, err := t.findProtocol(name, true)
	if err != nil {
		return nil, err
	}
	if p.Create == nil {
		return nil, Refuse("Protocol driver '%s' does not support image creation", p.Name)
	}
	if err := p.Create(ctx, &Creating{Name: name}); err != nil {
		return nil, err
	}
	d, err := Open(ctx, name, OpenConfig{
		Drivers: t.cfg.Drivers, Format: p.Name, Mode: Mode{Unmap: true},
		Claim: Claim{Use: PermRead | PermWrite | PermResize, Share: PermRead},
	})
	if err != nil {
		return nil, err
	}
	if err := d.Truncate(ctx, 0, PreallocOff); err != nil && !errors.Is(err, ErrNotSupported) {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}
