package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// The sentences of this file are qemu-io's, without the name of the program: QEMU says them, and
// they are reasons in every other voice.

func badNumberWords(e event.BadNumber) string {
	word := e.Word
	if e.Command == "truncate" {
		word = e.First // also where that is a flag: measured on 7.2 to 11.1
	}
	if e.Problem == args.TooLarge {
		return "Parsing error: argument too large -- " + word
	}
	return "Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- " + word
}

func breakFailedWords(e event.BreakFailed) string {
	why := errnoWords(e.Err)
	switch e.Action {
	case "set":
		return "Could not set breakpoint: " + why
	case "remove":
		return fmt.Sprintf("Could not remove breakpoint %s: %s", e.Tag, why)
	case "resume":
		return "Could not resume request: " + why
	}
	return fmt.Sprintf("No request can reach breakpoint %s: %s", e.Tag, why)
}

func fileErrorWords(e event.FileError) string { return e.Name + ": " + words(e.Err) }

func openFailedWords(e event.OpenFailed) string {
	if e.Unnamed {
		return "can't open: " + words(e.Err)
	}
	return fmt.Sprintf("can't open device %s: %s", e.Name, words(e.Err))
}
