package print

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// advice is what a person wants to know next about a failure: the rule that was broken, who stands
// in the way, what to type instead. Each is a line of its own.
func advice(r event.Reason) []string {
	switch e := r.(type) {
	case event.BadCount:
		return []string{fmt.Sprintf("'help %s' says what it takes", e.Name)}
	case event.Failed:
		return append(detail(e.Err), errorAdvice(e.Err)...)
	case event.FileError:
		return errorAdvice(e.Err)
	case event.FileOpen:
		return []string{"'open -a NAME FILE' opens another one beside it"}
	case event.HelpUnknown:
		return near(e.Near)
	case event.Interrupted:
		if e.Resume > 0 {
			return []string{fmt.Sprintf("with --resume %d it goes on there", e.Resume)}
		}
	case event.NoImage:
		return []string{"'images' lists those that are open"}
	case event.NotConfirmed:
		return []string{"the answer was another than its name; --yes answers beforehand"}
	case event.OpenFailed:
		return openAdvice(e)
	case event.Report:
		return errorAdvice(e.Err)
	case event.UnknownCommand:
		return near(e.Near)
	case event.Usage:
		call := strings.Join(strings.Fields(e.Name+" "+e.Args), " ")
		return []string{"usage: " + call, fmt.Sprintf("'help %s' says more", e.Name)}
	}
	return nil
}

func near(names []string) []string {
	if len(names) == 0 {
		return []string{"'help' lists the commands"}
	}
	return []string{"did you mean " + strings.Join(names, " or ") + "?"}
}

// detail is what an error says beyond its error number.
func detail(err error) []string {
	text := words(err)
	if text == errnoWords(err) || errors.As(err, new(*blockdev.RangeError)) ||
		errors.As(err, new(*blockdev.AlignError)) ||
		errors.Is(err, blockdev.ErrReadOnly) {
		return nil
	}
	return []string{text}
}

func openAdvice(e event.OpenFailed) []string {
	var lines []string
	backing := errors.As(e.Err, new(*blockdev.BackingError))
	switch {
	case errors.As(e.Err, new(driver.Held)):
		return append(holderWords(e.Err),
			"-U shares it with programs that write it; with -r it is only looked at")
	case errors.Is(e.Err, blockdev.ErrReadOnly):
		return []string{"an option makes a part of it read-only; -r opens all of it for reading only"}
	case backing: // what to do about the image itself does not help
	case errors.Is(e.Err, syscall.EACCES) && !e.ReadOnly, errors.Is(e.Err, syscall.EPERM) &&
		!e.ReadOnly, errors.Is(e.Err, syscall.EROFS):
		lines = append(lines, "without permission to write, -r opens it for reading only")
	case errors.As(e.Err, new(driver.Hinter)): // it is about a part of the image
	case errors.Is(e.Err, fs.ErrNotExist) && !e.Unnamed:
		lines = append(lines, fmt.Sprintf("'create -f FORMAT %s SIZE' makes an image", e.Name))
	}
	var damaged *blockdev.DamagedError
	if errors.As(e.Err, &damaged) && damaged.Image != "" {
		return append(lines,
			fmt.Sprintf("'check -r all %s' repairs what can be repaired", damaged.Image))
	}
	return append(lines, errorAdvice(e.Err)...)
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
	switch {
	case errors.Is(err, blockdev.ErrReadOnly) && !errors.As(err, &hint):
		return []string{"it was opened without permission to write, which 'reopen -w' and the option -w give"}
	case errors.As(err, &outside):
		return []string{rangeWords(err, outside.Size)}
	case errors.As(err, &unaligned):
		off, n := unaligned.Nearest()
		return []string{
			fmt.Sprintf(
				"offset and length must be multiples of %d here; the nearest request is %d bytes at %d", unaligned.Block, n, off),
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
		said += " (" + args.Size(float64(size)) + ")"
	}
	var failed *blockdev.Error
	if !errors.As(err, &failed) || failed.Off < 0 || failed.Off >= size {
		return said
	}
	return fmt.Sprintf("%s; at %d there are %d bytes left", said, failed.Off, size-failed.Off)
}
