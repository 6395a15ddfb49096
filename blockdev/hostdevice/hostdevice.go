// Package hostdevice is the protocol of block and character devices of the host, among them drives
// for discs that can be taken out.
//
// What makes a device different from a file is asked by ioctl: its size, its sectors, whether it
// may be written to, and how a range is discarded or zeroed. All of those pass through one
// function, ioctl, with the bytes of the kernel's structures built here.
package hostdevice

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/hostfile"
)

const driverName = "host_device"

// Driver opens devices. A path to one chooses it by itself.
var Driver = driver.Driver{
	Name:      driverName,
	Doc:       "a block or character device of the host",
	Kind:      driver.Protocol,
	Device:    true,
	Config:    hostfile.Options{},
	Schemes:   []string{driverName},
	ParseName: func(name string, o *driver.Options) error { return withoutPrefix(driverName, name, o) },
	ProbePath: probeDevice,
	Place:     place,
	Open: func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		return open(o, hostfile.Config{}, control)
	},
}

// CDROM opens drives that may be empty.
var CDROM = driver.Driver{
	Name:      "host_cdrom",
	Doc:       "a CD or DVD drive of the host",
	Kind:      driver.Protocol,
	Device:    true,
	Config:    hostfile.Options{},
	Schemes:   []string{"host_cdrom"},
	ParseName: func(name string, o *driver.Options) error { return withoutPrefix("host_cdrom", name, o) },
	ProbePath: probeCDROM,
	Open: func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		return open(o, hostfile.Config{NonBlocking: true}, control)
	},
}

// withoutPrefix takes what stands behind the name of a driver for a path.
func withoutPrefix(driverName, name string, o *driver.Options) error {
	o.Set("filename", strings.TrimPrefix(name, driverName+":"))
	return nil
}

// device is an open device. ioctl is replaced in tests, since nothing else can stand for hardware
// that is not there.
type device struct {
	*hostfile.File
	ioctl  ioctl
	block  bool  // a block device and not a character device
	sector int64 // bytes of a logical sector

	zero, hole, discard hostfile.Ability
}

var _ interface {
	driver.Node
	driver.Queuer
	hostfile.Node
} = (*device)(nil)

func open(o *driver.Opening, cfg hostfile.Config, ctl ioctl) (driver.Node, error) {
	d := &device{ioctl: ctl, sector: driver.SectorSize}
	cfg.Accept = func(st *unix.Stat_t) error {
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFBLK && kind != unix.S_IFCHR {
			return fmt.Errorf("'%s' driver requires '%s' to be either a character or block device",
				o.Driver.Name, o.Config.(*hostfile.Options).Filename)
		}
		return nil
	}
	cfg.Writable, cfg.Size = d.writable, d.sizeOf
	f, err := hostfile.Open(o, cfg)
	if err != nil {
		return nil, err
	}
	d.File = f
	if err := d.learn(cfg.NonBlocking); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	z, err := d.zoned(o.Notify)
	switch {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case z != nil:
		return z, nil
	}
	return d, nil
}

// writable refuses a block device that is set read-only: it would open for writing and then fail
// each write.
func (d *device) writable(fd int) error {
	if ro, err := d.ioctl.uint32(fd, unix.BLKROGET); err == nil && ro != 0 {
		return driver.Because(unix.EACCES, "The device is not writable")
	}
	return nil
}

// learn finds out what cannot change while the device is open, and its size. A drive without a
// medium is empty.
func (d *device) learn(removable bool) error {
	return d.With(func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return driver.Because(err, "Could not stat file")
		}
		d.block = st.Mode&unix.S_IFMT == unix.S_IFBLK
		sector, err := d.ioctl.uint32(fd, unix.BLKSSZGET)
		if err == nil && sector >= driver.SectorSize && sector&(sector-1) == 0 {
			d.sector = int64(sector)
		}
		if removable && !mediumPresent(fd) {
			return nil
		}
		return d.Measure()
	})
}

func (d *device) sizeOf(fd int) (int64, error) {
	if !d.block {
		return unix.Seek(fd, 0, unix.SEEK_END)
	}
	size, err := d.ioctl.uint64(fd, unix.BLKGETSIZE64)
	if err == nil && int64(size) < 0 {
		err = unix.EFBIG
	}
	return int64(size), err
}

// Info adds that fresh space of a device holds whatever was there before.
func (d *device) Info() driver.Info {
	i := d.File.Info()
	i.NeedsZeroInit = true
	i.ZeroTakes = driver.MayUnmap | driver.NoFallback
	i.Block = d.sector
	return i
}

// Wrote has nothing to do: a device does not grow.
func (*device) Wrote(int64) {}

// NewQueue makes a batch queue.
func (d *device) NewQueue(ctx context.Context, depth, size int) (driver.Queue, error) {
	return d.BatchQueue(ctx, d, depth, size)
}

// Status calls all of a device data.
func (d *device) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	return driver.Extent{
		Off: off, Len: n, Allocated: true, Data: true, Untold: true,
		Node: d.File.Info().Driver, HostOff: off,
	}, nil
}

// Zero gives the space back if it may, in the way that promises zeroes afterwards; otherwise it has
// the device zeroed. Whether that writes zeroes one by one the kernel does not say, so NoFallback
// rules it out.
func (d *device) Zero(ctx context.Context, off, n int64, f driver.Flags) error {
	if !d.block || (off|n)%d.sector != 0 {
		return driver.ErrNotSupported
	}
	if f&driver.MayUnmap != 0 {
		err := d.hole.Try(func() error { return d.Fallocate(ctx, hostfile.Punch, off, n) })
		if !errors.Is(err, driver.ErrNotSupported) && !errors.Is(err, unix.EINVAL) &&
			!errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	if f&driver.NoFallback != 0 {
		return driver.ErrNotSupported
	}
	return d.zero.Try(func() error { return d.rangeIoctl(ctx, unix.BLKZEROOUT, off, n) })
}

// Discard tells the device that the range is of no more use.
func (d *device) Discard(ctx context.Context, off, n int64, _ driver.Flags) error {
	if !d.block {
		return driver.ErrNotSupported
	}
	return d.discard.Try(func() error { return d.rangeIoctl(ctx, unix.BLKDISCARD, off, n) })
}

func (d *device) rangeIoctl(ctx context.Context, req uint, off, n int64) error {
	return d.Ranges(ctx, off, n, func(fd int, off, n int64) error {
		return d.ioctl(fd, req, pair(uint64(off), uint64(n)))
	})
}

// Truncate cannot change a device. Asking for less than there is counts as done, as it does in
// QEMU.
func (d *device) Truncate(_ context.Context, size int64, p driver.Prealloc, _ driver.Flags) error {
	if p != driver.PreallocOff {
		return driver.RefuseAs(driver.ErrNotSupported,
			"Preallocation mode '%s' unsupported for this non-regular file", p)
	}
	if err := d.Measure(); err != nil {
		return err
	}
	if size > d.Size() {
		return driver.RefuseAs(unix.EINVAL, "Cannot grow device files")
	}
	return nil
}
