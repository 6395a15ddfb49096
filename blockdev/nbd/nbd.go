// Package nbd reads and writes the exports of NBD servers: as a driver for names such as
// nbd://host/export, and as a library.
//
//	address := nbd.Address{Network: "unix", Path: "/tmp/sock"}
//	client, err := nbd.Dial(ctx, nbd.Config{Address: address})
//
// A Client is one export, for many goroutines at once. Below it a link is a place for a connection,
// which is made anew when it is lost, and a conn is one connection: requests in flight, and whoever
// waits reads for all. The protocol's bytes are those of the package nbdwire.
//
//	device ─▶ Client ─▶ link ─▶ conn ─▶ socket
//	queue ─────────────────────▶ conn
//	pair  ─▶ two queues
//
// What a server says is not believed. Each byte of a read must come exactly once, a reply that
// contradicts itself ends the connection, and an export that is another one after a reconnection is
// not used.
package nbd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// Driver is the protocol driver for exports of NBD servers.
var Driver = driver.Driver{
	Name:      "nbd",
	Doc:       "an export of an NBD server",
	Kind:      driver.Protocol,
	Config:    config{},
	Schemes:   []string{"nbd", "nbd+tcp", "nbd+unix"},
	ParseName: parseName,
	Open:      open,
}

// config are the options of Driver.
type config struct {
	Server driver.Group `option:"server" help:"server.type=unix|inet|fd, server.path, server.host, server.port, server.str"`
	Path   *string      `option:"path" help:"the socket of a server on this machine"`
	Host   *string      `option:"host" help:"name or address of the server's machine"`
	Port   *string      `option:"port" help:"TCP port, 10809 by default"`
	exportConfig
}

// exportConfig are the options that have nothing to do with where the server is.
type exportConfig struct {
	Export string `option:"export" help:"name of the export; without it the default one"`
	// Credentials that are asked for and have no name are no reason to do without.
	Credentials    *string `option:"tls-creds" help:"id of an object with TLS credentials"`
	Hostname       string  `option:"tls-hostname" help:"name in the server's certificate"`
	Context        *string `option:"x-dirty-bitmap" help:"meta context instead of base:allocation"`
	ReconnectDelay int64   `option:"reconnect-delay" default:"0" help:"seconds to wait for a lost connection"`
	OpenTimeout    int64   `option:"open-timeout" default:"0" help:"seconds that opening goes on trying"`
	Connections    int64   `option:"connections" default:"0" help:"most at a time; 0 means what is best"`
}

// usualConnections are the most where nobody says how many: with more than there are processors,
// threads of the server stand in each other's way. QEMU makes one, which servers that count their
// clients can see.
func usualConnections() int { return max(2, min(mostUsual, runtime.NumCPU())) }

// mostUsual are the most to a server that does few requests of one at a time.
const mostUsual = 4

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	cfg, err := o.Config.(*config).settle(o)
	if err != nil {
		return nil, err
	}
	return dialNode(ctx, o, cfg)
}

// settle says which export of which server to use, and how.
func (c *config) settle(o *driver.Opening) (Config, error) {
	a, err := c.address()
	if err != nil {
		return Config{}, err
	}
	cfg, err := c.configure(o, a)
	if a.Network == "fd" && err == nil {
		err = o.ByUser("a connection of this program")
		cfg.Connections, cfg.lean = 1, false
	}
	return cfg, err
}

func dialNode(ctx context.Context, o *driver.Opening, cfg Config) (*device, error) {
	client, err := Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d := &device{
		Client: client, driver: o.Driver.Name, config: o.Config, likeQEMU: o.LikeQEMU(),
		dirty: map[string]*known{},
	}
	for _, name := range client.Bitmaps() {
		d.dirty[name] = &known{}
	}
	if err := d.admit(o); err != nil {
		_ = client.Close()
		return nil, err
	}
	return d, nil
}

