package print

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/blksh/blksh/commands/colour"
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
	row := rowLayout{digits: addressDigits(max(e.End, e.Off+1)), DumpLayout: e.Layout}
	if d.next != e.Off {
		d.started, d.folded = false, false
	}
	data, zeroes := e.Data, e.Zeroes
	for off := e.Off; len(data) > 0 || zeroes > 0; {
		shown := data
		if len(data) == 0 {
			shown = noBytes[:min(dumpRow, zeroes)]
			zeroes -= int64(len(shown))
		} else {
			shown = data[:min(dumpRow, len(data))]
			data = data[len(shown):]
		}
		last := e.Last && len(data) == 0 && zeroes == 0
		if e.Fold && d.repeats(shown) && !last {
			if !d.folded {
				n.say("*\n")
				d.folded = true
			}
			if skip := zeroes - zeroes%dumpRow - dumpRow; len(data) == 0 && skip > 0 &&
				verify.IsZero(shown) {
				zeroes -= skip
				off += skip
			}
		} else {
			d.folded = false
			d.line = row.append(d.line[:0], shown, off)
			_, _ = n.Out.Write(d.line)
		}
		d.started = copy(d.before[:], shown) == dumpRow
		off += int64(len(shown))
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

// rowLayout is how a line of at most 16 bytes is laid out.
type rowLayout struct {
	event.DumpLayout
	digits int // of offsets
	// marked has a bit for each byte that looks as role has it, the lowest for the first.
	marked  uint16
	role    colour.Role
	palette colour.Palette
}

// addressDigits is how many digits the offsets before end have: those of the last one, so that no
// column moves, and at least eight.
func addressDigits(end int64) int {
	return max(8, len(strconv.FormatInt(max(0, end-1), 16)))
}

// append appends the line.
func (l rowLayout) append(line, row []byte, off int64) []byte {
	switch l.Style {
	case event.StyleQEMU:
		return appendDump(line, row, off)
	case event.StyleC:
		return appendC(line, row)
	case event.StyleXXD:
		line = fmt.Appendf(line, "%0*x: ", l.digits, off)
		line = appendPairs(line, row)
	default:
		line = fmt.Appendf(line, "%0*x:  ", l.digits, off)
		line = l.appendWords(line, row)
	}
	line = append(line, ' ')
	for i, b := range row {
		if b < ' ' || b > '~' {
			b = '.'
		}
		line = l.paint(line, i, string(rune(b)))
	}
	return append(line, '\n')
}

// paint appends what stands for a byte of the row.
func (l rowLayout) paint(line []byte, at int, text string) []byte {
	if l.marked>>at&1 == 0 {
		return append(line, text...)
	}
	return l.palette.Append(line, l.role, text)
}

// appendWords appends numbers of so many bytes in hex. Where the row ends within one, there are
// blanks in place of what is missing.
func (l rowLayout) appendWords(line, row []byte) []byte {
	word := max(1, l.Word)
	for begin := 0; begin < dumpRow; begin += word {
		for i := range word {
			at := begin + word - 1 - i
			if l.BigEndian {
				at = begin + i
			}
			if at < len(row) {
				digits := string([]byte{hexDigits[row[at]>>4], hexDigits[row[at]&15]})
				line = l.paint(line, at, digits)
			} else {
				line = append(line, ' ', ' ')
			}
		}
		line = append(line, ' ')
	}
	return line
}

// appendMarks appends a line that points at the marked bytes of the line above, in the usual style.
func (l rowLayout) appendMarks(line []byte) []byte {
	line = append(line, bytes.Repeat([]byte{' '}, l.digits+len(":  "))...)
	for at := range dumpRow {
		if l.marked>>at&1 != 0 {
			line = append(line, '^', '^', ' ')
		} else {
			line = append(line, "   "...)
		}
	}
	return append(bytes.TrimRight(line, " "), '\n')
}

// appendPairs appends bytes in hex as xxd shows them.
func appendPairs(line, row []byte) []byte {
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
	return line
}

// appendC is a line of an array of C.
func appendC(line, row []byte) []byte {
	line = append(line, ' ')
	for _, b := range row {
		line = append(line, ' ', '0', 'x', hexDigits[b>>4], hexDigits[b&15], ',')
	}
	return append(line, '\n')
}
