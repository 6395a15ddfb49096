//go:build rbd

package rbd

// #cgo LDFLAGS: -lrbd -lrados
// #include <rados/librados.h>
// #include <rbd/librbd.h>
// #include <stdlib.h>
import "C"

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/blksh/blksh/blockdev/driver"
)

// pool is a connection to a pool of a cluster.
type pool struct {
	cluster C.rados_t
	io      C.rados_ioctx_t // nil before there is one
}

// setting is an option of the cluster's configuration.
type setting struct{ name, value string }

// settings are the options that the user gave, in an order of their own, and the key.
func (c *config) settings(key driver.Secret, direct bool) ([]setting, error) {
	var list []setting
	for _, name := range c.Option.Keys() {
		value, _ := c.Option.Get(name)
		text, ok := driver.Text(value)
		if !ok {
			return nil, driver.Refuse("Invalid parameter type for 'option.%s', expected: string", name)
		}
		list = append(list, setting{name, text})
	}
	if len(key) > 0 {
		list = append(list, setting{"key", string(key)})
	}
	if direct {
		list = append(list, setting{"rbd_cache", "false"})
	}
	return list, nil
}

// connect reaches the pool of an image. librados does not let itself be told to give up: if ctx
// ends first, it goes on alone until its own time is over.
func (c *config) connect(ctx context.Context, key driver.Secret, direct bool) (*pool, error) {
	settings, err := c.settings(key, direct)
	if err != nil {
		return nil, err
	}
	p, err := c.configure(settings)
	if err != nil {
		return nil, err
	}
	connected := make(chan error, 1)
	go func() { connected <- p.join(c) }()
	select {
	case err := <-connected:
		if err != nil {
			p.close()
			return nil, err
		}
		return p, nil
	case <-ctx.Done():
		go func() {
			<-connected
			p.close()
		}()
		return nil, context.Cause(ctx)
	}
}

// configure reads the configuration, which may be missing if nobody named it.
func (c *config) configure(settings []setting) (*pool, error) {
	var p pool
	user := optional(c.User)
	defer C.free(unsafe.Pointer(user))
	if err := failed(int(C.rados_create(&p.cluster, user)), "error initializing"); err != nil {
		return nil, err
	}
	conf := optional(c.Conf)
	defer C.free(unsafe.Pointer(conf))
	r := int(C.rados_conf_read_file(p.cluster, conf))
	if err := failed(r, "error reading conf file %s", c.Conf); err != nil && c.Conf != "" {
		p.close()
		return nil, err
	}
	for _, s := range settings {
		if err := p.set(s); err != nil {
			p.close()
			return nil, err
		}
	}
	return &p, nil
}

// optional is s for C, NULL if it is empty. It is freed by the caller.
func optional(s string) *C.char {
	if s == "" {
		return nil
	}
	return C.CString(s)
}

func (p *pool) set(s setting) error {
	name, value := C.CString(s.name), C.CString(s.value)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(value))
	return failed(int(C.rados_conf_set(p.cluster, name, value)), "invalid conf option %s", s.name)
}

// join connects and finds the pool.
func (p *pool) join(c *config) error {
	if err := failed(int(C.rados_connect(p.cluster)), "error connecting"); err != nil {
		return err
	}
	name, namespace := C.CString(c.Pool), C.CString(c.Namespace)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(namespace))
	r := int(C.rados_ioctx_create(p.cluster, name, &p.io))
	if err := failed(r, "error opening pool %s", c.Pool); err != nil {
		return err
	}
	C.rados_ioctx_set_namespace(p.io, namespace)
	return nil
}

func (p *pool) close() {
	if p.io != nil {
		C.rados_ioctx_destroy(p.io)
	}
	C.rados_shutdown(p.cluster)
}

// open opens an image, or a snapshot of it.
func (p *pool) open(c *config, readOnly bool) (*image, error) {
	name := C.CString(c.Image)
	defer C.free(unsafe.Pointer(name))
	d := &image{pool: p, config: c, readOnly: readOnly}
	var r C.int
	if readOnly {
		r = C.rbd_open_read_only(p.io, name, &d.handle, nil)
	} else {
		r = C.rbd_open(p.io, name, &d.handle, nil)
	}
	if err := failed(int(r), "error reading header from %s", c.Image); err != nil {
		return nil, err
	}
	err := d.begin()
	if err != nil {
		C.rbd_close(d.handle)
	}
	return d, err
}

// begin chooses the snapshot and asks what there is to know.
func (d *image) begin() error {
	if d.config.Snapshot != "" {
		snapshot := C.CString(d.config.Snapshot)
		defer C.free(unsafe.Pointer(snapshot))
		r := int(C.rbd_snap_set(d.handle, snapshot))
		if err := failed(r, "error opening snapshot %s", d.config.Snapshot); err != nil {
			return err
		}
	}
	var info C.rbd_image_info_t
	r := int(C.rbd_stat(d.handle, &info, C.sizeof_rbd_image_info_t))
	if err := failed(r, "error reading the size of %s", d.config.Image); err != nil {
		return err
	}
	var count C.uint64_t
	r = int(C.rbd_get_stripe_count(d.handle, &count))
	if err := failed(r, "error reading the layout of %s", d.config.Image); err != nil {
		return err
	}
	d.size.Store(int64(info.size))
	d.object = int64(info.obj_size)
	d.stripe = d.object * int64(max(count, 1))
	return nil
}

// has says whether the pool has an image of that name.
func (p *pool) has(name string) (bool, error) {
	d, err := p.open(&config{Image: name}, true)
	switch {
	case err == nil:
		return true, d.release()
	case errors.Is(err, syscall.ENOENT):
		return false, nil
	}
	return false, err
}

// create makes an empty image, with the features that the configuration names.
func (p *pool) create(name string) error {
	image := C.CString(name)
	defer C.free(unsafe.Pointer(image))
	var options C.rbd_image_options_t
	C.rbd_image_options_create(&options)
	defer C.rbd_image_options_destroy(options)
	return failed(int(C.rbd_create4(p.io, image, 0, options)), "error creating %s", name)
}

func (p *pool) rename(from, to string) error {
	before, after := C.CString(from), C.CString(to)
	defer C.free(unsafe.Pointer(before))
	defer C.free(unsafe.Pointer(after))
	return failed(int(C.rbd_rename(p.io, before, after)), "error naming %s", to)
}

func (p *pool) remove(name string) error {
	image := C.CString(name)
	defer C.free(unsafe.Pointer(image))
	return failed(int(C.rbd_remove(p.io, image)), "error removing %s", name)
}

// image is an image of a pool that is open, or a snapshot of it.
type image struct {
	driver.Leaf
	pool     *pool
	config   *config
	handle   C.rbd_image_t
	size     atomic.Int64
	resizing sync.Mutex
	object   int64 // bytes in each of its objects
	stripe   int64 // bytes from which on objects are full
	readOnly bool
}

// release closes the image and nothing else.
func (d *image) release() error {
	return failed(int(C.rbd_close(d.handle)), "error closing %s", d.config.Image)
}
