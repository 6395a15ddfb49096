package print

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// advice is what a person wants to know next about a failure: the rule that was broken, who stands
// in the way, what to type instead. Each is a line of its own.
func advice(r event.Reason) []string {
	switch e := r.(type) {
	case event.BadOption:
		return append(near(e.Near), "--help lists the options")
	case event.BadValue:
		return near(e.Near)
	case event.BreakFailed:
		return breakAdvice(e)
	case event.Failed:
		return append(append(request(e), detail(e.Err)...), errorAdvice(e.Err)...)
	case event.FileError:
		return errorAdvice(e.Err)
	case event.FileOpen:
		return []string{"'open -a NAME FILE' opens another one beside it"}
	case event.HelpUnknown:
		return nearCommand(e.Near)
	case event.Interrupted:
		if e.Resume > 0 && e.Call != "" {
			return []string{"this goes on there: " + e.Call}
		}
	case event.NoImage:
		return []string{"'images' lists those that are open"}
	case event.NotAgreed:
		return []string{"the answer was another than yes; --yes answers beforehand"}
	case event.NotConfirmed:
		return []string{"the answer was another than its name; --yes answers beforehand"}
	case event.OpenFailed:
		return openAdvice(e)
	case event.Report:
		return errorAdvice(e.Err)
	case event.UnknownCommand:
		return nearCommand(e.Near)
	case event.Usage:
		call := strings.Join(strings.Fields(e.Name+" "+e.Args), " ")
		return append(near(e.Near), "usage: "+call, fmt.Sprintf("'help %s' says more", e.Name))
	}
	return nil
}

// near offers names in place of one that is wrong.
func near(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	return []string{"did you mean " + args.Alternatives(names) + "?"}
}

func nearCommand(names []string) []string {
	if len(names) == 0 {
		return []string{"'help' lists the commands"}
	}
	return near(names)
}

// request is which one of those for data that a command makes failed, and on which image, where the
// command has another name than the request.
func request(e event.Failed) []string {
	var failed *blockdev.Error
	if !errors.As(e.Err, &failed) || failed.Op == e.Op || ownFault(e.Err) ||
		!slices.Contains([]string{"read", "write", "zero", "discard", "flush"}, failed.Op) {
		return nil
	}
	text := cmp.Or(failed.File, failed.Node) + ": " + failed.Op
	if failed.Len > 0 {
		text += fmt.Sprintf(" of %s at offset %d", units.Exact(failed.Len), failed.Off)
	}
	return []string{visibleControls(text)}
}

// ownFault says whether a request was refused for what it asks or as it stands still, which other
// lines tell.
func ownFault(err error) bool {
	return errors.Is(err, syscall.EDEADLK) || errors.As(err, new(*blockdev.RangeError)) ||
		errors.As(err, new(*blockdev.AlignError)) || errors.Is(err, blockdev.ErrReadOnly)
}

// detail is what an error says beyond its error number.
func detail(err error) []string {
	text := words(err)
	if text == errnoWords(err) || ownFault(err) {
		return nil
	}
	if more, ok := strings.CutPrefix(text, errnoWords(err)+" ("); ok {
		text = strings.TrimSuffix(more, ")")
	}
	return []string{text}
}

func openAdvice(e event.OpenFailed) []string {
	var lines []string
	backing := errors.As(e.Err, new(*blockdev.BackingError))
	switch {
	case errors.As(e.Err, new(driver.Held)):
		return append(holderWords(e.Err), shareAdvice(e)...)
	case errors.Is(e.Err, blockdev.ErrReadOnly):
		return []string{"an option makes a part of it read-only; -r opens all of it for reading only"}
	case backing: // what to do about the image itself does not help
	case unwritable(e.Err) && e.Readable && !e.ReadOnly:
		lines = append(lines, "without permission to write, -r opens it for reading only")
	case e.Absent:
		return absentAdvice(e)
	}
	var noKey *driver.NoKeyError
	if errors.As(e.Err, &noKey) {
		return []string{
			"--object secret,id=ID,file=FILE with the option " + noKey.Option + "=ID gives the key",
			"'info' tells what can be told without it",
		}
	}
	var damaged *blockdev.DamagedError
	if errors.As(e.Err, &damaged) && damaged.Image != "" {
		return append(lines,
			fmt.Sprintf("'check -r all %s' repairs what can be repaired", damaged.Image))
	}
	return append(lines, append(choiceAdvice(e.Err), errorAdvice(e.Err)...)...)
}

