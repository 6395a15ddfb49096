package undo

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/blksh/blksh/blockdev/driver"
)

const (
	magic      = "blksh undo log\n\x00"
	version    = 1
	headerSize = 64
	headSize   = 32

	// blockSize is the unit in which old bytes are kept, sectorSize that in which new ones are
	// known.
	blockSize  = 4096
	sectorSize = driver.SectorSize

	// maxPiece is the longest range of one record whose bytes are kept, in bytes.
	maxPiece = 1 << 20
	// maxRange is the longest range of a record with sums, which take a sector each.
	maxRange = maxPiece / sumSize * sectorSize
	sumSize  = 4
	// maxRecords bounds the memory that a log asks for.
	maxRecords = 1 << 24
)

// kind tells records apart.
type kind uint32

const (
	oldBytes   kind = 1 // follow: what the range held
	oldZeroes  kind = 2 // the range held zeroes
	newSums    kind = 3 // follow: a sum of each sector that is to be written
	newZeroes  kind = 4 // zeroes are to be written
	newUnknown kind = 5 // the range was discarded
	newSize    kind = 6 // the disk becomes as long as the range: from 0 to its new end
)

// castagnoli is the table of CRC-32C, which package crc32 makes once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// sum is the CRC-32C of some bytes.
func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// header is the beginning of a log of a disk of size bytes.
func header(size int64) []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, blockSize)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	b = b[:headerSize-4]
	return binary.LittleEndian.AppendUint32(b, sum(b))
}

// ErrNotLog says that a file is no log of package undo.
var ErrNotLog = errors.New("not a log of changes, as --undo writes them")

// IsLog says whether a file begins as a log does.
func IsLog(head []byte) bool {
	return len(head) >= len(magic) && string(head[:len(magic)]) == magic
}

// Empty says whether a log of length bytes knows of no change.
func Empty(length int64) bool { return length <= headerSize }

// readHeader returns the length that the disk had.
func readHeader(r io.Reader) (size int64, err error) {
	var b [headerSize]byte
	n, err := io.ReadFull(r, b[:])
	switch {
	case !IsLog(b[:n]):
		return 0, ErrNotLog
	case err != nil:
		return 0, fmt.Errorf("read the header of the log: %w", err)
	}
	if v := binary.LittleEndian.Uint32(b[16:]); v != version {
		return 0, fmt.Errorf("a log of version %d; this program knows version %d", v, version)
	}
	size = int64(binary.LittleEndian.Uint64(b[24:]))
	switch {
	case binary.LittleEndian.Uint32(b[headerSize-4:]) != sum(b[:headerSize-4]),
		binary.LittleEndian.Uint32(b[20:]) != blockSize, size < 0:
		return 0, errors.New("the header of the log is damaged")
	}
	return size, nil
}

// appendRecord adds a record with what follows its head to b.
func appendRecord(b []byte, k kind, off, n int64, follows []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(k))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(follows)))
	b = binary.LittleEndian.AppendUint64(b, uint64(off))
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	b = binary.LittleEndian.AppendUint32(b, sum(follows))
	b = binary.LittleEndian.AppendUint32(b, sum(b[at:]))
	return append(b, follows...)
}

// record is one that was read: what it is about, and where in the log its bytes or sums are.
type record struct {
	kind   kind
	off, n int64
	at     int64
}

func (r record) end() int64 { return r.off + r.n }

// errDamaged is a record whose bytes are there and are not those that were written, errShort one
// within which the log ends: the last of a program that was stopped, whose change was never made.
var (
	errDamaged = errors.New("the record is damaged")
	errShort   = errors.New("the log ends within the record")
)

// parseHead reads the head of a record. What follows it takes follows bytes and has the sum want.
func parseHead(b []byte) (r record, follows int64, want uint32, err error) {
	r = record{
		kind: kind(binary.LittleEndian.Uint32(b)),
		off:  int64(binary.LittleEndian.Uint64(b[8:])),
		n:    int64(binary.LittleEndian.Uint64(b[16:])),
	}
	follows = int64(binary.LittleEndian.Uint32(b[4:]))
	if binary.LittleEndian.Uint32(b[28:]) != sum(b[:28]) {
		return r, 0, 0, errDamaged
	}
	should := int64(0)
	switch r.kind {
	case oldBytes:
		should = r.n
	case newSums:
		should = r.n / sectorSize * sumSize
	case oldZeroes, newZeroes, newUnknown, newSize:
	default:
		return r, 0, 0, fmt.Errorf("a record of kind %d", r.kind)
	}
	if r.off < 0 || r.n < 0 || r.off > math.MaxInt64-r.n || follows != should ||
		follows > maxPiece ||
		r.kind == newSums && (r.off%sectorSize != 0 || r.n%sectorSize != 0) {
		return r, 0, 0, errors.New("a record that no program wrote")
	}
	return r, follows, binary.LittleEndian.Uint32(b[24:]), nil
}

