package print

import (
	"bytes"
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/verify"
)

// dumpRow is how many bytes a line of a dump shows.
const dumpRow = 16

// dumper lays out dumps in the styles of the native dialect, and folds repeated lines.
type dumper struct {
	line []byte
	// With folding: where the dump goes on, the line before, and whether a * stands for it and
	// those after it.
	next    int64
	before  [dumpRow]byte
	started bool
	folded  bool
}

// noBytes is what runs of zeroes that are not in memory are shown from.
var noBytes [4096]byte

// dump shows one event of a dump.
func (n *Native) dump(e event.Dump) {
	d := &n.dumps
	if d.next != e.Off {
		d.started, d.folded = false, false
	}
	data, zeroes := e.Data, e.Zeroes
	for off := e.Off; len(data) > 0 || zeroes > 0; {
		row := data
		if len(data) == 0 {
			row = noBytes[:min(dumpRow, zeroes)]
			zeroes -= int64(len(row))
		} else {
			row = data[:min(dumpRow, len(data))]
			data = data[len(row):]
		}
		last := e.Last && len(data) == 0 && zeroes == 0
		if e.Fold && d.repeats(row) && !last {
			if !d.folded {
				n.say("*\n")
				d.folded = true
			}
			if skip := zeroes - zeroes%dumpRow - dumpRow; len(data) == 0 && skip > 0 &&
				verify.IsZero(row) {
				zeroes -= skip
				off += skip
			}
		} else {
			d.folded = false
			_, _ = n.Out.Write(d.layOut(e.Style, row, off))
		}
		d.started = copy(d.before[:], row) == dumpRow
		off += int64(len(row))
		d.next = off
	}
	if e.Last {
		d.started = false
	}
}

// repeats says whether a line is the same as the one before.
func (d *dumper) repeats(row []byte) bool {
	return d.started && bytes.Equal(row, d.before[:])
}

// layOut is the line of at most 16 bytes. It is valid until the next one.
func (d *dumper) layOut(style event.DumpStyle, row []byte, off int64) []byte {
	switch style {
	case event.StyleXXD:
		d.line = appendXXD(d.line[:0], row, off)
	case event.StyleC:
		d.line = appendC(d.line[:0], row)
	default:
		d.line = appendDump(d.line[:0], row, off)
	}
	return d.line
}

// appendXXD is a line as xxd shows it: the bytes in pairs, and those that are printable.
func appendXXD(line, row []byte, off int64) []byte {
	line = fmt.Appendf(line, "%08x: ", off)
	for i := range dumpRow {
		if i < len(row) {
			line = append(line, hexDigits[row[i]>>4], hexDigits[row[i]&15])
		} else {
			line = append(line, "  "...)
		}
		if i%2 == 1 {
			line = append(line, ' ')
		}
	}
	line = append(line, ' ')
	for _, b := range row {
		if b < ' ' || b > '~' {
			b = '.'
		}
		line = append(line, b)
	}
	return append(line, '\n')
}

// appendC is a line of an array of C.
func appendC(line, row []byte) []byte {
	line = append(line, ' ')
	for _, b := range row {
		line = append(line, ' ', '0', 'x', hexDigits[b>>4], hexDigits[b&15], ',')
	}
	return append(line, '\n')
}
