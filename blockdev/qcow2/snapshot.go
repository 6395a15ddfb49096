package qcow2

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/format"
)

const (
	snapshotFixed = 40 // bytes of the fixed part of a snapshot's entry
	// bytes of extra data that version 3 demands: size of the machine state, size of the disk
	minSnapshotExtra = 16
	// those and the instruction count, which is what this package writes at least
	knownExtra       = 24
	maxSnapshotExtra = 1024 // bytes of extra data that are kept
	maxSnapshotTable = 1024 * maxSnapshots
)

// snapshot is what must be known of an internal snapshot to leave it alone: where its L1 table is.
// Its name stays in the file.
type snapshot struct {
	l1Off          int64
	l1Size         uint32
	extra          uint32 // bytes of extra data, as the file has them
	idLen, nameLen uint16
	at             int64 // of its entry in the file
}

// parseSnapshot takes the fixed part of an entry at at apart.
func parseSnapshot(b []byte, at int64) snapshot {
	be := binary.BigEndian
	return snapshot{
		l1Off: int64(be.Uint64(b)), l1Size: be.Uint32(b[8:]), extra: be.Uint32(b[36:]),
		idLen: be.Uint16(b[12:]), nameLen: be.Uint16(b[14:]), at: at,
	}
}

// end is behind the entry in the file.
func (s snapshot) end() int64 {
	return s.at + snapshotFixed + int64(s.extra) + int64(s.idLen) + int64(s.nameLen)
}

// kept is the bytes of its extra data that are kept.
func (s snapshot) kept() int64 { return min(int64(s.extra), maxSnapshotExtra) }

// snapshotTable is a snapshot table as it was read.
type snapshotTable struct {
	list      []snapshot
	bytes     int64
	oversized int64 // entries with too much extra data, one that was left out included
}

// loadSnapshots reads the snapshot table.
func (q *image) loadSnapshots(ctx context.Context) error {
	t, err := q.readSnapshots(ctx, int64(q.hdr.SnapshotsOff), int64(q.hdr.Snapshots), nil)
	if err != nil {
		return err
	}
	q.setSnapshots(t.list, t.bytes)
	return nil
}

// setSnapshots installs a snapshot table of n bytes.
func (q *image) setSnapshots(list []snapshot, n int64) {
	q.snapshots, q.snapBytes = list, n
	q.inactiveL1 = q.inactiveL1[:0]
	for _, s := range list {
		if at := (format.Span{Off: s.l1Off, Len: int64(s.l1Size) * l1EntrySize}); at.Len > 0 &&
			at.Off >= 0 && at.End() > at.Off {
			q.inactiveL1 = append(q.inactiveL1, at)
		}
	}
	q.inactiveL1 = joined(q.inactiveL1)
}

// joined sorts ranges and makes one of those that touch.
func joined(list []format.Span) []format.Span {
	slices.SortFunc(list, func(a, b format.Span) int { return cmp.Compare(a.Off, b.Off) })
	out := list[:0]
	for _, s := range list {
		if k := len(out) - 1; k >= 0 && s.Off <= out[k].End() {
			out[k].Len = max(out[k].End(), s.End()) - out[k].Off
		} else {
			out = append(out, s)
		}
	}
	return out
}

// readSnapshots walks a snapshot table of count entries. It refuses what is too much. With tooMuch
// it tells of that instead, and goes on: entries behind the longest table are left out, extra data
// may have any length.
func (q *image) readSnapshots(
	ctx context.Context, start, count int64, tooMuch func(string, ...any),
) (snapshotTable, error) {
	t := snapshotTable{list: make([]snapshot, 0, min(count, 64))}
	fixed := make([]byte, snapshotFixed)
	kept := int64(0) // bytes of the table with what is kept of extra data
	for i := range count {
		if err := format.Interrupted(ctx); err != nil {
			return t, err
		}
		at := (start + t.bytes + 7) &^ 7
		if err := readAt(ctx, q.file, fixed, at); err != nil {
			return t, refuseWith(err, "Failed to read snapshot table")
		}
		s := parseSnapshot(fixed, at)
		if s.extra > maxSnapshotExtra {
			if tooMuch == nil {
				return t, format.Advise(
					refuse(syscall.EFBIG, "Too much extra metadata in snapshot table entry %d", i),
					"You can force-remove this extra metadata with qemu-img check -r all\n",
				)
			}
			tooMuch("Discarding too much extra metadata in snapshot table entry %d (%d > %d)", i,
				s.extra, maxSnapshotExtra)
			t.oversized++
		}
		kept = (kept+7)&^7 + snapshotFixed + s.kept() + int64(s.idLen) + int64(s.nameLen)
		if kept > maxSnapshotTable || s.end()-start > math.MaxInt32 {
			if tooMuch == nil {
				return t, format.Advise(
					refuse(syscall.EFBIG, "Snapshot table is too big"),
					fmt.Sprintf("You can force-remove all %d overhanging snapshots "+
						"with qemu-img check -r all\n", count-i),
				)
			}
			tooMuch("Discarding %d overhanging snapshots (snapshot table is too big)", count-i)
			break
		}
		t.list = append(t.list, s)
		t.bytes = s.end() - start
	}
	return t, nil
}

