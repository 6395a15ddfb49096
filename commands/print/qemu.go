package print

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// QEMU speaks as qemu-io does. Which version, is told by its fields and by the printers around it.
type QEMU struct {
	Out  *Stdout
	Err  io.Writer
	Name string // of the program, in front of errors of the block layer
	// Times words elapsed times and rates.
	Times args.Report
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
	return q.result(e) || q.complaint(e) || q.help(e) || q.report(e)
}

func (q *QEMU) say(format string, a ...any) { q.print(q.Out, format, a) }

func (q *QEMU) warn(format string, a ...any) { q.print(q.Err, format, a) }

func (q *QEMU) print(w io.Writer, format string, a []any) {
	if q.Visible {
		a = visibleArgs(a)
	}
	fmt.Fprintf(w, format, a...)
}

// result shows what requests brought.
func (q *QEMU) result(e event.Event) bool {
	switch e := e.(type) {
	case event.Transfer:
		q.transfer(e)
	case event.Dump:
		q.dump(e)
	case event.Mismatch:
		q.say("Pattern verification failed at offset %d, %d bytes\n", e.Off, e.Len)
	case event.Failed:
		q.failed(e)
	case event.Injected:
		q.say("injecting invalid %s request\n", e.Op)
	case event.Alloc:
		q.say("%d/%d bytes allocated at offset %s\n", e.Allocated, e.Count, args.Size(float64(e.Off)))
	case event.MapRun:
		q.say("%s (0x%x) bytes %s at offset %s (0x%x)\n", args.Size(float64(e.Len)), e.Len, allocated(e.Allocated), args.Size(float64(e.Off)), e.Off)
	case event.MapEmpty:
	case event.Length:
		q.say("%s\n", args.Size(float64(e.Bytes)))
	case event.Info:
		q.info(e)
	case event.Zone:
		const sector = blockdev.SectorSize
		q.say("start: 0x%x, len 0x%x, cap 0x%x, wptr 0x%x, zcond:%d, [type: %d]\n",
			e.Start/sector, e.Length/sector, e.Capacity/sector, e.WritePointer/sector, e.Condition, e.Type)
	case event.Appended:
		q.say("After zap done, the append sector is 0x%x\n", e.Off/blockdev.SectorSize)
	case event.BreakFailed:
		q.breakFailed(e)
	default:
		return false
	}
	return true
}

