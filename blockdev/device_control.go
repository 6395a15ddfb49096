package blockdev

import (
	"context"
	"iter"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
)

// control makes a request that is no transfer: while it goes on the length does not change, nor is
// the device reopened or closed.
func (d *Device) control(ctx context.Context, op Op, off, n int64, do func() error) error {
	if err := d.enter(op, off, n); err != nil {
		return err
	}
	tracker := &d.tree.top.guard.tracker
	r, err := tracker.enterControl(ctx)
	if err != nil {
		return d.wrap(op, off, n, err)
	}
	defer tracker.end(r)
	return d.wrap(op, off, n, do())
}

// written has the next flush go down to the storage. It is for changes that no guard sees.
func (d *Device) written() {
	for g := range d.guards() {
		g.written.Add(1)
	}
}

// guards are those of the layers of which each is the storage of the one before.
func (d *Device) guards() iter.Seq[*guard] {
	return func(yield func(*guard) bool) {
		for n := d.top; n != nil; n = n.Primary() {
			if g, ok := n.(*guard); ok && !yield(g) {
				return
			}
		}
	}
}

// Status describes the run at off, see Node.Status. Behind the end of the device it is empty. What
// others cut off while it is open is an error.
func (d *Device) Status(ctx context.Context, off, n int64) (Extent, error) {
	if err := d.enter(opStatus, off, n); err != nil {
		return Extent{}, err
	}
	if off < 0 || n < 0 {
		return Extent{}, d.wrap(opStatus, off, n, syscall.EINVAL)
	}
	if err := checkLost(d.top.Info().Limits, off, min(n, 1)); err != nil {
		return Extent{}, d.wrap(opStatus, off, n, err)
	}
	n = min(n, d.Size()-off)
	if n <= 0 {
		return Extent{Off: off, HostOff: -1}, nil
	}
	e, err := d.top.Status(ctx, off, n)
	return e, d.wrap(opStatus, off, n, err)
}

// noState is what formats without an area for machine state lack.
const noState = "have no room for the state of a machine"

// ReadVMState and WriteVMState reach the area for machine state of the first format that has one;
// ENOTSUP if none has.
func (d *Device) ReadVMState(ctx context.Context, v Vec, off int64) error {
	return d.control(ctx, opReadState, off, v.Len(), func() error {
		s, err := find[driver.VMStater](d, noState)
		if err != nil {
			return err
		}
		return s.ReadVMState(ctx, v, off)
	})
}

// WriteVMState see ReadVMState.
func (d *Device) WriteVMState(ctx context.Context, v Vec, off int64) error {
	s, err := find[driver.VMStater](d, noState)
	if err != nil {
		return d.wrap(opWriteState, off, v.Len(), err)
	}
	return d.control(ctx, opWriteState, off, v.Len(), func() error {
		err := s.WriteVMState(ctx, v, off)
		if err == nil && d.writethrough.Load() {
			err = d.tree.top.guard.flush(ctx)
		}
		return err
	})
}

// Check judges the metadata of the image and repairs what fix allows, see Checker. It is alone on
// the device. ENOTSUP if the format has nothing to check.
func (d *Device) Check(ctx context.Context, fix Fix) (CheckResult, error) {
	return check(ctx, d, "have no metadata that could be checked",
		func(c driver.Checker) (CheckResult, error) { return c.Check(ctx, fix) })
}

// CheckClusters is Check without repairs that tells of clusters, see driver.ClusterChecker. ENOTSUP
// if the format has none to tell of.
func (d *Device) CheckClusters(ctx context.Context,
	tell func(file, off, n int64, as driver.ClusterState),
) (CheckResult, error) {
	return check(ctx, d, "do not tell of their clusters",
		func(c driver.ClusterChecker) (CheckResult, error) { return c.CheckClusters(ctx, tell) })
}

// check has a node that is a C check the image, alone on the device. Formats without one do as lack
// says.
func check[C any](ctx context.Context, d *Device, lack string,
	do func(checker C) (CheckResult, error),
) (result CheckResult, err error) {
	err = d.alone(ctx, opCheck, with(
		func() (C, error) { return find[C](d, lack) },
		func(checker C) error {
			result, err = do(checker)
			return err
		}))
	return result, err
}

