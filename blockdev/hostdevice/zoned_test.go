package hostdevice

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/hostfile"
)

// No zoned device can be had where these tests run. A fake stands behind the one function that
// calls the kernel: it answers with structures laid out by hand, byte for byte as
// <linux/blkzoned.h> has them, and takes those that it is given apart in the same way.

const (
	fakeZone     = 1 << 20 // bytes
	fakeCapacity = 3 << 18
	fakeZones    = 5 // the last one is short
	fakeSize     = 4*fakeZone + fakeZone/2
)

// fake is a device with one conventional zone and four that are written in sequence.
type fake struct {
	calls []call
	wp    [fakeZones]uint64 // sectors from the start of the zone
	old   bool              // a kernel that reports no capacity
	lie   func(report []byte)
}

type call struct {
	req uint
	arg []byte
}

func (f *fake) ioctl(_ int, req uint, arg []byte) error {
	f.calls = append(f.calls, call{req, slices.Clone(arg)})
	switch req {
	case unix.BLKSSZGET:
		copy(arg, []byte{0x00, 0x02, 0x00, 0x00})
	case 0x80041284: // BLKGETZONESZ: 2048 sectors
		copy(arg, []byte{0x00, 0x08, 0x00, 0x00})
	case 0xc0101282: // BLKREPORTZONE
		f.report(arg)
	case 0x40101283, 0x40101286, 0x40101287, 0x40101288:
		return nil
	default:
		return unix.ENOTTY
	}
	return nil
}

func (f *fake) report(arg []byte) {
	first := binary.LittleEndian.Uint64(arg[0:8]) / 2048
	room := binary.LittleEndian.Uint32(arg[8:12])
	got := uint32(0)
	for i := first; i < fakeZones && got < room; i++ {
		z := arg[16+64*got:][:64]
		binary.LittleEndian.PutUint64(z[0:], i*2048)
		binary.LittleEndian.PutUint64(z[8:], min(2048, fakeSize/512-i*2048))
		binary.LittleEndian.PutUint64(z[16:], i*2048+f.wp[i])
		z[24], z[25], z[26], z[27] = 2, 1, 0xee, 0xee
		if i == 0 {
			z[24], z[25] = 1, 0
		}
		if !f.old {
			binary.LittleEndian.PutUint64(z[32:], fakeCapacity/512)
		}
		got++
	}
	binary.LittleEndian.PutUint32(arg[8:], got)
	if !f.old {
		arg[12] = 1
	}
	if f.lie != nil {
		f.lie(arg)
	}
}

// flushed is a zoned device that counts how often it was flushed.
type flushed struct {
	*zonedDevice
	flushes int
}

func (f *flushed) Flush(ctx context.Context) error {
	f.flushes++
	return f.zonedDevice.Flush(ctx)
}

// openFake is a zoned device whose data is kept in a regular file.
func openFake(t *testing.T, f *fake) (*zonedDevice, *[]driver.Notice) {
	t.Helper()
	_, z, notices := openFakeDevice(t, f, driver.Mode{})
	return z.zonedDevice, notices
}

func openFakeDevice(t *testing.T, f *fake,
	m driver.Mode,
) (*blockdev.Device, *flushed, *[]driver.Notice) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zones")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, fakeSize)); err != nil {
		t.Fatal(err)
	}
	var z *flushed
	var notices []driver.Notice
	faked := Driver
	faked.Open = func(_ context.Context, o *driver.Opening) (driver.Node, error) {
		file, err := hostfile.Open(o,
			hostfile.Config{Accept: func(*unix.Stat_t) error { return nil }})
		if err != nil {
			return nil, err
		}
		file.SetSize(fakeSize)
		d := &device{File: file, ioctl: f.ioctl, block: true, sector: 512}
		zones, err := d.zoned(func(n driver.Notice) { notices = append(notices, n) })
		z = &flushed{zonedDevice: zones}
		return z, err
	}
	var o driver.Options
	o.Set("filename", path)
	dev, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
		Drivers: []driver.Driver{faked}, Options: &o, Format: faked.Name, Mode: m,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	f.calls = nil
	return dev, z, &notices
}

