// Package raw is the format of images that are nothing but the guest's bytes, one after the other.
//
// With offset and size it is a window into its file: guest byte 0 is the file's byte offset, and a
// size makes the length fixed where it otherwise follows the file. Everything else is passed on.
//
// A raw image that was found by probing is dangerous: a guest may write the header of another
// format into its first bytes, and the next opener would believe it, along with the host files that
// such a header can name. Such an image therefore refuses to store what probing would take for
// anything but raw.
package raw

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// Driver is the raw format.
var Driver = driver.Driver{
	Name:     "raw",
	Doc:      "plain bytes, all of a file or a window into it",
	Kind:     driver.Format,
	Resolves: driver.OverProtocol,
	Config:   config{},
	// The least there is: raw is what nothing else is.
	Probe: func([]byte, string) int { return 1 },
	Open:  open,

	CreateConfig: createConfig{},
	Measure:      measure,
	Create:       create,
}

type config struct {
	File   driver.Child  `option:"file" help:"where the bytes are"`
	Offset driver.Bytes  `option:"offset" default:"0" help:"where the image starts in its file, in bytes"`
	Size   *driver.Bytes `option:"size" help:"length of the image in bytes, a multiple of 512; to the end of the file if not given"`
}

// window is the part of the file that the image is. size is -1 where it ends with the file.
type window struct{ offset, size int64 }

type image struct {
	driver.Leaf
	file   driver.Node
	window atomic.Pointer[window]
	// probe names the format that the first bytes of an image look like. It is nil unless the image
	// was probed.
	probe func(head []byte) string
	// warn says, at the first write to the first sector, that it may be refused.
	warn func()
	// exact: an image that was probed ends where the file does, also amid a sector. To QEMU it has
	// whole ones.
	exact bool
}

var (
	_ driver.Node     = (*image)(nil)
	_ driver.Reopener = (*image)(nil)
)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	file, err := o.Child(ctx, c.File, driver.RoleFile)
	if err != nil {
		return nil, err
	}
	w, err := windowOf(c, file.Info().Size)
	if err != nil {
		return nil, err
	}
	r := &image{file: file}
	r.window.Store(w)
	if o.Probed {
		if o.LikeQEMU() && !o.Mode.ReadOnly {
			o.Notify(driver.ProbedRaw{File: o.Filename})
		}
		r.probe = func(head []byte) string { return o.ProbeFormat(head, "") }
		r.exact = !o.LikeQEMU()
		r.warn = sync.OnceFunc(func() {
			if !o.LikeQEMU() { // or it was said already
				o.Notify(driver.ProbedRaw{File: o.Filename, Restricted: true})
			}
		})
	}
	return r, nil
}

// windowOf reads the options and checks them against the length of the file, which counts in whole
// sectors. The texts are those of qemu-io 7.2.22, two blanks included.
func windowOf(c *config, fileSize int64) (*window, error) {
	w := &window{offset: c.Offset.Int(), size: -1}
	if c.Size != nil {
		w.size = c.Size.Int()
	}
	length := driver.WholeSectors(fileSize)
	switch {
	case w.offset > length:
		return nil, driver.Refuse(
			"Offset (%d) cannot be greater than size of the containing file (%d)", c.Offset, length)
	case w.size > length-w.offset:
		return nil, driver.Refuse(
			"The sum of offset (%d) and size (%d) has to be smaller or equal to the  actual size of the containing file (%d)",
			w.offset, *c.Size, length)
	case w.size > 0 && w.size%driver.SectorSize != 0:
		return nil, driver.Refuse("Specified size is not multiple of %d", driver.SectorSize)
	}
	return w, nil
}

// Prepare lets offset and size change.
func (r *image) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	w, err := windowOf(o.Config.(*config), r.file.Info().Size)
	if err != nil {
		return nil, nil, err
	}
	return func() { r.window.Store(w) }, nil, nil
}

