package print

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// QEMU speaks as qemu-io does. Which version, is told by its fields and by the printers around it.
type QEMU struct {
	Out  *Stdout
	Err  io.Writer
	Name string // of the program, in front of errors of the block layer
	// Times words elapsed times and rates.
	Times units.Report
	// HexWarning: a hex number with a multiplier is warned of.
	HexWarning bool
	// Visible: what is shown does nothing to a terminal but to appear.
	Visible bool

	scratch []byte
}

// Flush writes out what is buffered.
func (q *QEMU) Flush() { q.Out.Flush() }

// Print shows e.
func (q *QEMU) Print(_ event.Where, e event.Event) bool {
	switch e := e.(type) {
	case event.Abandoned:
		q.warn("%s: %d requests stood still for ever and were given up\n", q.Name, e.Requests)
	case event.Alloc:
		q.say("%d/%d bytes allocated at offset %s\n", e.Allocated, e.Count,
			units.QEMUSize(float64(e.Off)))
	case event.Appended:
		q.say("After zap done, the append sector is 0x%x\n", e.Off/blockdev.SectorSize)
	case event.BadCount:
		q.warn("%s\n", e.Words())
	case event.BadNumber:
		q.say("%s\n", badNumberWords(e))
	case event.BadValue:
		q.say("%s\n", e.Message)
	case event.BitmapsRetired: // not a word
	case event.BreakFailed:
		q.say("%s\n", breakFailedWords(e))
	case event.Closed: // not a word
	case event.Conflict:
		q.say("%s\n", e.Message)
	case event.Dump:
		q.dump(e)
	case event.Failed:
		q.failed(e)
	case event.FileError:
		q.warn("%s\n", fileErrorWords(e))
	case event.FileOpen:
		q.warn("%s: %s\n", q.Name, e.Words())
	case event.Flushed: // not a word
	case event.HelpBody:
		q.say("\n%s\n", prose(e.Text))
	case event.HelpList:
		q.helpList(e)
	case event.HelpUnknown:
		q.say("command %s not found\n", e.Name)
	case event.HexSuffix:
		if q.HexWarning {
			q.warn("%s: warning: Using a multiplier suffix on hex numbers is deprecated: %s\n",
				q.Name, e.Word)
		}
		return q.HexWarning
	case event.ImageCutShort: // not a word
	case event.Info:
		q.info(e)
	case event.Injected:
		q.say("injecting invalid %s request\n", e.Op)
	case event.Length:
		q.say("%s\n", units.QEMUSize(float64(e.Bytes)))
	case event.MapCut, event.MapEmpty, event.MapHead: // not a word
	case event.MapRun:
		q.mapRun(e)
	case event.Mismatch:
		q.say("Pattern verification failed at offset %d, %d bytes\n", e.Off, e.Len)
	case event.NoFile:
		q.warn("%s\n", e.Words())
	case event.OpenFailed:
		q.warn("%s: %s\n", q.Name, openFailedWords(e))
		q.hint(e.Err)
	case event.Reopened: // not a word
	case event.Report:
		q.warn("%s: %s\n", q.Name, words(e.Err))
		q.hint(e.Err)
	case event.Resumed:
		q.say("blkdebug: Resuming request '%s'\n", e.Tag)
	case event.ShortOption:
		q.shortOption(e)
	case event.Suspended:
		q.say("blkdebug: Suspended request '%s'\n", e.Tag)
	case event.Synopsis:
		q.synopsis(e)
	case event.TooLong:
		q.say("%s\n", e.Words())
	case event.Transfer:
		q.transfer(e)
	case event.Unaligned:
		q.say("%s\n", e.Words())
	case event.UnknownCommand:
		q.warn("%s\n", e.Words())
	case event.Usage:
		q.usage(e)
	case event.VecTooLong:
		q.say("%s\n", e.Words())
	case event.Warning:
		if e.Notice != (driver.LegacyEncryption{}) { // nothing is said of that
			q.warning(noticeWords(e.Notice))
		}
	case event.Zone:
		const sector = blockdev.SectorSize
		q.say("start: 0x%x, len 0x%x, cap 0x%x, wptr 0x%x, zcond:%d, [type: %d]\n",
			e.Start/sector, e.Length/sector, e.Capacity/sector, e.WritePointer/sector, e.Condition,
			e.Type)
	default:
		return false
	}
	return true
}

func (q *QEMU) say(format string, a ...any) { q.print(q.Out, format, a) }

func (q *QEMU) warn(format string, a ...any) { q.print(q.Err, format, a) }

func (q *QEMU) print(w io.Writer, format string, a []any) {
	if q.Visible {
		a = visibleArgs(a)
	}
	fmt.Fprintf(w, format, a...)
}

// failed words a failure as the command does in whose name it is.
func (q *QEMU) failed(e event.Failed) {
	switch e.Op {
	case "flush", "info": // only the exit status tells
	case "length":
		q.say("getlength: %s\n", errnoWords(e.Err))
	case "truncate":
		q.Print(event.Where{}, event.Report{Err: e.Err})
	case "map":
		what := "get allocation status"
		if failed := new(blockdev.Error); errors.As(e.Err, &failed) && failed.Op == "length" {
			what = "query image length"
		}
		q.warn("%s: Failed to %s: %s\n", q.Name, what, errnoWords(e.Err))
	default:
		q.say("%s failed: %s\n", e.Op, errnoWords(e.Err))
	}
}

