package print

import (
	"fmt"
	"strconv"
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// snapshots shows snapshots in the columns of qemu-img.
func (n *Native) snapshots(list []event.Snapshot) {
	if len(list) == 0 {
		n.say("no snapshots\n")
		return
	}
	n.say("%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT")
	for _, s := range list {
		icount := ""
		if s.ICount >= 0 {
			icount = strconv.FormatInt(s.ICount, 10)
		}
		date := "-"
		if s.Seconds != 0 {
			date = time.Unix(s.Seconds, s.Nanoseconds).Format(time.DateTime)
		}
		n.say("%-9s %-16s %8s%20s%13s%11s\n", s.ID, s.Name, columnSize(s.VMStateSize), date,
			clockWords(s.VMClock), icount)
	}
}

// columnSize is a size in as few signs as QEMU takes.
func columnSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	return units.Size(n)
}

// clockWords is a time in ns as hours, minutes, seconds and thousandths.
func clockWords(ns int64) string {
	ms := max(0, ns) / int64(time.Millisecond)
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