// Info takes over what a node does from the one below. Alignment and the unit of zeroing stay with
// the file, whose guard pads and fires its events there.
func (r *image) Info() driver.Info {
	below := r.file.Info()
	w := r.window.Load()
	info := driver.Info{
		Driver:        "raw",
		NeedsZeroInit: below.NeedsZeroInit,
		Serial:        below.Serial,
		KnowsSizes:    below.KnowsSizes,
		Limits:        below.Inherited(),
	}
	info.Size = w.size
	info.LostOff, info.LostEnd = max(0, below.LostOff-w.offset), max(0, below.LostEnd-w.offset)
	info.WriteTakes = below.WriteTakes & driver.FUA
	info.ZeroTakes = below.ZeroTakes & (driver.FUA | driver.MayUnmap | driver.NoFallback)
	if w.size < 0 {
		info.Size = max(0, below.Size-w.offset)
	}
	if r.probe != nil {
		info.RequestAlign = driver.SectorSize // the first sector then is in one request, whole
	}
	return info
}

// at is where n bytes from off are in the file, none when it refuses them.
func (r *image) at(off, n int64, past syscall.Errno) (int64, error) {
	w := r.window.Load()
	if off > math.MaxInt64-w.offset-n {
		return 0, syscall.EINVAL
	}
	if w.size >= 0 && off+n > w.size {
		return 0, past
	}
	return w.offset + off, nil
}

func (r *image) ReadVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	at, err := r.at(off, v.Len(), syscall.EINVAL)
	if err != nil {
		return err
	}
	if err := driver.Fire(ctx, r.file, driver.EvReadAIO); err != nil {
		return err
	}
	return r.file.ReadVec(ctx, v, at, f)
}

func (r *image) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	at, err := r.at(off, v.Len(), syscall.ENOSPC)
	if err != nil {
		return err
	}
	if r.probe != nil && off < driver.SectorSize {
		if err := r.checkHead(v, off); err != nil {
			return err
		}
	}
	if r.exact { // and v for whole sectors
		v = v.Slice(0, min(v.Len(), max(0, r.Info().Size-off)))
	}
	if err := driver.Fire(ctx, r.file, driver.EvWriteAIO); err != nil {
		return err
	}
	return r.file.WriteVec(ctx, v, at, f)
}

// checkHead refuses a first sector that would not be probed as raw.
func (r *image) checkHead(v driver.Vec, off int64) error {
	var head [driver.SectorSize]byte
	if off != 0 || v.CopyTo(head[:]) < len(head) {
		return syscall.EINVAL
	}
	r.warn()
	if format := r.probe(head[:]); format != Driver.Name {
		return driver.RefuseAs(syscall.EPERM,
			"the first sector would make it an image of format %s", format)
	}
	return nil
}

func (r *image) Zero(ctx context.Context, off, n int64, f driver.Flags) error {
	at, err := r.at(off, n, syscall.ENOSPC)
	if err != nil {
		return err
	}
	return r.file.Zero(ctx, at, n, f)
}

func (r *image) Discard(ctx context.Context, off, n int64, f driver.Flags) error {
	at, err := r.at(off, n, syscall.ENOSPC)
	if err != nil {
		return err
	}
	return r.file.Discard(ctx, at, n, f)
}

// Flush has nothing of its own to write.
func (r *image) Flush(ctx context.Context) error { return r.file.Flush(ctx) }

// Primary is the file.
func (r *image) Primary() driver.Node { return r.file }

// Window is the part of the file that the image is.
func (r *image) Window() (off, size int64) {
	w := r.window.Load()
	return w.offset, w.size
}

// SameBytes says whether the window begins where the file does.
func (r *image) SameBytes() bool { return r.window.Load().offset == 0 }

// Status is that of the file, holes and all.
func (r *image) Status(ctx context.Context, off, n int64) (driver.Extent, error) {
	at, err := r.at(off, n, syscall.EINVAL)
	if err != nil {
		return driver.Extent{}, err
	}
	e, err := r.file.Status(ctx, at, n)
	e.Off = off
	return e, err
}

// Truncate changes the length of the file, unless the image has a size of its own.
func (r *image) Truncate(ctx context.Context, size int64, p driver.Prealloc, f driver.Flags) error {
	w := r.window.Load()
	if w.size >= 0 {
		return driver.RefuseAs(syscall.ENOTSUP, "Cannot resize fixed-size raw disks")
	}
	if size > math.MaxInt64-w.offset {
		return driver.RefuseAs(syscall.EINVAL, "Disk size too large for the chosen offset")
	}
	return r.file.Truncate(ctx, w.offset+size, p, f)
}
