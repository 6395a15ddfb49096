package qcow2

import (
	"context"
	"fmt"
)

// snapshotTable reads the snapshot table, which is not trusted before a check, cuts off what is too
// much of it, and returns how many entries are wrong in a way that writing the table anew puts
// right.
func (c *checker) snapshotTable(ctx context.Context) (wrong int64, err error) {
	q, h := c.q, c.q.hdr
	count, start := int64(h.Snapshots), int64(h.SnapshotsOff)
	if over := count - maxSnapshots; over > 0 && c.mayFix() {
		c.say("Discarding %d overhanging snapshots", over)
		count = maxSnapshots
	}
	// nil refuses a table that is too much for QEMU
	var tooMuch func(format string, args ...any)
	if c.mayFix() {
		tooMuch = c.say
	}
	var table snapshotTable
	err = h.checkTable("snapshot table", h.SnapshotsOff, uint64(count), snapshotFixed,
		maxSnapshotsBytes)
	if err != nil {
		c.say("ERROR %s", reason(err))
		if over := count - maxSnapshots; over > 0 {
			c.say("You can force-remove all %d overhanging snapshots with qemu-img check -r all",
				over)
		}
	} else if table, err = q.readSnapshots(ctx, start, count, tooMuch); err != nil {
		c.say("ERROR failed to read the snapshot table: %s", reason(err))
	}
	if err != nil {
		c.res.CheckErrors++
		return 0, err
	}
	q.setSnapshots(table.list, table.bytes)
	if err := c.cutSnapshots(ctx, int64(len(q.snapshots))); err != nil {
		return 0, c.failed(err, "ERROR failed to update the snapshot count in the image header: %s",
			errnoText(err))
	}
	c.length = q.fileLength()
	wrong = table.oversized + c.discardLost(ctx) + c.incomplete()
	if c.uncountTable() {
		wrong = max(wrong, 1)
	}
	return wrong, nil
}

// uncountTable has a table of which not all can be in the file be no metadata any more, if errors
// are to be repaired: it is counted for nothing, and is in nobody's way. It must be written anew
// then.
func (c *checker) uncountTable() bool {
	q := c.q
	if !c.mayFix() || q.snapBytes == 0 || !c.tooLong(int64(q.hdr.SnapshotsOff), q.snapBytes) {
		return false
	}
	c.say("Repairing snapshot table that ends behind the file: offset 0x%x size 0x%x",
		q.hdr.SnapshotsOff, q.snapBytes)
	q.snapBytes = 0
	return true
}

// wrongL1 says why the L1 table of a snapshot cannot be where its entry has it, "" if it can.
func (c *checker) wrongL1(s snapshot) string {
	switch {
	case c.q.within(s.l1Off) != 0 || s.l1Off < 0:
		return fmt.Sprintf("l1_offset=%s: L1 table is not cluster aligned", hex(uint64(s.l1Off)))
	case s.l1Size > maxL1Bytes/l1EntrySize:
		return fmt.Sprintf("l1_size=%#x: L1 table is too large", s.l1Size)
	}
	return ""
}

// discardLost leaves out of the table what cannot be a snapshot any more, if errors are to be
// repaired, and returns how many there are: those whose entry or L1 table cannot be in the file.
// What such an entry claims to be metadata would have the repair of everything else refused.
func (c *checker) discardLost(ctx context.Context) (lost int64) {
	if !c.mayFix() {
		return 0
	}
	q := c.q
	var kept []snapshot
	for _, s := range q.snapshots {
		why := c.wrongL1(s)
		switch {
		case s.at >= c.length:
			why = "its entry is behind the end of the file"
		case why != "" || s.l1Size == 0:
		case s.l1Off >= c.length:
			why = fmt.Sprintf("l1_offset=%s: L1 table is behind the end of the file",
				hex(uint64(s.l1Off)))
		case int64(s.l1Size)*l1EntrySize > c.length:
			why = fmt.Sprintf("l1_size=%#x: L1 table is longer than the file", s.l1Size)
		}
		if why == "" {
			kept = append(kept, s)
			continue
		}
		id, name, _ := q.names(ctx, s) // it is told without them then
		c.say("Discarding snapshot %.*s (%.*s): %s", maxListedName, id, maxListedName, name, why)
		lost++
	}
	if lost > 0 {
		q.setSnapshots(kept, q.snapBytes)
	}
	return lost
}

// maxListedName is how much QEMU lists of the name of a snapshot, in bytes.
const maxListedName = 255

// cutSnapshots makes the table end behind count entries. Their clusters leak, and are given back
// with the others that do.
func (c *checker) cutSnapshots(ctx context.Context, count int64) error {
	h := c.q.hdr
	if count == int64(h.Snapshots) {
		return nil
	}
	if err := c.q.writeFields(ctx, offSnapshots, uint32(count)); err != nil {
		return err
	}
	c.res.CorruptionsFixed += int64(h.Snapshots) - count
	h.Snapshots = uint32(count)
	return nil
}

// incomplete counts the entries without the sizes that version 3 demands.
func (c *checker) incomplete() (wrong int64) {
	for i, s := range c.q.snapshots {
		if c.q.version >= 3 && s.extra < minSnapshotExtra {
			c.say("%s snapshot table entry %d is incomplete", repairing(c.mayFix()), i)
			wrong++
		}
	}
	return wrong
}