// wholeSnapshots reads all entries as wholeSnapshot does.
func (q *image) wholeSnapshots(ctx context.Context) (entries [][]byte, err error) {
	n := int64(0) // bytes of a table of them
	for _, s := range q.snapshots {
		if err := format.Interrupted(ctx); err != nil {
			return nil, err
		}
		entry, err := q.wholeSnapshot(ctx, s)
		if err != nil {
			return nil, err
		}
		if n = (n+7)&^7 + int64(len(entry)); n > maxSnapshotTable {
			return nil, syscall.EFBIG
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// replaceSnapshots writes another snapshot table to a new place, and points the header there. The
// old one is given back.
func (q *image) replaceSnapshots(ctx context.Context, entries [][]byte) error {
	n := int64(0)
	for _, entry := range entries {
		if n = (n+7)&^7 + int64(len(entry)); n > maxSnapshotTable {
			return refuse(syscall.EFBIG, "Snapshot table is too big")
		}
	}
	at := int64(0) // of a table without entries
	if n > 0 {
		var err error
		if at, err = q.allocate(ctx, n); err != nil {
			return err
		}
	}
	moved, err := q.storeSnapshots(ctx, entries, at, n)
	if err != nil && !unsettled(err) {
		q.free(ctx, at, n, discardAlways)
		return err
	}
	oldAt, oldLen := int64(q.hdr.SnapshotsOff), q.snapBytes
	q.hdr.SnapshotsOff, q.hdr.Snapshots = uint64(at), uint32(len(moved))
	q.setSnapshots(moved, n)
	if err == nil && oldLen > 0 {
		q.free(ctx, oldAt, oldLen, discardSnapshot)
	}
	return err
}

// storeSnapshots writes all entries to at, which has room for n bytes, and then points the header
// there.
func (q *image) storeSnapshots(
	ctx context.Context, entries [][]byte, at, n int64,
) ([]snapshot, error) {
	if err := q.flushCaches(ctx); err != nil {
		return nil, err
	}
	if err := q.guardMetadata(ctx, 0, at, n); err != nil {
		return nil, err
	}
	const piece = 64 << 10
	moved := make([]snapshot, 0, len(entries))
	next := at // of what is in buf
	var buf []byte
	for i, entry := range entries {
		moved = append(moved, parseSnapshot(entry, next+int64(len(buf))))
		buf = append(buf, entry...)
		last := i == len(entries)-1
		if !last {
			buf = append(buf, make([]byte, -len(buf)&7)...)
		}
		if last || len(buf) >= piece {
			if err := q.writeFile(ctx, buf, next); err != nil {
				return nil, err
			}
			next += int64(len(buf))
			buf = buf[:0]
		}
	}
	if err := q.file.Flush(ctx); err != nil {
		return nil, err
	}
	return moved, q.writeFields(ctx, offSnapshots, uint32(len(moved)), at)
}

// marshalSnapshot is the entry of a new snapshot with an L1 table of so many entries.
func marshalSnapshot(s driver.Snapshot, l1Off int64, l1Entries int) []byte {
	const state32 = uint32(0) // size of the machine state
	b := appendFields(nil, l1Off, uint32(l1Entries), uint16(len(s.ID)), uint16(len(s.Name)),
		uint32(s.Time.Unix()), uint32(s.Time.Nanosecond()), s.VMClock, state32, uint32(knownExtra),
		s.VMStateSize, s.Size, s.ICount)
	return append(append(b, s.ID...), s.Name...)
}

// describeSnapshot reads what an entry says.
func (q *image) describeSnapshot(ctx context.Context, at snapshot) (s driver.Snapshot, err error) {
	if s.ID, s.Name, err = q.names(ctx, at); err != nil {
		return s, err
	}
	b := make([]byte, snapshotFixed+knownExtra)
	known := min(int64(at.extra), knownExtra)
	if err := readAt(ctx, q.file, b[:snapshotFixed+known], at.at); err != nil {
		return s, err
	}
	be, extra := binary.BigEndian, b[snapshotFixed:]
	s.Time = time.Unix(int64(be.Uint32(b[16:])), int64(be.Uint32(b[20:])))
	s.VMClock = time.Duration(be.Uint64(b[24:]))
	s.VMStateSize, s.Size, s.ICount = int64(be.Uint32(b[32:])), q.size.Load(), -1
	if known >= 8 {
		s.VMStateSize = int64(be.Uint64(extra))
	}
	if known >= 16 {
		s.Size = int64(be.Uint64(extra[8:]))
	}
	if known >= 24 {
		s.ICount = int64(be.Uint64(extra[16:]))
	}
	return s, nil
}

// wholeSnapshot reads an entry and brings its extra data to a length that is allowed. What is
// missing there is said to be as in an image that knows only the fixed part: the machine state of
// 32 bits, the disk as long as it is now, no instruction count. Id and name end at a zero byte, as
// they do for QEMU.
func (q *image) wholeSnapshot(ctx context.Context, s snapshot) ([]byte, error) {
	be := binary.BigEndian
	extra := max(knownExtra, s.kept())
	entry := make([]byte, snapshotFixed+extra)
	if err := readAt(ctx, q.file, entry[:snapshotFixed+s.kept()], s.at); err != nil {
		return nil, err
	}
	id, name, err := q.names(ctx, s)
	if err != nil {
		return nil, err
	}
	be.PutUint16(entry[12:], uint16(len(id)))
	be.PutUint16(entry[14:], uint16(len(name)))
	be.PutUint32(entry[36:], uint32(extra))
	for i, missing := range []uint64{
		uint64(be.Uint32(entry[32:])), uint64(q.size.Load()),
		^uint64(0),
	} {
		if end := int64(8 * (i + 1)); int64(s.extra) < end {
			be.PutUint64(entry[snapshotFixed+end-8:], missing)
		}
	}
	return append(append(entry, id...), name...), nil
}

// names reads the id and the name of a snapshot.
func (q *image) names(ctx context.Context, s snapshot) (id, name string, err error) {
	text := make([]byte, int(s.idLen)+int(s.nameLen))
	if err := readAt(ctx, q.file, text, s.at+snapshotFixed+int64(s.extra)); err != nil {
		return "", "", err
	}
	return cString(text[:s.idLen]), cString(text[s.idLen:]), nil
}
