package print

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// QEMU24 speaks as qemu-io of QEMU 2.4.0 does: what it said otherwise than later versions, and a
// QEMU for the rest.
type QEMU24 struct{ QEMU }

// Print shows e.
func (q *QEMU24) Print(at event.Where, e event.Event) bool {
	switch e := e.(type) {
	case event.Alloc:
		q.say("%d/%d sectors allocated at offset %s\n", sectors(e.Allocated), sectors(e.Count),
			units.QEMUSize(float64(e.Off)))
	case event.BadNumber:
		q.say("non-numeric %s argument -- %s\n", operandWord(e), e.Word)
	case event.BreakFailed:
		if !errors.Is(e.Err, driver.ErrBreakSpent) { // what let requests go was no failure then
			return q.QEMU.Print(at, e)
		}
	case event.Failed:
		q.failed(e)
	case event.FileOpen:
		q.warn("%s\n", e.Words())
	case event.Info:
		e.FormatSpecific = slices.DeleteFunc(slices.Clone(e.FormatSpecific),
			func(d blockdev.Detail) bool {
				return slices.Contains(laterDetails, d.Key)
			})
		return q.QEMU.Print(at, e)
	case event.MapEmpty:
		q.warn("Unexpected end of image\n")
	case event.MapRun:
		q.mapRun(e)
	case event.OpenFailed:
		e.Err = wording24{e.Err}
		return q.QEMU.Print(at, e)
	case event.Report:
		q.warn("%s\n", words(wording24{e.Err}))
		q.hint(e.Err)
	case event.Unaligned:
		q.say("%s %d is not sector aligned\n", e.Operand, e.Value)
	case event.VecTooLong:
		q.say("too large length argument -- %s\n", e.Word)
	case event.Warning:
		q.warning24(e.Notice)
	default:
		return q.QEMU.Print(at, e)
	}
	return true
}

// laterDetails are the lines of info that 2.4 did not have.
var laterDetails = []string{
	"compression type", "bitmaps", "extended l2", "data file",
	"data file raw",
}

func sectors(n int64) int64 { return n / blockdev.SectorSize }

// mapRun counts in sectors. Drivers that could not tell what is allocated, such as null, were taken
// to have everything.
func (q *QEMU24) mapRun(e event.MapRun) {
	yes := e.Allocated || strings.HasPrefix(e.Node, "null-")
	state := 0
	if yes {
		state = 1
	}
	q.say("[% 24d] % 8d/% 8d sectors %s at offset %s (%d)\n",
		e.Off, sectors(e.Len), sectors(e.Remaining), allocated(yes), units.QEMUSize(float64(e.Off)),
		state)
}

// operandWord is what a number was called that was none.
func operandWord(e event.BadNumber) string {
	switch {
	case e.Command == "truncate":
		return "truncate"
	case e.Command == "sigraise":
		return "signal number"
	case (e.Command == "alloc" || e.Command == "multiwrite") && e.Operand == "off":
		return "offset"
	}
	return "length"
}

// failed has a line of the driver's own above that of the command for some refusals to truncate.
func (q *QEMU24) failed(e event.Failed) {
	if e.Op != "truncate" {
		q.QEMU.failed(e)
		return
	}
	if errors.As(e.Err, new(*driver.ShrinkError)) ||
		errors.As(e.Err, new(*driver.WholeSectorsError)) {
		q.warn("%s\n", refusalWords(e.Err))
	}
	q.say("truncate: %s\n", errnoWords(e.Err))
}

const legacyEncryption24 = "Encrypted images are deprecated\nSupport for them will be removed in a future release.\n" +
	"You can use 'qemu-img convert' to convert your image to an unencrypted one."

func (q *QEMU24) warning24(n driver.Notice) {
	text, prefixed := noticeWords(n)
	switch n := n.(type) {
	case driver.EmptyBacking: // nothing wrong with that
		return
	case driver.ImageCorrupt:
		text = corruptWords(n, reworded(n.What, words24))
	case driver.LegacyEncryption:
		text, prefixed = legacyEncryption24, false
	}
	q.warning(text, prefixed)
}

// wording24 is an error of the block layer in the words of 2.4.
type wording24 struct{ error }

func (w wording24) Unwrap() error { return w.error }

func (w wording24) Error() string { return reworded(w.error, words24) }

// words24 is how 2.4 words what later versions word otherwise.
func words24(err error) (string, bool) {
	const unsupported = "'hda' uses a qcow2 feature which is not supported by this qemu version: "
	switch e := err.(type) {
	case *driver.ClusterOffsetError:
		return fmt.Sprintf("Data cluster offset %s unaligned (L2 offset: %s, L2 index: %s)",
			driver.Hex(e.Offset), driver.Hex(e.Table), driver.Hex(e.Index)), true
	case *driver.ConnectError:
		return "Failed to connect socket: " + e.Err.Error(), true
	case *driver.NoFileNameError:
		if e.Driver == "file" {
			return "Could not open image: No such file or directory", true
		}
	case *driver.TableOffsetError:
		if e.Table == "Active L1 table" {
			return "Invalid L1 table offset", true
		}
	case *driver.UnknownOptionError:
		if !e.Protocol {
			return fmt.Sprintf(
				"Block format '%s' used by device 'hda' doesn't support the option '%s'", e.Driver,
				e.Option), true
		}
	case *driver.UnsupportedError:
		if e.Version != 0 {
			return fmt.Sprintf("%sQCOW version %d", unsupported, e.Version), true
		}
		return unsupported + e.Features, true
	}
	return "", false
}
