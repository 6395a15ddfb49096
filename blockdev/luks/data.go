package luks

import (
	"context"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/luksheader"
)

// piece is how much is encrypted at a time, in bytes: what a processor's cache holds.
const piece = 256 << 10

// place is where n guest bytes from off are in the file, and the number of their first sector.
func (m *image) place(off, n int64) (at int64, sector uint64, err error) {
	if m.Cipher == nil {
		return 0, 0, luksheader.ErrLocked
	}
	if off > math.MaxInt64-m.payload.Off-n {
		return 0, 0, syscall.EINVAL
	}
	if m.payload.Size >= 0 && off+n > m.payload.Size {
		return 0, 0, syscall.ENOSPC
	}
	return m.payload.Off + off, m.sector(off), nil
}

// sector is the number of the sector at off for the IVs.
func (m *image) sector(off int64) uint64 { return m.payload.Sector + uint64(off/driver.SectorSize) }

// ReadVec decrypts in the memory of the request, if its pieces are whole units.
func (m *image) ReadVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	at, sector, err := m.place(off, v.Len())
	if err == nil {
		err = m.file.ReadVec(ctx, v, at, f)
	}
	if err != nil {
		return err
	}
	for _, p := range v {
		if len(p)%m.payload.Unit != 0 {
			m.decryptApart(v, sector)
			return nil
		}
	}
	for _, p := range v {
		m.Cipher.Decrypt(p, p, sector)
		sector += uint64(len(p) / driver.SectorSize)
	}
	return nil
}

// decryptApart decrypts memory whose pieces end amid units.
func (m *image) decryptApart(v driver.Vec, sector uint64) {
	buf := m.buffers.Get(min(v.Len(), piece))
	defer m.buffers.Put(buf)
	for _, part := range v.Pieces(piece) {
		p := (*buf)[:part.CopyTo(*buf)]
		m.Cipher.Decrypt(p, p, sector)
		part.CopyFrom(p)
		sector += uint64(len(p) / driver.SectorSize)
	}
}

// WriteVec encrypts piece by piece, apart from the memory of the request, which stays as it is.
func (m *image) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	at, sector, err := m.place(off, v.Len())
	if err != nil {
		return err
	}
	buf := m.buffers.Get(min(v.Len(), piece))
	defer m.buffers.Put(buf)
	for done, part := range v.Pieces(piece) {
		p := (*buf)[:part.Len()]
		if len(part) == 1 {
			m.Cipher.Encrypt(p, part[0], sector)
		} else {
			part.CopyTo(p)
			m.Cipher.Encrypt(p, p, sector)
		}
		if err := m.file.WriteVec(ctx, driver.Vec{p}, at+done, f); err != nil {
			return err
		}
		sector += uint64(len(p) / driver.SectorSize)
	}
	return nil
}