func allocated(yes bool) string {
	if yes {
		return "    allocated"
	}
	return "not allocated"
}

func (q *QEMU) transfer(e event.Transfer) {
	if e.Terse {
		q.say("%s\n", q.Times.Terse(e.Done, e.Ops, e.Elapsed))
		return
	}
	verb := string(e.Verb)
	if e.Verb == event.Discarded {
		verb += " " // 11.1 prints it with two blanks behind it
	}
	q.say("%s %d/%d bytes at offset %d\n%s\n", verb, e.Done, e.Count, e.Off,
		prose(q.Times.Summary(e.Done, e.Ops, e.Elapsed)))
}

const hexDigits = "0123456789abcdef"

// dump shows sixteen bytes a line.
func (q *QEMU) dump(e event.Dump) {
	for at := 0; at < len(e.Data); at += dumpRow {
		q.scratch = appendDump(q.scratch[:0], e.Data[at:min(at+dumpRow, len(e.Data))],
			e.Off+int64(at))
		_, _ = q.Out.Write(q.scratch)
	}
}

// appendDump is a line of a dump: the offset, the bytes in hex, and those that are letters or
// digits.
func appendDump(line, row []byte, off int64) []byte {
	line = fmt.Appendf(line, "%08x:  ", off)
	for _, b := range row {
		line = append(line, hexDigits[b>>4], hexDigits[b&15], ' ')
	}
	line = append(line, ' ')
	for _, b := range row {
		if !isAlnum(b) {
			b = '.'
		}
		line = append(line, b)
	}
	return append(line, '\n')
}

func isAlnum(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// protocolName is the name of a driver's protocol. QEMU has three drivers that are called nbd, one
// for each scheme, and takes the last.
func protocolName(driver string) string {
	if driver == "nbd" {
		return "nbd+unix"
	}
	return driver
}

func (q *QEMU) info(e event.Info) {
	q.say("format name: %s\n", e.Driver)
	if e.Protocol { // its own name is shown behind that of the driver
		q.say("format name: %s\n", protocolName(e.Driver))
	}
	if !e.Known {
		return
	}
	q.say("cluster size: %s\nvm state offset: %s\n", units.QEMUSize(float64(e.Cluster)),
		units.QEMUSize(float64(e.VMState)))
	if len(e.FormatSpecific) > 0 {
		q.say("Format specific information:\n")
		q.details(e.FormatSpecific, 1)
	}
}

// details shows a tree, four blanks a level.
func (q *QEMU) details(list []blockdev.Detail, depth int) {
	indent := strings.Repeat("    ", depth)
	for i, d := range list {
		key := cmp.Or(d.Key, fmt.Sprintf("[%d]", i))
		if d.Sub != nil {
			q.say("%s%s:\n", indent, key)
			q.details(d.Sub, depth+1)
			continue
		}
		q.say("%s%s: %v\n", indent, key, detailText(d.Value))
	}
}

// detailText makes a text that stands in an image visible.
func detailText(value any) any {
	switch v := value.(type) {
	case string:
		return visibleControls(v)
	case driver.Bytes:
		return units.Exact(v.Int())
	}
	return value
}

func (q *QEMU) mapRun(e event.MapRun) {
	q.say("%s (0x%x) bytes %s at offset %s (0x%x)\n",
		units.QEMUSize(float64(e.Len)), e.Len, allocated(e.Allocated),
		units.QEMUSize(float64(e.Off)), e.Off)
}

func (q *QEMU) shortOption(e event.ShortOption) {
	value := "on"
	if e.Off {
		value = "off"
	}
	q.warn("%s: warning: short-form boolean option '%s' deprecated\nPlease use %s=%s instead\n",
		q.Name, e.Word, e.Key, value)
}

func (q *QEMU) usage(e event.Usage) {
	if e.Option != nil {
		q.warn("%s\n", e.Option.Message)
	}
	q.synopsis(e.Synopsis)
}

func (q *QEMU) synopsis(e event.Synopsis) {
	words := e.Args
	if words != "" {
		words = strings.TrimSpace(words) + " "
	}
	q.say("%s %s-- %s\n", e.Name, words, e.Short)
}

// helpList shows the commands sorted by name.
func (q *QEMU) helpList(e event.HelpList) {
	var all []event.Synopsis
	for _, g := range e.Groups {
		all = append(all, g.Commands...)
	}
	slices.SortFunc(all, func(a, b event.Synopsis) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range all {
		q.synopsis(s)
	}
	q.say("\nUse 'help commandname' for extended help.\n")
}

// warning shows what a layer reports; prefixed lines stand behind the name of the program.
func (q *QEMU) warning(text string, prefixed bool) {
	if prefixed {
		q.warn("%s: ", q.Name)
	}
	q.warn("%s\n", prose(text))
}

// hint shows the advice that an error carries.
func (q *QEMU) hint(err error) {
	var h driver.Hinter
	if errors.As(err, &h) {
		q.warn("%s", prose(h.Hint()))
	}
}