// configure says how to use the export of a server at a.
func (c *exportConfig) configure(o *driver.Opening, a Address) (Config, error) {
	cfg := Config{
		Address: a, Export: c.Export, Connections: int(min(c.Connections, 16)),
		ReconnectDelay: seconds(c.ReconnectDelay), OpenTimeout: seconds(c.OpenTimeout),
		Until: o.Until,
	}
	if c.Context != nil {
		cfg.Context = *c.Context
		if cfg.Context == "" {
			return cfg, refuse(o, syscall.EINVAL, "x-dirty-bitmap is the name of a meta context")
		}
	}
	if o.LikeQEMU() { // a server that counts requests shall see those of QEMU
		cfg.Piece, cfg.trusting = nbdwire.DefaultMaxPayload, true
	} else {
		cfg.Bitmaps = true
		if cfg.Connections <= 0 {
			cfg.Connections, cfg.lean = usualConnections(), true
		}
	}
	var err error
	cfg.TLS, err = c.tls(o, a)
	return cfg, err
}

// seconds is a time in seconds, of which QEMU keeps 32 bits.
func seconds(n int64) time.Duration { return time.Duration(uint32(n)) * time.Second }

// admit holds what the server offers against what was asked for.
func (d *device) admit(o *driver.Opening) error {
	if _, ok := d.agreed.context(); !ok && d.cfg.Context != "" {
		return refuse(o, syscall.EINVAL, "the export has no meta context '"+d.cfg.Context+"'")
	}
	if !d.agreed.has(nbdwire.ReadOnly) || o.Mode.ReadOnly {
		return nil
	}
	if o.Mode.AutoReadOnly {
		o.SetReadOnly()
		return nil
	}
	return refuse(o, syscall.EACCES,
		"the server lets nobody write to the export; with -r it is only read")
}

// refuse says why the export cannot be used, in QEMU's words to those who want them.
func refuse(o *driver.Opening, no syscall.Errno, text string) error {
	if o.LikeQEMU() {
		return driver.Because(no, "Could not open image")
	}
	return driver.RefuseAs(no, "%s", text)
}

// device is an export as a node.
type device struct {
	driver.Leaf
	*Client
	driver   string // name of the driver
	config   any    // as it was opened
	likeQEMU bool
	server   *Server // that was started for this, nil for none
	known    known
	dirty    map[string]*known // by bitmap
}

var _ interface {
	driver.Node
	driver.Queuer
	driver.Stored
	driver.Reopener
	driver.BitmapReader
	driver.Located
	driver.Named
} = (*device)(nil)

// Info lets long requests pass: they are cut here, into pieces that are in flight together.
func (d *device) Info() driver.Info {
	l := d.agreed.limits()
	l.MaxTransfer = 0
	return driver.Info{Driver: d.driver, Limits: l}
}

// ReadVec asks for no byte behind the end, where the last block may lie in part. There are zeroes.
func (d *device) ReadVec(ctx context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	inside := min(v.Len(), max(0, d.size()-off))
	if rest := v.Len() - inside; rest > 0 {
		v.Slice(inside, rest).Clear()
		v = v.Slice(0, inside)
	}
	if inside == 0 {
		return nil
	}
	return d.Read(ctx, v, off)
}

// WriteVec refuses what touches the part of the last sector that the export does not have.
func (d *device) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	if off > d.size()-v.Len() {
		return syscall.ENOSPC
	}
	defer d.forget(off, v.Len())
	return d.Write(ctx, v, off, f&driver.FUA != 0)
}

func (d *device) Zero(ctx context.Context, off, n int64, f driver.Flags) error {
	fast := f&driver.NoFallback != 0
	switch {
	case off > d.size()-n:
		return syscall.ENOSPC
	case !d.agreed.has(nbdwire.SendWriteZeroes) || fast && !d.agreed.has(nbdwire.SendFastZero):
		return driver.ErrNotSupported
	}
	defer d.forget(off, n)
	flags := ZeroFlags{FUA: f&driver.FUA != 0, NoHole: f&driver.MayUnmap == 0, Fast: fast}
	return d.Client.Zero(ctx, off, n, flags)
}

// Discard of less than the server's smallest block has nothing to bring.
func (d *device) Discard(ctx context.Context, off, n int64, _ driver.Flags) error {
	align := d.agreed.align()
	switch {
	case off > d.size()-n:
		return syscall.EINVAL
	case !d.agreed.has(nbdwire.SendTrim):
		return driver.ErrNotSupported
	case off%align != 0 || n%align != 0:
		return nil
	}
	defer d.forget(off, n)
	return d.Trim(ctx, off, n)
}