// failed words a failure as the command does in whose name it is.
func (q *QEMU) failed(e event.Failed) {
	switch e.Op {
	case "flush", "info": // only the exit status tells
	case "length":
		q.say("getlength: %s\n", errnoWords(e.Err))
	case "truncate":
		q.report(event.Report{Err: e.Err})
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
	q.say("%s %d/%d bytes at offset %d\n%s\n", verb, e.Done, e.Count, e.Off, prose(q.Times.Summary(e.Done, e.Ops, e.Elapsed)))
}

const hexDigits = "0123456789abcdef"

// dump shows sixteen bytes a line.
func (q *QEMU) dump(e event.Dump) {
	for at := 0; at < len(e.Data); at += dumpRow {
		q.scratch = appendDump(q.scratch[:0], e.Data[at:min(at+dumpRow, len(e.Data))], e.Off+int64(at))
		_, _ = q.Out.Write(q.scratch)
	}
}

// appendDump is a line of a dump: the offset, the bytes in hex, and those that are letters or digits.
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

func (q *QEMU) info(e event.Info) {
	q.say("format name: %s\n", e.Driver)
	if e.Protocol { // the name of a protocol is shown again
		q.say("format name: %s\n", e.Driver)
	}
	if !e.Known {
		return
	}
	q.say("cluster size: %s\nvm state offset: %s\n", args.Size(float64(e.Cluster)), args.Size(float64(e.VMState)))
	if len(e.FormatSpecific) > 0 {
		q.say("Format specific information:\n")
		q.details(e.FormatSpecific, 1)
	}
}

// details shows a tree, four blanks a level.
func (q *QEMU) details(list []blockdev.Detail, depth int) {
	indent := strings.Repeat("    ", depth)
	for i, d := range list {
		key := d.Key
		if key == "" {
			key = fmt.Sprintf("[%d]", i)
		}
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
	if text, ok := value.(string); ok {
		return visibleControls(text)
	}
	return value
}

func (q *QEMU) breakFailed(e event.BreakFailed) {
	why := errnoWords(e.Err)
	switch e.Action {
	case "set":
		q.say("Could not set breakpoint: %s\n", why)
	case "remove":
		q.say("Could not remove breakpoint %s: %s\n", e.Tag, why)
	case "resume":
		q.say("Could not resume request: %s\n", why)
	default:
		q.say("No request can reach breakpoint %s: %s\n", e.Tag, why)
	}
}

// complaint shows what is wrong with a line.
func (q *QEMU) complaint(e event.Event) bool {
	switch e := e.(type) {
	case event.UnknownCommand:
		q.warn("command \"%s\" not found\n", e.Name)
	case event.NoFile:
		q.warn("no file open, try 'help open'\n")
	case event.FileOpen:
		q.warn("%s: file open already, try 'help close'\n", q.Name)
	case event.BadCount:
		q.badCount(e)
	case event.Usage:
		if e.Option != "" {
			q.warn("%s\n", e.Option)
		}
		q.synopsis(e.Synopsis)
	case event.BadNumber:
		q.badNumber(e)
	case event.BadValue:
		q.say("%s\n", e.Message)
	case event.Conflict:
		q.say("%s\n", e.Message)
	case event.Unaligned:
		q.say("%d is not a sector-aligned value for '%s'\n", e.Value, e.Operand)
	case event.TooLong:
		if e.Escape != 0 {
			q.say("length cannot exceed %d without -%c, given %s\n", e.Limit, e.Escape, e.Word)
		} else {
			q.say("length cannot exceed %d, given %s\n", e.Limit, e.Word)
		}
	case event.VecTooLong:
		if e.Word != "" {
			q.say("Argument '%s' exceeds maximum size %d\n", e.Word, e.Limit)
		} else {
			q.say("The total number of bytes exceed the maximum size %d\n", e.Limit)
		}
	case event.HexSuffix:
		if !q.HexWarning {
			return false
		}
		q.warn("%s: warning: Using a multiplier suffix on hex numbers is deprecated: %s\n", q.Name, e.Word)
	case event.ShortOption:
		value := "on"
		if e.Off {
			value = "off"
		}
		q.warn("%s: warning: short-form boolean option '%s' deprecated\nPlease use %s=%s instead\n", q.Name, e.Word, e.Key, value)
	default:
		return false
	}
	return true
}

func (q *QEMU) badCount(e event.BadCount) {
	expected := fmt.Sprintf("between %d and %d", e.Min, e.Max)
	switch e.Max {
	case -1:
		expected = fmt.Sprintf("at least %d", e.Min)
	case e.Min:
		expected = fmt.Sprint(e.Min)
	}
	q.warn("bad argument count %d to %s, expected %s arguments\n", e.Given, e.Name, expected)
}

func (q *QEMU) badNumber(e event.BadNumber) {
	word := e.Word
	if e.Command == "truncate" {
		word = e.First // also where that is a flag: measured on 7.2 to 11.1
	}
	if e.Problem == args.TooLarge {
		q.say("Parsing error: argument too large -- %s\n", word)
		return
	}
	q.say("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- %s\n", word)
}

// help shows synopses and what stands below them.
func (q *QEMU) help(e event.Event) bool {
	switch e := e.(type) {
	case event.Synopsis:
		q.synopsis(e)
	case event.HelpBody:
		q.say("\n%s\n", prose(e.Text))
	case event.HelpList:
		q.say("\nUse 'help commandname' for extended help.\n")
	case event.HelpUnknown:
		q.say("command %s not found\n", e.Name)
	default:
		return false
	}
	return true
}

func (q *QEMU) synopsis(e event.Synopsis) {
	words := e.Args
	if words != "" {
		words = strings.TrimSpace(words) + " "
	}
	q.say("%s %s-- %s\n", e.Name, words, e.Short)
}

// report shows what comes from the block layer itself.
func (q *QEMU) report(e event.Event) bool {
	switch e := e.(type) {
	case event.OpenFailed:
		name := " device " + e.Name
		if e.Unnamed {
			name = ""
		}
		q.warn("%s: can't open%s: %s\n", q.Name, name, words(e.Err))
		q.hint(e.Err)
	case event.Report:
		q.warn("%s: %s\n", q.Name, words(e.Err))
		q.hint(e.Err)
	case event.FileError:
		q.warn("%s: %s\n", e.Name, words(e.Err))
	case event.Abandoned:
		q.warn("%s: %d requests stood still for ever and were given up\n", q.Name, e.Requests)
	case event.Notice:
		q.notice(e.Notice)
	default:
		return false
	}
	return true
}

func (q *QEMU) notice(n blockdev.Notice) {
	switch n := n.(type) {
	case driver.Suspended:
		q.say("blkdebug: Suspended request '%s'\n", n.Tag)
	case driver.Resumed:
		q.say("blkdebug: Resuming request '%s'\n", n.Tag)
	case driver.Warning:
		if n.Prefixed {
			q.warn("%s: ", q.Name)
		}
		q.warn("%s\n", prose(n.Text))
	}
}

// hint shows the advice that an error carries.
func (q *QEMU) hint(err error) {
	var h driver.Hinter
	if errors.As(err, &h) {
		q.warn("%s", prose(h.Hint()))
	}
}
