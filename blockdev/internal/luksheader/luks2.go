package luksheader

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/sectorcipher"
)

// The binary part of version 2, in bytes. All numbers are big-endian. JSON text follows, up to the
// length of the header, and then the second copy of both.
const (
	binaryLen = 4096

	off2Version  = 6
	off2Size     = 8 // of this part and the text
	off2Sequence = 16
	off2Alg      = 72
	off2Salt     = 104
	off2UUID     = 168
	off2Place    = 256 // where this copy is
	off2Checksum = 448

	algLen2      = 32
	saltLen2     = 64
	uuidLen2     = 40
	checksumLen2 = 64

	minHeader2 = 16 << 10
	maxHeader2 = 4 << 20
)

const magicSecond = "SKUL\xba\xbe"

// copy2 is one of the two copies of a header.
type copy2 struct {
	off      int64
	sequence uint64
	raw      []byte // the binary part and the text
}

// errCopy says that there is no copy of a header.
var errCopy error = &FormatError{"Volume is not in LUKS format"}

// damaged says whether an error is about what was read, and not that it could not be read.
func damaged(err error) bool {
	var format *FormatError
	var unsupported *sectorcipher.UnsupportedError
	return errors.As(err, &format) || errors.As(err, &unsupported)
}

// readCopy reads the copy at off and checks it against its checksum.
func readCopy(ctx context.Context, s Store, off int64) (*copy2, error) {
	head := make([]byte, binaryLen)
	if err := readHeader(ctx, s, head, off); err != nil {
		return nil, err
	}
	want := magic
	if off > 0 {
		want = magicSecond
	}
	size := binary.BigEndian.Uint64(head[off2Size:])
	switch {
	case string(head[:len(want)]) != want || binary.BigEndian.Uint16(head[off2Version:]) != 2:
		return nil, errCopy
	case size < minHeader2 || size > maxHeader2 || size&(size-1) != 0:
		return nil, refuse("The LUKS2 header has an odd length (%d)", size)
	case binary.BigEndian.Uint64(head[off2Place:]) != uint64(off) || off > 0 && uint64(off) != size:
		return nil, refuse("A LUKS2 header is not where it says it is")
	}
	c := &copy2{off: off, sequence: binary.BigEndian.Uint64(head[off2Sequence:])}
	c.raw = append(head, make([]byte, size-binaryLen)...)
	if err := readHeader(ctx, s, c.raw[binaryLen:], off+binaryLen); err != nil {
		return nil, err
	}
	sum, err := c.checksum()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sum, c.raw[off2Checksum:][:len(sum)]) {
		return nil, refuse("The LUKS2 header has a wrong checksum")
	}
	return c, nil
}

// checksum is that of the copy, in which its own field counts as zeroes.
func (c *copy2) checksum() ([]byte, error) {
	newHash, err := sectorcipher.Hash(text(c.raw[off2Alg:][:algLen2]))
	if err != nil {
		return nil, err
	}
	h := newHash()
	var none [checksumLen2]byte
	h.Write(c.raw[:off2Checksum])
	h.Write(none[:])
	h.Write(c.raw[off2Checksum+checksumLen2:])
	return h.Sum(nil), nil
}

// read2 reads the newer of the two copies that are sound.
func read2(ctx context.Context, s Store, detached bool) (*header2, error) {
	first, err := readCopy(ctx, s, 0)
	if err != nil && damaged(err) {
		if h, secondErr := readSecond(ctx, s, detached); secondErr == nil {
			return h, nil
		}
	}
	if err != nil {
		return nil, err
	}
	second, err := readCopy(ctx, s, int64(len(first.raw)))
	if err != nil && !damaged(err) {
		return nil, err
	}
	if second != nil && second.sequence > first.sequence {
		return parse2(s, detached, second, true)
	}
	return parse2(s, detached, first, second != nil)
}

// readSecond looks for a second copy, of which the place depends on a length that only the first
// one, which is lost, tells.
func readSecond(ctx context.Context, s Store, detached bool) (*header2, error) {
	for off := int64(minHeader2); off <= maxHeader2; off *= 2 {
		switch c, err := readCopy(ctx, s, off); {
		case err == nil:
			return parse2(s, detached, c, false)
		case !damaged(err):
			return nil, err
		}
	}
	return nil, errCopy
}

// write puts the header on stable storage: both copies, one after the other, and of these the one
// that holds nothing newer first, so that there is a sound one at any time.
func (h *header2) write(ctx context.Context) error {
	body, err := h.doc.encode()
	if err != nil {
		return err
	}
	size := int64(len(h.current.raw))
	switch {
	case int64(len(body)) >= size-binaryLen:
		return driver.RefuseAs(syscall.ENOSPC, "The LUKS2 header is full")
	case h.current.sequence+1 == 0:
		return refuse("The sequence number of the LUKS2 header cannot grow")
	}
	places := []int64{0, size}
	if h.current.off == 0 && !h.bothSound {
		places = []int64{size, 0}
	}
	old := h.current
	for i, off := range places {
		c, err := old.successor(off, body)
		if err == nil {
			err = put(ctx, h.store, c.raw, off, "Unable to write LUKS header")
		}
		if err != nil {
			return err
		}
		h.current, h.bothSound = c, i == len(places)-1
	}
	return nil
}

// successor is a copy for off with other text and the next sequence number.
func (c *copy2) successor(off int64, body []byte) (*copy2, error) {
	next := &copy2{off: off, sequence: c.sequence + 1, raw: make([]byte, len(c.raw))}
	copy(next.raw, c.raw[:binaryLen])
	copy(next.raw[binaryLen:], body)
	copy(next.raw, magic)
	if off > 0 {
		copy(next.raw, magicSecond)
	}
	binary.BigEndian.PutUint64(next.raw[off2Sequence:], next.sequence)
	binary.BigEndian.PutUint64(next.raw[off2Place:], uint64(off))
	copy(next.raw[off2Salt:], random(saltLen2))
	sum, err := next.checksum()
	clear(next.raw[off2Checksum:][:checksumLen2])
	copy(next.raw[off2Checksum:], sum)
	return next, err
}