// contents are what was read of a log.
type contents struct {
	size    int64 // of the disk
	records []record
	torn    int64 // bytes at the end that are the beginning of a record, or were never written
	// bytes that are no records, though others stand behind them or they are no zeroes
	damaged int64
	first   int64 // where in the log the first of those are
}

// readLog reads a log of length bytes.
func readLog(ctx context.Context, r io.ReaderAt, length int64) (c contents, err error) {
	if c.size, err = readHeader(io.NewSectionReader(r, 0, length)); err != nil {
		return c, err
	}
	body := make([]byte, maxPiece)
	in := sectionBehind(r, headerSize, length)
	for at := int64(headerSize); at < length; {
		if ctx.Err() != nil {
			return c, context.Cause(ctx)
		}
		rec, next, err := readRecord(in, body, at)
		switch {
		case errors.Is(err, errDamaged):
			if next, err = c.skip(ctx, r, at, length); err != nil {
				return c, err
			}
			in.Reset(io.NewSectionReader(r, next, length-next))
			at = next
			continue
		case errors.Is(err, errShort):
			c.torn = length - at
			return c, nil
		case err != nil:
			return c, fmt.Errorf("the log at %d: %w", at, err)
		case len(c.records) == maxRecords:
			return c, fmt.Errorf("the log has more than %d records", maxRecords)
		}
		c.records = append(c.records, rec)
		at = next
	}
	return c, nil
}

// sectionBehind reads from at up to end.
func sectionBehind(r io.ReaderAt, at, end int64) *bufio.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(r, at, end-at), 1<<20)
}

// skip notes what is damaged from at on, and returns where the next record begins, or the end of
// the log. Zeroes up to there are an end that was not written before the machine lost its power.
func (c *contents) skip(ctx context.Context, r io.ReaderAt, at, length int64) (int64, error) {
	next, blank, err := nextRecord(ctx, r, at, length)
	switch {
	case err != nil:
		return 0, err
	case blank && next == length:
		c.torn = length - at
		return next, nil
	case c.damaged == 0:
		c.first = at
	}
	c.damaged += next - at
	return next, nil
}

// nextRecord finds the first head of a record behind at, or the end of the log. Blank says that all
// before it are zeroes.
func nextRecord(
	ctx context.Context, r io.ReaderAt, at, length int64,
) (next int64, blank bool, err error) {
	blank = true
	window := make([]byte, maxPiece)
	for ; at < length; at += maxPiece - headSize {
		if ctx.Err() != nil {
			return 0, false, context.Cause(ctx)
		}
		part := window[:min(maxPiece, length-at)]
		if _, err := r.ReadAt(part, at); err != nil {
			return 0, false, fmt.Errorf("read the log: %w", err)
		}
		for i := 1; i+headSize <= len(part); i++ {
			if _, _, _, err := parseHead(part[i:]); part[i] != 0 && err == nil {
				return at + int64(i), blank && driver.AllZero(part[:i]), nil
			}
		}
		blank = blank && driver.AllZero(part)
	}
	return length, blank, nil
}

// readRecord reads the record at a place of the log, and returns where the next one is.
func readRecord(in io.Reader, body []byte, at int64) (r record, next int64, err error) {
	var head [headSize]byte
	if err := readWhole(in, head[:]); err != nil {
		return r, 0, err
	}
	r, follows, want, err := parseHead(head[:])
	if err != nil {
		return r, 0, err
	}
	r.at = at + headSize
	body = body[:follows]
	if err := readWhole(in, body); err != nil {
		return r, 0, err
	}
	if sum(body) != want {
		return r, 0, errDamaged
	}
	return r, r.at + follows, nil
}

// readWhole fills b, or fails with errShort.
func readWhole(in io.Reader, b []byte) error {
	_, err := io.ReadFull(in, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return err
}

// updateSum goes on with a sum.
func updateSum(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli(), b) }