func (d *device) Flush(ctx context.Context) error {
	if !d.agreed.has(nbdwire.SendFlush) {
		return nil
	}
	return d.Client.Flush(ctx)
}

// Truncate cannot change what the server has. QEMU lets a caller who is content with more than he
// asked for have it.
func (d *device) Truncate(_ context.Context, size int64, _ driver.Prealloc, _ driver.Flags) error {
	switch {
	case size > d.size():
		return driver.RefuseAs(syscall.ENOTSUP, "Cannot grow NBD nodes")
	case size < d.size() && !d.likeQEMU:
		return driver.RefuseAs(syscall.ENOTSUP, "Cannot resize NBD nodes")
	}
	return nil
}

// Prepare takes another mode, but no other options, and writes only where the server lets it.
func (d *device) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	err = o.Unchanged(d.config)
	if err == nil && d.agreed.has(nbdwire.ReadOnly) && !o.Mode.ReadOnly {
		err = driver.RefuseAs(syscall.EACCES, "Can't reopen read-only NBD mount as read/write")
	}
	return nil, nil, err
}

func (d *device) size() int64 { return int64(d.agreed.export.Size) }

// Filename is the name that QEMU knows the export by, in its dialects, and otherwise one that can
// be opened.
func (d *device) Filename() string {
	a, export := d.cfg.Address, d.cfg.Export
	switch {
	case d.server != nil || a.Network == "fd" || a.Abstract && !d.likeQEMU:
		return ""
	case !d.likeQEMU:
		return a.URI(export, d.cfg.TLS != nil)
	case a.Network == "unix" && export == "":
		return "nbd+unix://?socket=" + a.Path
	case a.Network == "unix":
		return "nbd+unix:///" + export + "?socket=" + a.Path
	case export == "":
		return "nbd://" + a.Host + ":" + a.Port
	}
	return "nbd://" + a.Host + ":" + a.Port + "/" + export
}

// Location names the export, unless its server was started for this node.
func (d *device) Location() string {
	a := d.cfg.Address
	if d.server != nil || a.Network == "fd" {
		return ""
	}
	if path, err := filepath.Abs(a.Path); err == nil && a.Path != "" && !a.Abstract {
		a.Path = path
	}
	return fmt.Sprintf("%q of %v, %t", d.cfg.Export, a, a.Abstract)
}

// Close takes leave of the server, and ends it if it was started for this.
func (d *device) Close() error {
	err := d.Client.Close()
	if d.server != nil {
		err = errors.Join(err, d.server.stop(d.cfg.until()))
	}
	return err
}

// DescribeStorage tells what was agreed on with the server.
func (d *device) DescribeStorage() []driver.Detail {
	a := &d.agreed
	list := []driver.Detail{
		{Key: "export", Value: d.cfg.Export},
		{Key: "server", Value: d.cfg.Address.String()},
		{Key: "replies", Value: a.form.String()},
	}
	if a.oldstyle {
		list[2].Value = "simple (oldstyle)"
	}
	if a.export.Description != "" {
		list = append(list, driver.Detail{Key: "description", Value: a.export.Description})
	}
	list = append(list, driver.Detail{Key: "tls", Value: cmp.Or(a.tls, "none")},
		driver.Detail{Key: "flags", Value: a.export.Flags.String()})
	if b := a.export.Blocks; b.Minimum != 0 {
		list = append(list, driver.Detail{Key: "block sizes", Sub: []driver.Detail{
			{Key: "minimum", Value: int64(b.Minimum)},
			{Key: "preferred", Value: int64(b.Preferred)},
			{Key: "maximum", Value: int64(b.Maximum)},
		}})
	}
	var contexts []string
	for _, c := range a.contexts {
		contexts = append(contexts, c.Name)
	}
	return append(list,
		driver.Detail{Key: "meta contexts", Value: strings.Join(contexts, " ")},
		driver.Detail{Key: "connections", Value: int64(d.connections())})
}