// find is the first node of the stack that is a T. Formats without one do as lack says.
func find[T any](d *Device, lack string) (T, error) {
	t, ok := driver.Find[T](d.top)
	if !ok {
		return t, d.lacks(lack)
	}
	return t, nil
}

// lacks refuses what images of the format lack.
func (d *Device) lacks(what string) error {
	return driver.RefuseAs(ErrNotSupported, "images of the format %s %s", d.tree.root.driver.Name,
		what)
}

// with is a request to what find finds.
func with[T any](find func() (T, error), do func(T) error) func() error {
	return func() error {
		t, err := find()
		if err != nil {
			return err
		}
		return do(t)
	}
}

// Snapshots lists the snapshots inside the image, in its order. ENOTSUP if the format has none.
func (d *Device) Snapshots(ctx context.Context) (list []Snapshot, err error) {
	err = d.control(ctx, opSnapshots, 0, 0,
		with(d.snapshotter, func(s driver.Snapshotter) error {
			list, err = s.Snapshots(ctx)
			return err
		}))
	return list, err
}

// CreateSnapshot keeps what the guest sees now.
func (d *Device) CreateSnapshot(ctx context.Context, name string,
	now time.Time,
) (made Snapshot, err error) {
	err = d.changeSnapshots(ctx, opCreateSnapshot, func(s driver.Snapshotter) error {
		made, err = s.CreateSnapshot(ctx, name, now)
		return err
	})
	return made, err
}

// ApplySnapshot gives the guest what it saw when the snapshot was made; what it sees now is lost.
func (d *Device) ApplySnapshot(ctx context.Context, which string) (applied Snapshot, err error) {
	err = d.changeSnapshots(ctx, opApplySnapshot, func(s driver.Snapshotter) error {
		applied, err = s.ApplySnapshot(ctx, which)
		return err
	})
	return applied, err
}

// DeleteSnapshot gives up a snapshot and the space that only it took.
func (d *Device) DeleteSnapshot(ctx context.Context, which string) (deleted Snapshot, err error) {
	err = d.changeSnapshots(ctx, opDeleteSnapshot, func(s driver.Snapshotter) error {
		deleted, err = s.DeleteSnapshot(ctx, which)
		return err
	})
	return deleted, err
}

// changeSnapshots makes a request that is alone on the device. What it did is on stable storage.
func (d *Device) changeSnapshots(ctx context.Context, op Op,
	do func(driver.Snapshotter) error,
) error {
	return d.alone(ctx, op, with(d.snapshotter, do))
}

// snapshotter is the format that has snapshots.
func (d *Device) snapshotter() (driver.Snapshotter, error) {
	return find[driver.Snapshotter](d, "have no snapshots")
}

// ReportZones describes at most limit zones of a zoned device, from the one that holds off on.
// ENOTSUP without zones.
func (d *Device) ReportZones(ctx context.Context, off int64, limit int) (
	zones []driver.Zone, err error,
) {
	err = d.onZones(ctx, opReportZones, off, 0, func(z driver.Zoned) error {
		if off < 0 || limit < 0 {
			return syscall.EINVAL
		}
		zones, err = z.ReportZones(ctx, off, limit)
		return err
	})
	return zones, err
}

// ManageZones changes the state of the zones that make up a range.
func (d *Device) ManageZones(ctx context.Context, op driver.ZoneOp, off, n int64) error {
	return d.onZones(ctx, opManageZones, off, n, func(z driver.Zoned) error {
		defer d.written()
		return z.ManageZones(ctx, op, off, n)
	})
}

// AppendZone writes v at the write pointer of the zone that starts at off, and returns where that
// was.
func (d *Device) AppendZone(ctx context.Context, v Vec, off int64) (at int64, err error) {
	err = d.onZones(ctx, opAppendZone, off, v.Len(), func(z driver.Zoned) error {
		at, err = z.AppendZone(ctx, v, off)
		d.written()
		if err == nil && d.writethrough.Load() {
			err = d.tree.top.guard.flush(ctx)
		}
		return err
	})
	return at, err
}

func (d *Device) onZones(ctx context.Context, op Op, off, n int64,
	do func(driver.Zoned) error,
) error {
	z, ok := driver.Find[driver.Zoned](d.top)
	if !ok {
		return d.wrap(op, off, n, driver.RefuseAs(ErrNotSupported, "the disk has no zones"))
	}
	return d.control(ctx, op, off, n, func() error { return do(z) })
}
