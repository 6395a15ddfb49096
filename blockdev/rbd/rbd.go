//go:build rbd

package rbd

import (
	"context"
	"fmt"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/rbdname"
)

const driverName = "rbd"

// Driver is the protocol driver for images in Ceph clusters. No image may name one.
var Driver = driver.Driver{
	Name:      driverName,
	Doc:       "an image in a Ceph cluster, by librbd",
	Kind:      driver.Protocol,
	Config:    config{},
	Schemes:   []string{"rbd"},
	Device:    true,
	Native:    true,
	ParseName: parseName,
	Open:      open,
	Place:     place,
}

// config are the options of Driver.
type config struct {
	Pool      string       `option:"pool" help:"the pool that the image is in"`
	Namespace string       `option:"namespace" help:"its namespace in the pool, usually none"`
	Image     string       `option:"image" help:"name of the image"`
	Snapshot  string       `option:"snapshot" help:"a snapshot of it, which is only read"`
	Conf      string       `option:"conf" help:"the cluster's configuration file"`
	User      string       `option:"user" help:"who asks, admin if nobody else is named"`
	KeySecret string       `option:"key-secret" help:"id of a secret with the user's key"`
	Option    driver.Group `option:"option" help:"option.NAME=VALUE of such a file"`
}

// parseName turns rbd:pool/image and so on into options.
func parseName(name string, o *driver.Options) error {
	n, err := rbdname.Parse(name)
	if err != nil {
		return err
	}
	for key, value := range map[string]string{
		"pool": n.Pool, "namespace": n.Namespace, "image": n.Image, "snapshot": n.Snapshot,
	} {
		if value != "" {
			o.Set(key, value)
		}
	}
	for _, option := range n.Options {
		switch option.Name {
		case "conf":
			o.Set("conf", option.Value)
		case "id":
			o.Set("user", option.Value)
		default:
			o.Set("option."+option.Name, option.Value)
		}
	}
	return nil
}

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	if err := o.ByUser("an image in a cluster"); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Snapshot != "" && !o.Mode.ReadOnly {
		if !o.Mode.AutoReadOnly {
			return nil, driver.RefuseAs(syscall.EROFS,
				"nobody can write to a snapshot; with -r it is only read")
		}
		o.SetReadOnly()
	}
	var key driver.Secret
	if c.KeySecret != "" {
		var err error
		if key, err = o.Secret(c.KeySecret); err != nil {
			return nil, err
		}
		defer key.Wipe()
	}
	p, err := c.connect(ctx, key, o.Mode.Direct)
	if err != nil {
		return nil, err
	}
	d, err := p.open(c, o.Mode.ReadOnly)
	if err != nil {
		p.close()
		return nil, err
	}
	return d, nil
}

// check says what is missing.
func (c *config) check() error {
	for _, p := range []struct{ key, value string }{{"pool", c.Pool}, {"image", c.Image}} {
		if p.value == "" {
			return driver.Refuse("Parameter '%s' is missing", p.key)
		}
	}
	return nil
}

// failed words an answer of librbd or librados, which is negative for an error.
func failed(result int, format string, args ...any) error {
	if result >= 0 {
		return nil
	}
	no := syscall.Errno(-result)
	return driver.RefuseAs(no, "%s: %s", fmt.Sprintf(format, args...), driver.ErrnoText(no))
}

// place makes a new image under a name of its own beside the one that it will have. librbd does not
// rename an image over another: one that is there can only be written to.
func place(p *driver.Placing) (*driver.Place, error) {
	var c config
	if err := driver.Fill(&c, p.Options.Clone()); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.KeySecret != "" {
		return nil, driver.Refuse("an image is made with a key from the configuration file only")
	}
	pool, err := c.connect(context.Background(), nil, false)
	if err != nil {
		return nil, err
	}
	place, err := pool.place(c.Image, p)
	if err != nil {
		pool.close()
	}
	return place, err
}

// place is the part of place that has a pool, which the result closes.
func (p *pool) place(name string, placing *driver.Placing) (*driver.Place, error) {
	there, err := p.has(name)
	if err != nil {
		return nil, err
	}
	if there && !placing.Force {
		return nil, driver.RefuseAs(syscall.EEXIST, "is there already")
	}
	o := placing.Options.Clone()
	o.Set("driver", driverName)
	end := func(do func() error) func() error {
		return func() error {
			defer p.close()
			return do()
		}
	}
	if there {
		nothing := end(func() error { return nil })
		return &driver.Place{Options: o, Publish: nothing, Discard: nothing}, nil
	}
	part := name + ".part"
	if err := p.create(part); err != nil {
		return nil, err
	}
	o.Set("image", part)
	return &driver.Place{
		Options: o,
		Publish: end(func() error { return p.rename(part, name) }),
		Discard: end(func() error { return p.remove(part) }),
	}, nil
}
