package qcow2

import (
	"context"
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
	return table.oversized + c.incomplete(), nil
}

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
