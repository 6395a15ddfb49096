package print

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// The sentences of this file are about what was typed: which word is wrong, and what is right.

// usageWords says which of the words of a command is wrong.
func usageWords(e event.Usage) string {
	switch {
	case e.Option != nil:
		return e.Name + ": " + optionWords(e.Option)
	case len(e.Missing) > 0:
		verb := "is"
		if len(e.Missing) > 1 {
			verb = "are"
		}
		return fmt.Sprintf("%s: %s %s missing", e.Name, args.Listed(e.Missing, "and"), verb)
	case len(e.Extra) == 1:
		return fmt.Sprintf("%s: '%s' is one word too many", e.Name, e.Extra[0])
	case len(e.Extra) > 1:
		return fmt.Sprintf("%s: '%s' and what follows it are too many words", e.Name, e.Extra[0])
	}
	return e.Name + ": called in a wrong way"
}

// optionWords says what is wrong with an option.
func optionWords(e *args.OptionError) string {
	if e == nil {
		return "an option is wrong"
	}
	switch e.Problem {
	case args.AmbiguousOption:
		return fmt.Sprintf("%s may be %s", e.Option, args.Alternatives(e.May))
	case args.ValueMissing:
		return e.Option + " takes a value, which is missing"
	case args.ValueRefused:
		return e.Option + " takes no value"
	}
	return "there is no option " + e.Option
}

// failedWords says why a request failed. What lies outside of the image is the caller's to change,
// and no failure of the disk.
func failedWords(e event.Failed) string {
	var outside *blockdev.RangeError
	if errors.As(e.Err, &outside) {
		return fmt.Sprintf("%s: out of range: %s", e.Op, rangeWords(e.Err, outside.Size))
	}
	return fmt.Sprintf("%s failed: %s", e.Op, errnoWords(e.Err))
}

// breakReason says why a breakpoint could not be used, in the words of what it is about.
func breakReason(e event.BreakFailed) string {
	switch {
	case errors.Is(e.Err, syscall.ENOTSUP):
		return "the image has no layer that holds requests at breakpoints"
	case errors.Is(e.Err, syscall.EDEADLK):
		return fmt.Sprintf("no request is on its way to breakpoint %s", e.Tag)
	case errors.Is(e.Err, syscall.ENOENT) && e.Action == "set":
		return "there is no event " + e.Event
	case errors.Is(e.Err, syscall.ENOENT) && e.Action == "resume":
		return "no request stands at breakpoint " + e.Tag
	case errors.Is(e.Err, syscall.ENOENT):
		return "there is no breakpoint " + e.Tag
	}
	return breakFailedWords(e)
}

func breakAdvice(e event.BreakFailed) []string {
	if errors.Is(e.Err, syscall.ENOTSUP) {
		return []string{"'open blkdebug::FILE' opens one with such a layer"}
	}
	return near(e.Near)
}
