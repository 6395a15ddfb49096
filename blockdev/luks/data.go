package luks

import (
	"context"
	"math"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
	"github.com/blksh/blksh/blockdev/internal/luksheader"
)

// place is where n guest bytes from off are in the file.
func (m *image) place(off, n int64) (at int64, err error) {
	switch {
	case m.Cipher == nil:
		return 0, luksheader.ErrLocked
	case off > math.MaxInt64-m.payload.Off-n:
		return 0, syscall.EINVAL
	case m.payload.Size >= 0 && off+n > m.payload.Size:
		return 0, syscall.ENOSPC
	}
	return m.payload.Off + off, nil
}

// sector is the number of the sector at off for the IVs.
func (m *image) sector(off int64) uint64 { return m.payload.Sector + uint64(off/driver.SectorSize) }

var _ format.Transform = (*image)(nil)

// Encode encrypts.
func (m *image) Encode(dst, src []byte, guest, _ int64) error {
	m.Cipher.Encrypt(dst, src, m.sector(guest))
	return nil
}

// Decode decrypts.
func (m *image) Decode(p []byte, guest, _ int64) error {
	m.Cipher.Decrypt(p, p, m.sector(guest))
	return nil
}

func (m *image) coder() format.Coder {
	return format.Coder{Transform: m, File: m.file, Unit: m.payload.Unit, Buffers: &m.buffers}
}

// ReadVec decrypts what is in the file.
func (m *image) ReadVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	at, err := m.place(off, v.Len())
	if err != nil {
		return err
	}
	return m.coder().Read(ctx, v, off, at, f)
}

// WriteVec encrypts apart from the memory of the request, which stays as it is.
func (m *image) WriteVec(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error {
	at, err := m.place(off, v.Len())
	if err != nil {
		return err
	}
	return m.coder().Write(ctx, v, off, at, f)
}
