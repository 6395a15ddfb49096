package qcow2

import (
	"context"
	"encoding/binary"

	"github.com/blksh/blksh/blockdev/driver"
)

// snapshotTable reads the snapshot table, which is not trusted before a check, cuts off what is too
// much of it, and returns how many entries are wrong in a way that writing the table anew puts
// right.
func (c *checker) snapshotTable(ctx context.Context) (wrong int64, err error) {
	q, h := c.q, c.q.hdr
	count, start := int64(h.snapshots), int64(h.snapshotsOff)
	if over := count - maxSnapshots; over > 0 && c.fix&driver.FixErrors != 0 {
		c.say("Discarding %d overhanging snapshots", over)
		count = maxSnapshots
	}
	var table snapshotTable
	err = h.checkTable("snapshot table", h.snapshotsOff, uint64(count), snapshotFixed,
		maxSnapshotsBytes)
	if err != nil {
		c.say("ERROR %s", reason(err))
		if over := count - maxSnapshots; over > 0 {
			c.say("You can force-remove all %d overhanging snapshots with qemu-img check -r all",
				over)
		}
	} else if table, err = q.readSnapshots(ctx, start, count, c.tooMuch()); err != nil {
		c.say("ERROR failed to read the snapshot table: %s", reason(err))
	}
	if err != nil {
		c.res.CheckErrors++
		return 0, err
	}
	q.setSnapshots(table.list, table.bytes)
	if err := c.cutSnapshots(ctx, int64(len(q.snapshots))); err != nil {
		c.say("ERROR failed to update the snapshot count in the image header: %s", errnoText(err))
		c.res.CheckErrors++
		return 0, err
	}
	return table.oversized + c.incomplete(), nil
}

// tooMuch is what happens to a snapshot table that is too much for QEMU: nil refuses it, for
// repairs it says what will be dropped.
func (c *checker) tooMuch() func(format string, args ...any) {
	if c.fix&driver.FixErrors == 0 {
		return nil
	}
	return c.say
}

// cutSnapshots makes the table end behind count entries. Their clusters leak, and are given back
// with the others that do.
func (c *checker) cutSnapshots(ctx context.Context, count int64) error {
	h := c.q.hdr
	if count == int64(h.snapshots) {
		return nil
	}
	if err := c.q.writeSync(ctx, binary.BigEndian.AppendUint32(nil, uint32(count)),
		offSnapshots); err != nil {
		return err
	}
	c.res.CorruptionsFixed += int64(h.snapshots) - count
	h.snapshots = uint32(count)
	return nil
}

// incomplete counts the entries without the sizes that version 3 demands.
func (c *checker) incomplete() (wrong int64) {
	word := "ERROR"
	if c.fix&driver.FixErrors != 0 {
		word = "Repairing"
	}
	for i, s := range c.q.snapshots {
		if c.q.version >= 3 && s.extra < minSnapshotExtra {
			c.say("%s snapshot table entry %d is incomplete", word, i)
			wrong++
		}
	}
	return wrong
}
