package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// The sentences of this file are qemu-io's, without the name of the program: QEMU says them, and
// they are reasons in every other voice.

const (
	fileOpenWords = "file open already, try 'help close'"
	noFileWords   = "no file open, try 'help open'"
)

func badCountWords(e event.BadCount) string {
	expected := fmt.Sprintf("between %d and %d", e.Min, e.Max)
	switch e.Max {
	case -1:
		expected = fmt.Sprintf("at least %d", e.Min)
	case e.Min:
		expected = fmt.Sprint(e.Min)
	}
	return fmt.Sprintf("bad argument count %d to %s, expected %s arguments", e.Given, e.Name,
		expected)
}

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

func helpUnknownWords(e event.HelpUnknown) string {
	return fmt.Sprintf("command %s not found", e.Name)
}

func mismatchWords(e event.Mismatch) string {
	return fmt.Sprintf("Pattern verification failed at offset %d, %d bytes", e.Off, e.Len)
}

func openFailedWords(e event.OpenFailed) string {
	if e.Unnamed {
		return "can't open: " + words(e.Err)
	}
	return fmt.Sprintf("can't open device %s: %s", e.Name, words(e.Err))
}

func tooLongWords(e event.TooLong) string {
	if e.Escape == 0 {
		return fmt.Sprintf("length cannot exceed %d, given %s", e.Limit, e.Word)
	}
	return fmt.Sprintf("length cannot exceed %d without -%c, given %s", e.Limit, e.Escape, e.Word)
}

func unalignedWords(e event.Unaligned) string {
	return fmt.Sprintf("%d is not a sector-aligned value for '%s'", e.Value, e.Operand)
}

func unknownCommandWords(e event.UnknownCommand) string {
	return fmt.Sprintf("command \"%s\" not found", e.Name)
}

func vecTooLongWords(e event.VecTooLong) string {
	if e.Word == "" {
		return fmt.Sprintf("The total number of bytes exceed the maximum size %d", e.Limit)
	}
	return fmt.Sprintf("Argument '%s' exceeds maximum size %d", e.Word, e.Limit)
}
