package hostdevice

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
)

// Requests of <linux/blkzoned.h>, in the encoding of most architectures.
const (
	blkReportZone = 0xc0101282 // _IOWR(0x12, 130, struct blk_zone_report)
	blkResetZone  = 0x40101283 // _IOW(0x12, 131, struct blk_zone_range)
	blkGetZoneSz  = 0x80041284 // _IOR(0x12, 132, __u32), in sectors of 512 bytes
	blkOpenZone   = 0x40101286
	blkCloseZone  = 0x40101287
	blkFinishZone = 0x40101288
)

// Sizes of the kernel's structures, in bytes, and a flag of them.
const (
	reportHeader   = 16 // struct blk_zone_report: sector, nr_zones, flags
	reportedZone   = 64 // struct blk_zone
	reportCapacity = 1  // BLK_ZONE_REP_CAPACITY: the field capacity is filled in
)

// zonesPerReport is how many zones are asked for at once.
const zonesPerReport = 1024

// conventional is the type of a zone without a write pointer.
const conventional = 1

// zonedDevice is a block device made of zones that are written from their start on.
type zonedDevice struct {
	*device
	zoneSize int64 // bytes, a power of two
	appends  wait.Mutex
	warn     func(driver.Notice)
}

var _ driver.Zoned = (*zonedDevice)(nil)

// zoned is d with zones, nil if it has none.
func (d *device) zoned(notify func(driver.Notice)) (*zonedDevice, error) {
	if !d.block {
		return nil, nil
	}
	var sectors uint32
	err := d.With(func(fd int) (err error) {
		sectors, err = d.ioctl.uint32(fd, blkGetZoneSz)
		return err
	})
	if err != nil || sectors == 0 {
		return nil, nil // not zoned, or a kernel that knows no zones
	}
	if sectors&(sectors-1) != 0 {
		return nil, driver.Refuse("Zones of %d sectors: not a power of two", sectors)
	}
	return &zonedDevice{device: d, zoneSize: int64(sectors) * driver.SectorSize, warn: notify}, nil
}

// ReportZones asks the device in portions.
func (z *zonedDevice) ReportZones(ctx context.Context, off int64,
	limit int,
) ([]driver.Zone, error) {
	var zones []driver.Zone
	for len(zones) < limit && off < z.Size() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		part, err := z.report(off, min(limit-len(zones), zonesPerReport))
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			break
		}
		zones = append(zones, part...)
		last := part[len(part)-1]
		if last.Start+last.Length <= off {
			return nil, fmt.Errorf("zone report does not go on behind %d: %w", off, unix.EIO)
		}
		off = last.Start + last.Length
	}
	return zones, nil
}

// report is one BLKREPORTZONE.
func (z *zonedDevice) report(off int64, n int) ([]driver.Zone, error) {
	arg := make([]byte, reportHeader+n*reportedZone)
	binary.NativeEndian.PutUint64(arg[0:], uint64(off/driver.SectorSize))
	binary.NativeEndian.PutUint32(arg[8:], uint32(n))
	if err := z.With(func(fd int) error { return z.ioctl(fd, blkReportZone, arg) }); err != nil {
		return nil, fmt.Errorf("report zones from %d: %w", off, err)
	}
	got := binary.NativeEndian.Uint32(arg[8:])
	if got > uint32(n) {
		return nil, fmt.Errorf("zone report of %d zones where %d fit: %w", got, n, unix.EIO)
	}
	hasCapacity := binary.NativeEndian.Uint32(arg[12:])&reportCapacity != 0
	zones := make([]driver.Zone, got)
	for i := range zones {
		at := reportHeader + i*reportedZone
		zones[i] = decodeZone(arg[at:at+reportedZone], hasCapacity)
	}
	return zones, nil
}

// decodeZone reads a struct blk_zone. Its numbers count sectors of 512 bytes. Without a capacity
// all of a zone can be used.
func decodeZone(b []byte, hasCapacity bool) driver.Zone {
	bytes := func(at int) int64 {
		return int64(binary.NativeEndian.Uint64(b[at:])) * driver.SectorSize
	}
	zone := driver.Zone{
		Start: bytes(0), Length: bytes(8), WritePointer: bytes(16), Type: b[24], Condition: b[25],
		Capacity: bytes(8),
	}
	if hasCapacity {
		zone.Capacity = bytes(32)
	}
	return zone
}

// zoneRequests are the calls of the kernel that change zones.
var zoneRequests = [...]struct {
	req  uint
	name string
}{
	driver.ZoneOpen:   {blkOpenZone, "BLKOPENZONE"},
	driver.ZoneClose:  {blkCloseZone, "BLKCLOSEZONE"},
	driver.ZoneFinish: {blkFinishZone, "BLKFINISHZONE"},
	driver.ZoneReset:  {blkResetZone, "BLKRESETZONE"},
}

// ManageZones changes the state of whole zones; the last one may be short.
func (z *zonedDevice) ManageZones(_ context.Context, op driver.ZoneOp, off, n int64) error {
	if off%z.zoneSize != 0 {
		return z.misaligned(driver.ZoneMisaligned{Value: off})
	}
	if end := off + n; end < off || end > z.Size() || end < z.Size() && n%z.zoneSize != 0 {
		return z.misaligned(driver.ZoneMisaligned{Length: true, Value: n})
	}
	r := zoneRequests[op]
	arg := pair(uint64(off/driver.SectorSize), uint64(n/driver.SectorSize))
	if err := z.With(func(fd int) error { return z.ioctl(fd, r.req, arg) }); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

// misaligned refuses what is not made of whole zones. Why goes to the person and not into the
// error.
func (z *zonedDevice) misaligned(n driver.ZoneMisaligned) error {
	n.Zone = z.zoneSize
	z.warn(n)
	return unix.EINVAL
}

// AppendZone writes at the write pointer of the zone that starts at off, which the device is asked
// for each time so that it is right whoever wrote there before. One append at a time.
func (z *zonedDevice) AppendZone(ctx context.Context, v driver.Vec, off int64) (int64, error) {
	if off%z.zoneSize != 0 {
		return 0, z.misaligned(driver.ZoneMisaligned{Value: off})
	}
	if v.Len()%z.sector != 0 {
		return 0, unix.EINVAL
	}
	if err := z.appends.Lock(ctx); err != nil {
		return 0, err
	}
	defer z.appends.Unlock()
	zones, err := z.report(off, 1)
	if err != nil {
		return 0, err
	}
	if len(zones) == 0 || zones[0].Type == conventional {
		return 0, unix.EINVAL
	}
	at := zones[0].WritePointer
	if at < off || at+v.Len() > off+zones[0].Capacity {
		return 0, fmt.Errorf("zone at %d is full up to %d of %d bytes: %w", off, at-off,
			zones[0].Capacity, unix.EIO)
	}
	return at, z.WriteVec(ctx, v, at, 0)
}