// A Device lets only those change zones who may write, only inside, and flushes what was appended.
func TestDeviceZones(t *testing.T) {
	ctx := t.Context()
	d, _, _ := openFakeDevice(t, &fake{}, driver.Mode{ReadOnly: true})
	if zones, err := d.ReportZones(ctx, 0, 2); err != nil || len(zones) != 2 {
		t.Errorf("%d zones, %v", len(zones), err)
	}
	if _, err := d.ReportZones(ctx, -fakeZone, 2); !errors.Is(err, unix.EINVAL) {
		t.Errorf("zones before the first: %v", err)
	}
	data := driver.Vec{make([]byte, 4096)}
	if err := d.ManageZones(ctx, driver.ZoneReset, 0,
		fakeZone); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("reset: %v", err)
	}
	if _, err := d.AppendZone(ctx, data, fakeZone); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("append: %v", err)
	}

	d, z, _ := openFakeDevice(t, &fake{}, driver.Mode{})
	var outside *driver.RangeError
	if err := d.ManageZones(ctx, driver.ZoneReset, fakeSize, fakeZone); !errors.As(err, &outside) {
		t.Errorf("reset behind the end: %v", err)
	}
	if _, err := d.AppendZone(ctx, data, 1<<62); !errors.As(err, &outside) {
		t.Errorf("append behind the end: %v", err)
	}
	if at, err := d.AppendZone(ctx, data, fakeZone); err != nil || at != fakeZone {
		t.Errorf("append: at %d, %v", at, err)
	}
	if err := d.Flush(ctx); err != nil || z.flushes != 1 {
		t.Errorf("flushed %d times, %v", z.flushes, err)
	}
	d.SetWriteThrough(true)
	if _, err := d.AppendZone(ctx, data, 2*fakeZone); err != nil || z.flushes != 2 {
		t.Errorf("writing through: flushed %d times, %v", z.flushes, err)
	}
}

func TestReportZones(t *testing.T) {
	f := &fake{wp: [fakeZones]uint64{1: 16, 4: 8}}
	z, _ := openFake(t, f)
	got, err := z.ReportZones(t.Context(), fakeZone, 100)
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Zone{
		{Start: 1 << 20, Length: fakeZone, Capacity: fakeCapacity, WritePointer: 1<<20 + 8192, Type: 2, Condition: 1},
		{Start: 2 << 20, Length: fakeZone, Capacity: fakeCapacity, WritePointer: 2 << 20, Type: 2, Condition: 1},
		{Start: 3 << 20, Length: fakeZone, Capacity: fakeCapacity, WritePointer: 3 << 20, Type: 2, Condition: 1},
		{Start: 4 << 20, Length: fakeZone / 2, Capacity: fakeCapacity, WritePointer: 4<<20 + 4096, Type: 2, Condition: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	head := []byte{0x00, 0x08, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0}
	if c := f.calls[0]; c.req != 0xc0101282 || !bytes.Equal(c.arg[:16], head) ||
		len(c.arg) != 16+100*64 {
		t.Errorf("asked for % x in %d bytes", c.arg[:16], len(c.arg))
	}
	if got, err := z.ReportZones(t.Context(), 0, 2); err != nil || len(got) != 2 ||
		got[0].Type != 1 {
		t.Errorf("two zones from the start: %v, %v", got, err)
	}
}

func TestReportWithoutCapacity(t *testing.T) {
	z, _ := openFake(t, &fake{old: true})
	got, err := z.ReportZones(t.Context(), 0, 1)
	if err != nil || got[0].Capacity != fakeZone {
		t.Errorf("got %v, %v", got, err)
	}
}

// A device that answers nonsense must not lead to a panic or to an endless loop.
func TestReportNonsense(t *testing.T) {
	for name, lie := range map[string]func([]byte){
		"more zones than asked for": func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 1<<30) },
		"the same zone again":       func(b []byte) { clear(b[16 : 16+16]) },
		"numbers that overflow":     func(b []byte) { copy(b[16:], bytes.Repeat([]byte{0xff}, 16)) },
	} {
		t.Run(name, func(t *testing.T) {
			z, _ := openFake(t, &fake{lie: lie})
			if _, err := z.ReportZones(t.Context(), fakeZone, 1); err == nil {
				t.Error("believed")
			}
		})
	}
}

