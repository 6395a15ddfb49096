package stream

import (
	"context"
	"errors"
	"io"

	"github.com/blksh/blksh/blockdev"
)

// Compare calls then with n bytes from off of two devices, piece by piece: both pieces are of the
// same range, and one without data is zero. Behind the end of a device are zeroes. It returns how
// many bytes from off on both were looked at.
func Compare(
	ctx context.Context, a, b *blockdev.Device, off, n int64, then func(a, b Piece) error,
) (done int64, err error) {
	first, err := newSide(ctx, a, off, n)
	if err != nil {
		return 0, err
	}
	defer first.reader.closeInto(&err)
	second, err := newSide(ctx, b, off, n)
	if err != nil {
		return 0, err
	}
	defer second.reader.closeInto(&err)
	for done < n {
		if err := errors.Join(first.fill(), second.fill()); err != nil {
			return done, err
		}
		some := min(first.piece.Len, second.piece.Len)
		if err := then(first.take(some), second.take(some)); err != nil {
			return done, err
		}
		done += some
	}
	return done, nil
}

// side is one of two devices that are compared.
type side struct {
	reader *Reader
	piece  Piece // what is left of the last one
	end    int64 // of the range, which may lie behind the device
}

// newSide begins with the part of a range that a device has.
func newSide(ctx context.Context, d *blockdev.Device, off, n int64) (*side, error) {
	size := d.Size()
	r, err := NewReader(ctx, d, min(off, size), max(0, min(n, size-off)), false)
	return &side{reader: r, end: off + n, piece: Piece{Off: off}}, err
}

// fill gets the next piece when the last one is used up.
func (s *side) fill() error {
	if s.piece.Len > 0 {
		return nil
	}
	off := s.piece.Off
	p, err := s.reader.Next()
	if errors.Is(err, io.EOF) {
		p, err = Piece{Off: off, Len: s.end - off}, nil
	}
	s.piece = p
	return err
}

// take is the next n bytes.
func (s *side) take(n int64) Piece {
	p := s.piece
	s.piece = p.Behind(n)
	p.Len = n
	if p.Data != nil {
		p.Data = p.Data[:n]
	}
	return p
}