// choiceAdvice is about a word in place of which there are others.
func choiceAdvice(err error) []string {
	var choice driver.Choice
	if !errors.As(err, &choice) {
		return nil
	}
	word, from := choice.Choices()
	if likely := args.Near(word, from); len(likely) > 0 || len(from) == 0 {
		return near(likely)
	}
	return []string{"there can be " + args.Alternatives(from)}
}

func unwritable(err error) bool {
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) ||
		errors.Is(err, syscall.EROFS)
}

// shareAdvice is about an image that others hold.
func shareAdvice(e event.OpenFailed) []string {
	switch {
	case !e.ReadOnly && !e.Shared:
		return []string{"-r with -U looks at it while others write"}
	case !e.ReadOnly:
		return []string{"with -r it is only looked at"}
	case !e.Shared:
		return []string{"-U looks at it while others write"}
	}
	return nil
}

// absentAdvice is about a name that is no file, and may have been meant as a command.
func absentAdvice(e event.OpenFailed) []string {
	switch {
	case e.Command != "":
		return []string{fmt.Sprintf(
			"%s is a command for an image; its name comes first: FILE %[1]s", e.Command)}
	case len(e.Near) > 0:
		return near(e.Near)
	}
	switch folderOfSystem(e.Name) {
	case "":
		return []string{fmt.Sprintf("'create -f FORMAT %s SIZE' makes an image", e.Name)}
	case "/dev":
		return []string{"there is no such device"}
	}
	return []string{"there is no such file of the system"}
}

// folderOfSystem is the one of those in which the system shows itself, and nobody makes images,
// that a name lies in, "" for none.
func folderOfSystem(name string) string {
	path, err := filepath.Abs(name)
	if err != nil || strings.HasPrefix(path, "/dev/shm/") { // memory with room for images
		return ""
	}
	for _, folder := range []string{"/dev", "/proc", "/sys"} {
		if strings.HasPrefix(path, folder+"/") {
			return folder
		}
	}
	return ""
}

// holderWords says who holds a lock.
func holderWords(err error) []string {
	var held driver.Held
	if !errors.As(err, &held) {
		return nil
	}
	p, err := held.Holder()
	if err != nil {
		return []string{"another process uses it, which cannot be seen from here"}
	}
	if p.PID == os.Getpid() {
		return []string{"this program has it open already"}
	}
	if p.Command == "" {
		return []string{fmt.Sprintf("the process %d uses it", p.PID)}
	}
	return []string{fmt.Sprintf("%s (pid %d) uses it", p.Command, p.PID)}
}

// errorAdvice is about errors of the block layer.
func errorAdvice(err error) []string {
	var outside *blockdev.RangeError
	var unaligned *blockdev.AlignError
	var hint driver.Hinter
	var alert *net.OpError
	var adviser driver.Adviser
	switch {
	case errors.As(err, &adviser):
		return []string{adviser.Advice()}
	case errors.As(err, &alert) && alert.Op == "remote error":
		return []string{"the server says: " + strings.TrimPrefix(alert.Err.Error(), "tls: ")}
	case errors.Is(err, blockdev.ErrReadOnly) && !errors.As(err, &hint):
		return []string{"it was opened without permission to write; 'reopen -w' allows writing"}
	case errors.As(err, &outside): // the reason says it
	case errors.Is(err, syscall.EDEADLK):
		return []string{
			"every request stands still, at a breakpoint or behind one that does; 'resume TAG' lets it go",
		}
	case errors.As(err, &unaligned):
		off, n := unaligned.Nearest()
		return []string{
			fmt.Sprintf(
				"offset and length must be multiples of %d here; the nearest request is %s at %d",
				unaligned.Block, units.Bytes(n), off),
			"--rmw lets the blocks around it be read, changed and written",
		}
	case errors.As(err, new(driver.Held)):
		return holderWords(err)
	case errors.As(err, &hint) && hint.Hint() != "":
		return strings.Split(strings.TrimRight(hint.Hint(), "\n"), "\n")
	}
	return nil
}

// rangeWords says what may be asked for, and what of the request that failed was inside.
func rangeWords(err error, size int64) string {
	said := fmt.Sprintf("the image ends at %d", size)
	if size >= 1024 {
		said += " (" + units.Size(size) + ")"
	}
	var failed *blockdev.Error
	if !errors.As(err, &failed) || failed.Off < 0 || failed.Off >= size {
		return said
	}
	left := size - failed.Off
	return fmt.Sprintf("%s; at %d there %s %s left", said, failed.Off, units.Are(left),
		units.Bytes(left))
}
