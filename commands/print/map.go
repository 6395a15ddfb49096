package print

import (
	"fmt"
	"strconv"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// A map is a table: exact numbers, which can be pasted into commands, and beside them what they are
// for people. Its columns are as wide as the end of the range asks, so that a map of any number of
// runs is shown as it comes.

// stateWidth is that of the longest word for a state.
const stateWidth = len("zeroes with storage")

// mapTable is the layout of the map that is being shown.
type mapTable struct{ number int } // width of offsets and lengths

// mapHead begins a map.
func (n *Native) mapHead(e event.MapHead) {
	n.table = mapTable{max(len("offset"), len(strconv.FormatInt(e.End(), 10)))}
	w := n.table.number
	head := fmt.Sprintf("%*s  %*s  %*s  ", w, "offset", w, "length", sizeWidth, "")
	if e.Bitmap == "" {
		head += fmt.Sprintf("%-*s  depth  host offset", stateWidth, "state")
	} else {
		head += "state"
	}
	n.say("%s\n", n.Look.out(colour.Faint, head))
}

// sizeWidth is that of the longest size for people, such as "1023.999 MiB".
const sizeWidth = 12

// mapRow shows what a range is made of; behind it may be more columns.
func (n *Native) mapRow(off, length int64, role colour.Role, state, more string) {
	w := n.table.number
	n.say("%*d  %*d  %*s  %s%s\n", w, off, w, length, sizeWidth, units.Size(length),
		n.Look.out(role, state), more)
}

// mapRun shows a run of a map.
func (n *Native) mapRun(e event.MapRun) {
	role, state := stateOf(e)
	host := "-"
	if e.Data && e.HostOff >= 0 {
		host = strconv.FormatInt(e.HostOff, 10)
	}
	state = fmt.Sprintf("%-*s", stateWidth, state)
	n.mapRow(e.Off, e.Len, role, state, fmt.Sprintf("  %5d  %11s", e.Depth, host))
}

// stateOf is the word for what a run is made of, and how it looks.
func stateOf(e event.MapRun) (colour.Role, string) {
	switch {
	case e.Compressed:
		return colour.Compressed, "compressed data"
	case e.Data && e.Zero:
		return colour.Stored, "zeroes with storage"
	case e.Untold: // a device does not tell whether there is storage
		return colour.Unknown, "data or hole"
	case e.Data && e.Depth > 0:
		return colour.Below, "data"
	case e.Data:
		return colour.Data, "data"
	case e.Zero:
		return colour.Faint, "hole"
	}
	return colour.Unknown, "unknown"
}
