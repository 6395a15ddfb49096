// Package luks is the format of encrypted disks: LUKS of version 1, as QEMU reads and makes it, and
// of version 2, as cryptsetup does.
//
// An image is a header with the key, in slots that passphrases open, and behind it the guest's
// bytes, encrypted sector by sector. Nothing moves, so that the format is no more than an offset
// and a cipher:
//
//	guest offset ─▶ + payload offset ─▶ file ─▶ decrypt by the number of the sector
//
// The header may be in a file of its own (header), and the other one then holds nothing that looks
// like an image. What was never written reads as noise: the file has zeroes there, which were never
// encrypted.
//
// Headers, slots and passphrases are luksheader's affair, ciphers sectorcipher's; here are the
// driver, its requests and the making of images. Sizes and messages are those of QEMU 7.2.22.
package luks

import (
	"cmp"
	"context"
	"errors"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
	"github.com/blksh/blksh/blockdev/internal/luksheader"
)

// Driver reads and writes encrypted images.
var Driver = driver.Driver{
	Name: "luks",
	Doc:  "disks encrypted by LUKS",
	Kind: driver.Format, Resolves: driver.OverProtocol,
	Config: config{},
	Probe:  func(head []byte, _ string) int { return score(luksheader.Probe(head) == 1) },
	// QEMU takes images of version 2 for raw ones.
	ProbeBeyond:  func(head []byte, _ string) int { return score(luksheader.Probe(head) == 2) },
	Open:         open,
	CreateConfig: createConfig{},
	AmendConfig:  luksheader.AmendOptions{},
	Measure:      measure,
	CheckCreate:  checkCreate,
	Create:       create,
}

type config struct {
	File   driver.Child `option:"file" help:"where the encrypted bytes are"`
	Header driver.Child `option:"header" help:"where the header is, if not in front of them"`
	luksheader.UnlockOptions
}

func score(is bool) int {
	if is {
		return 100
	}
	return 0
}

// image is an open encrypted image.
type image struct {
	driver.Leaf
	*luksheader.Volume
	file    driver.Node
	header  driver.Node // nil if it is in front of the payload
	payload luksheader.Payload
	buffers format.Buffers
	claims  bool // the claims include writing: not read-only, or about to be so
}

var _ interface {
	driver.Node
	driver.Claimer
	driver.Describer
	driver.Reopener
	driver.Encrypted
	driver.Amender
} = (*image)(nil)

func open(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*config)
	passphrase, err := c.Passphrase(o, "")
	if err != nil {
		return nil, err
	}
	defer passphrase.Wipe()
	m := &image{claims: !o.Mode.ReadOnly}
	if m.file, err = o.Child(ctx, c.File, driver.RoleFile); err != nil {
		return nil, err
	}
	if o.HasChild(c.Header) {
		if m.header, err = o.Child(ctx, c.Header, driver.RoleFile); err != nil {
			return nil, err
		}
	}
	if err := m.Claim(ctx, driver.Claim{Use: driver.PermRead, Share: driver.PermAll}); err != nil {
		return nil, err
	}
	h, err := m.readHeader(ctx, o.LikeQEMU())
	if err != nil {
		return nil, err
	}
	if m.Volume, err = c.Unlock(ctx, o, h, passphrase); err != nil {
		return nil, err
	}
	return m, nil
}

// readHeader reads the header and looks whether the disk that it describes is there.
func (m *image) readHeader(ctx context.Context, likeQEMU bool) (h luksheader.Header, err error) {
	store := luksheader.NodeStore{Node: cmp.Or(m.header, m.file)}
	if likeQEMU && m.header == nil {
		h, err = luksheader.ReadLikeQEMU(ctx, store)
	} else {
		h, err = luksheader.Read(ctx, store, m.header != nil)
	}
	if err != nil {
		return nil, err
	}
	m.payload = h.Payload()
	if size := m.file.Info().Size; m.payload.Off > size || m.payload.Size > size-m.payload.Off {
		if likeQEMU {
			return nil, driver.Because(syscall.EIO, "Could not refresh total sector count")
		}
		return nil, driver.RefuseAs(syscall.EIO,
			"The file is shorter than the encrypted disk in it")
	}
	return h, nil
}

// Claim takes what the parent asks for of the file, and besides what keys need of the header.
func (m *image) Claim(ctx context.Context, c driver.Claim) error {
	if m.header != nil {
		if err := format.Claim(ctx, m.header, c, m.claims); err != nil {
			return err
		}
	}
	return format.Claim(ctx, m.file, c, m.claims)
}

// Prepare lets an image become writable or read-only.
func (m *image) Prepare(_ context.Context, o *driver.Opening) (commit, abort func(), err error) {
	old := m.claims
	m.claims = !o.Mode.ReadOnly
	return nil, func() { m.claims = old }, nil
}

// Info describes the image.
func (m *image) Info() driver.Info {
	below := m.file.Info()
	info := driver.Info{Driver: "luks", NeedsZeroInit: true, Limits: below.Inherited()}
	info.RequestAlign = int64(m.payload.Unit)
	info.Size = m.payload.Size
	info.WriteTakes = below.WriteTakes & driver.FUA
	info.LostOff, info.LostEnd = max(0, below.LostOff-m.payload.Off),
		max(0, below.LostEnd-m.payload.Off)
	if info.Size < 0 {
		info.Size = max(0, below.Size-m.payload.Off)
	}
	return info
}

// Describe tells of the header.
func (m *image) Describe() []driver.Detail { return m.Volume.Describe("") }

// Keeper is the header.
func (m *image) Keeper() driver.Keeper { return m.Volume }

// Amend changes who can open the image.
func (m *image) Amend(ctx context.Context, a *driver.Amending) error {
	do, err := m.Volume.Amend(ctx, a, *a.Config.(*luksheader.AmendOptions))
	if err != nil {
		return err
	}
	return do(ctx)
}

// Primary is the file with the encrypted bytes.
func (m *image) Primary() driver.Node { return m.file }

// Truncate changes the length of the file. What is added reads as noise, as it was never encrypted.
func (m *image) Truncate(ctx context.Context, size int64, p driver.Prealloc, f driver.Flags) error {
	switch {
	case m.payload.Size >= 0:
		return driver.RefuseAs(syscall.ENOTSUP, "The header says how long this encrypted disk is")
	case size > math.MaxInt64-m.payload.Off:
		return driver.RefuseAs(syscall.EFBIG, "The requested file size is too large")
	}
	return m.file.Truncate(ctx, m.payload.Off+size, p, f)
}

// Flush flushes both files.
func (m *image) Flush(ctx context.Context) error {
	err := m.file.Flush(ctx)
	if m.header != nil {
		err = errors.Join(err, m.header.Flush(ctx))
	}
	return err
}

// Close wipes the key.
func (m *image) Close() error {
	m.Wipe()
	return nil
}