func TestManageZones(t *testing.T) {
	for op, req := range map[driver.ZoneOp]uint{
		driver.ZoneReset: 0x40101283, driver.ZoneOpen: 0x40101286, driver.ZoneClose: 0x40101287,
		driver.ZoneFinish: 0x40101288,
	} {
		f := &fake{}
		z, _ := openFake(t, f)
		if err := z.ManageZones(t.Context(), op, 1<<20, 2<<20); err != nil {
			t.Fatal(err)
		}
		want := []byte{0x00, 0x08, 0, 0, 0, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0}
		if len(f.calls) != 1 || f.calls[0].req != req || !bytes.Equal(f.calls[0].arg, want) {
			t.Errorf("op %d: calls %x", op, f.calls)
		}
	}
}

func TestManageZonesRange(t *testing.T) {
	for _, c := range []struct {
		off, n int64
		want   driver.ZoneMisaligned // nothing if the range is fine
	}{
		{0, fakeSize, driver.ZoneMisaligned{}},
		{4 << 20, fakeZone / 2, driver.ZoneMisaligned{}},
		{512, fakeZone, driver.ZoneMisaligned{Value: 512, Zone: fakeZone}},
		{0, 512, driver.ZoneMisaligned{Length: true, Value: 512, Zone: fakeZone}},
		{4 << 20, fakeZone, driver.ZoneMisaligned{Length: true, Value: fakeZone, Zone: fakeZone}},
		{1 << 62, 1 << 62, driver.ZoneMisaligned{Length: true, Value: 1 << 62, Zone: fakeZone}},
	} {
		f := &fake{}
		z, notices := openFake(t, f)
		err := z.ManageZones(t.Context(), driver.ZoneOpen, c.off, c.n)
		if c.want.Zone == 0 {
			if err != nil || len(f.calls) != 1 {
				t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
			}
			continue
		}
		want := []driver.Notice{c.want}
		if !errors.Is(err, unix.EINVAL) || len(f.calls) != 0 || !slices.Equal(*notices, want) {
			t.Errorf("%d bytes at %d: %v, %v, %d calls", c.n, c.off, err, *notices, len(f.calls))
		}
	}
}

func TestAppendZone(t *testing.T) {
	f := &fake{wp: [fakeZones]uint64{2: 16}}
	z, _ := openFake(t, f)
	data := bytes.Repeat([]byte{0xa5}, 1024)
	at, err := z.AppendZone(t.Context(), driver.Vec{data[:512], data[512:]}, 2<<20)
	if err != nil || at != 2<<20+8192 {
		t.Fatalf("at %d: %v", at, err)
	}
	got := make([]byte, 1026)
	if err := z.ReadVec(t.Context(), driver.Vec{got}, at-1, 0); err != nil {
		t.Fatal(err)
	}
	if want := slices.Concat([]byte{0}, data, []byte{0}); !bytes.Equal(got, want) {
		t.Error("the data is not at the write pointer")
	}
	for name, c := range map[string]struct {
		off int64
		n   int
		is  error
	}{
		"conventional zone":   {0, 512, unix.EINVAL},
		"inside a zone":       {2<<20 + 512, 512, unix.EINVAL},
		"part of a sector":    {2 << 20, 100, unix.EINVAL},
		"more than fits":      {2 << 20, fakeCapacity, unix.EIO},
		"a zone that is none": {fakeSize * 16, 512, unix.EINVAL},
	} {
		if _, err := z.AppendZone(t.Context(), driver.Vec{make([]byte, c.n)},
			c.off); !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotZoned(t *testing.T) {
	d := &device{File: nil, ioctl: func(int, uint, []byte) error { return unix.ENOTTY }}
	if z, err := d.zoned(nil); z != nil || err != nil {
		t.Errorf("a character device has zones: %v, %v", z, err)
	}
}
