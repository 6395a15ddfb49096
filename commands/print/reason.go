package print

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// reason says in one sentence why a command failed. Where qemu-io has a line it is that one,
// without the name of the program. Several lines are those of errors that were joined: a name that
// has lines in it stands escaped.
func reason(r event.Reason) string {
	switch e := r.(type) {
	case event.CloseFailed:
		said := ": " + MaybeLost
		if e.ReadOnly {
			said = ""
		}
		return fmt.Sprintf("close of %s%s: %s", visibleControls(cmp.Or(e.Path, e.Name)), said,
			words(e.Err))
	case event.FileError:
		e.Name = visibleControls(e.Name)
		return firstLine(fileErrorWords(e))
	case event.OpenFailed:
		e.Name = visibleControls(e.Name)
		return firstLine(openFailedWords(e))
	case event.Report:
		if errors.Is(e.Err, blockdev.ErrReadOnly) {
			return "the image is open for reading only"
		}
		return firstLine(words(e.Err))
	case event.ScriptFailed:
		if e.Name == "" {
			return words(e.Err)
		}
		return visibleControls(e.Name) + ": " + words(e.Err)
	}
	return visibleControls(sentence(r))
}

// MaybeLost is what is known of an image that was not closed properly.
const MaybeLost = "what was written last, if anything, may not be in it"

// firstLine is the first line of what the block layer has to say.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// sentence is a reason that is no error of the block layer alone, with names as they are.
func sentence(r event.Reason) string {
	switch e := r.(type) {
	case event.BadNumber:
		if e.Err != nil {
			return e.Err.Error()
		}
		return badNumberWords(e)
	case event.BadOption:
		return optionWords(e.Option)
	case event.BadValue:
		return e.Message
	case event.BreakFailed:
		return breakReason(e)
	case event.Conflict:
		return e.Message
	case event.Damaged:
		return damagedWords(e)
	case event.Different:
		return "different at " + placeWords(e.Places.List[0].Off)
	case event.Failed:
		return failedWords(e)
	case event.ForeignChanges:
		return foreignWords(e)
	case event.MergeFailed:
		return mergeWords(&e.Merged)
	case event.Mismatch:
		return fmt.Sprintf("Pattern verification failed at offset %d, %s", e.Off, units.Bytes(e.Len))
	case event.NotZero:
		return fmt.Sprintf("%s: not zero at %s", e.Op, placeWords(e.Places.List[0].Off))
	case event.NothingShown:
		return nothingShownWords(e)
	case event.NothingVerified:
		return "nothing was verified: " + blocksWords(e.Blocks, e.Len)
	case event.Usage:
		return usageWords(e)
	case event.Worded:
		return e.Words()
	}
	return r.Kind().Doc
}
