package blockdev

import (
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// BackingFile is what the image records of what it stands on: the name as it is written there, ""
// for nothing. ok is false for a format whose images stand on nothing.
func (d *Device) BackingFile() (l Link, ok bool) {
	o, ok := d.tree.root.guard.node.(driver.Overlay)
	if ok {
		l = o.BackingFile()
	}
	return l, ok
}

// SetBackingFile changes that record, durably and in one step. What is open stays as it is, and
// that the guest sees the same afterwards is the affair of the caller.
func (d *Device) SetBackingFile(ctx context.Context, l Link) error {
	return d.changeOverlay(ctx, opSetBacking, func(o driver.Overlay) error {
		return o.SetBackingFile(ctx, l)
	})
}

// Empty gives back all that the image itself holds, so that its backing file shows.
func (d *Device) Empty(ctx context.Context) error {
	return d.changeOverlay(ctx, opEmpty, func(o driver.Overlay) error { return o.Empty(ctx) })
}

func (d *Device) changeOverlay(ctx context.Context, op Op, do func(driver.Overlay) error) error {
	o, ok := d.tree.root.guard.node.(driver.Overlay)
	if !ok {
		return d.wrap(op, 0, 0, d.lacks("have no backing file"))
	}
	return d.alone(ctx, op, func() error {
		defer d.written()
		return do(o)
	})
}

// alone makes a request while nothing else goes on.
func (d *Device) alone(ctx context.Context, op Op, do func() error) error {
	if err := d.enter(op, 0, 0); err != nil {
		return err
	}
	tracker := &d.tree.top.guard.tracker
	r, err := tracker.hold(ctx, false)
	if err != nil {
		return d.wrap(op, 0, 0, err)
	}
	defer tracker.end(r)
	return d.wrap(op, 0, 0, do())
}

// Amend changes options that the image was created with, durably. Steps that are done stay done if
// a later one fails.
func (d *Device) Amend(ctx context.Context, options *Options) error {
	root := d.tree.root
	a, ok := root.guard.node.(driver.Amender)
	if !ok {
		return d.wrap(opAmend, 0, 0, driver.RefuseAs(ErrNotSupported,
			"Format driver '%s' does not support option amendment", root.driver.Name))
	}
	left := options.Clone()
	config, err := driver.NewConfig(root.driver.AmendConfig, left)
	if err == nil && left.Len() > 0 {
		err = refuseOption(root.driver, left.Keys()[0])
	}
	if err != nil {
		return &CreateOptionError{err}
	}
	return d.alone(ctx, opAmend, func() error {
		defer d.written()
		if err := a.Amend(ctx,
			&driver.Amending{Config: config, Object: d.tree.cfg.objects().Object}); err != nil {
			return err
		}
		return d.tree.top.guard.flush(ctx)
	})
}

// refuseOption says that an option cannot be changed, or is none.
func refuseOption(drv *Driver, name string) error {
	for _, k := range drv.CreateKeys() {
		if k.Name == name {
			return driver.Refuse(
				"Invalid parameter '%s': This option is only supported for image creation", name)
		}
	}
	return &driver.ParameterError{Option: name, Options: names(driver.KeysOf(drv.AmendConfig))}
}

// names are those of options.
func names(keys []driver.Key) (list []string) {
	for _, k := range keys {
		list = append(list, k.Name)
	}
	return list
}
