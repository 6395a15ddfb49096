package qcow2

import (
	"context"
	"encoding/binary"
	"math"
	"syscall"
)

const (
	snapshotFixed    = 40 // bytes of the fixed part of a snapshot's entry
	maxSnapshotExtra = 1024
	maxSnapshotTable = 1024 * maxSnapshots
)

// snapshot is what must be known of an internal snapshot to leave it alone: where its L1 table is. Its name stays in the file.
type snapshot struct {
	l1Off  int64
	l1Size uint32
	at     int64 // of its entry in the file
}

// loadSnapshots reads the snapshot table.
func (q *image) loadSnapshots(ctx context.Context) error {
	list, n, err := q.readSnapshots(ctx, int64(q.hdr.snapshotsOff), int64(q.hdr.snapshots))
	if err != nil {
		return err
	}
	q.snapshots, q.snapBytes = list, n
	return nil
}

// readSnapshots walks a snapshot table of count entries and returns them with the length of the table.
func (q *image) readSnapshots(ctx context.Context, start, count int64) ([]snapshot, int64, error) {
	be := binary.BigEndian
	list := make([]snapshot, 0, min(count, 64))
	fixed := make([]byte, snapshotFixed)
	off := start
	for i := range count {
		off = (off + 7) &^ 7
		if err := readAt(ctx, q.file, fixed, off); err != nil {
			return nil, 0, refuseWith(err, "Failed to read snapshot table")
		}
		extra := int64(be.Uint32(fixed[36:]))
		if extra > maxSnapshotExtra {
			return nil, 0, &hinted{
				refuse(syscall.EFBIG, "Too much extra metadata in snapshot table entry %d", i),
				"You can force-remove this extra metadata with qemu-img check -r all\n",
			}
		}
		list = append(list, snapshot{l1Off: int64(be.Uint64(fixed)), l1Size: be.Uint32(fixed[8:]), at: off})
		off += snapshotFixed + extra + int64(be.Uint16(fixed[12:])) + int64(be.Uint16(fixed[14:]))
		if off-start > maxSnapshotTable || off-start > math.MaxInt32 {
			return nil, 0, refuse(syscall.EFBIG, "Snapshot table is too big")
		}
	}
	return list, off - start, nil
}

// names reads the id and the name of a snapshot.
func (q *image) names(ctx context.Context, s snapshot) (id, name string) {
	fixed := make([]byte, snapshotFixed)
	if readAt(ctx, q.file, fixed, s.at) != nil {
		return "", ""
	}
	extra := int64(min(binary.BigEndian.Uint32(fixed[36:]), maxSnapshotExtra))
	idLen, nameLen := binary.BigEndian.Uint16(fixed[12:]), binary.BigEndian.Uint16(fixed[14:])
	text := make([]byte, int(idLen)+int(nameLen))
	if readAt(ctx, q.file, text, s.at+snapshotFixed+extra) != nil {
		return "", ""
	}
	return string(text[:idLen]), string(text[idLen:])
}

// hinted is an error with advice.
type hinted struct {
	error
	hint string
}

// Hint is what to do.
func (h *hinted) Hint() string { return h.hint }

// Unwrap is the error without the advice.
func (h *hinted) Unwrap() error { return h.error }
