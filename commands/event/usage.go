package event

import (
	"errors"
	"fmt"

	"github.com/blksh/blksh/commands/args"
)

// The events of this file are complaints about what was typed, and help.

// UnknownCommand is a first word that names no command. Near are the names that may be meant.
type UnknownCommand struct {
	usageFailure
	Name string   `json:"name" doc:"as typed"`
	Near []string `json:"near,omitempty" doc:"commands that may be meant"`
}

// Kind of the event.
func (UnknownCommand) Kind() Kind { return Kind{"unknown_command", "There is no such command."} }

// Words of the event, which are those of QEMU.
func (e UnknownCommand) Words() string {
	return fmt.Sprintf("command \"%s\" not found", e.Name)
}

// IsUnknown says whether err is that there is no such command, which nobody can want of one.
func IsUnknown(err error) bool {
	var failure *Failure
	if !errors.As(err, &failure) {
		return false
	}
	_, unknown := failure.Event.(UnknownCommand)
	return unknown
}

// NoFile says that a command needs an open image.
type NoFile struct{ usageFailure }

// Kind of the event.
func (NoFile) Kind() Kind { return Kind{"no_file", "The command needs an open image."} }

// Words of the event, which are those of QEMU.
func (NoFile) Words() string { return "no file open, try 'help open'" }

// FileOpen says that an image is open already.
type FileOpen struct{ usageFailure }

// Kind of the event.
func (FileOpen) Kind() Kind { return Kind{"file_open", "An image is open already."} }

// Words of the event, which are those of QEMU.
func (FileOpen) Words() string { return "file open already, try 'help close'" }

// BadCount is a wrong number of words after the name. Max is -1 for no limit.
type BadCount struct {
	usageFailure
	Name  string `json:"name" doc:"of the command, as typed"`
	Given int    `json:"given" doc:"words after the name"`
	Min   int    `json:"min" doc:"fewest"`
	Max   int    `json:"max" doc:"most, -1 for no limit"`
}

// Kind of the event.
func (BadCount) Kind() Kind { return Kind{"bad_count", "Too many or too few words."} }

// Words of the event, which are those of QEMU.
func (e BadCount) Words() string {
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

// Synopsis is the line that describes a command.
type Synopsis struct {
	Name  string `json:"name" doc:"of the command"`
	Alias string `json:"alias,omitempty" doc:"its other name"`
	Args  string `json:"args,omitempty" doc:"flags and operands"`
	Short string `json:"short" doc:"what it does"`
}

// Kind of the event.
func (Synopsis) Kind() Kind { return Kind{"synopsis", "How a command is called."} }

// Usage is shown instead of running a command that was called in a wrong way: with an option that
// it does not take so, nil for none, too few operands or too many.
type Usage struct {
	usageFailure
	Option  *args.OptionError
	Near    []string // flags that may be meant
	Missing []string // operands and flags that are not there, by their names
	Extra   []string // words that are too many, as typed
	Synopsis
}

// Kind of the event.
func (Usage) Kind() Kind { return Kind{"usage", "The command was called in a wrong way."} }

type usage struct {
	Name    string   `json:"name" doc:"of the command"`
	Args    string   `json:"args,omitempty" doc:"flags and operands"`
	Option  string   `json:"option,omitempty" doc:"the flag that is wrong"`
	Near    []string `json:"near,omitempty" doc:"flags that may be meant"`
	Missing []string `json:"missing,omitempty" doc:"operands that are not there"`
	Extra   []string `json:"extra,omitempty" doc:"words that are too many"`
}

// Told is how the command is called; what it does is no news.
func (u Usage) Told() any {
	return usage{
		Name: u.Name, Args: u.Args, Option: nameOf(u.Option), Near: u.Near, Missing: u.Missing,
		Extra: u.Extra,
	}
}

// BadOption is an option of the program that is none, or not so.
type BadOption struct {
	usageFailure
	Option *args.OptionError
	Near   []string
}

// Kind of the event.
func (BadOption) Kind() Kind { return Kind{"bad_option", "The program has no such option."} }

type badOption struct {
	Option string   `json:"option" doc:"as it can be typed"`
	Near   []string `json:"near,omitempty" doc:"options that may be meant"`
}

// Told is the option itself.
func (b BadOption) Told() any { return badOption{nameOf(b.Option), b.Near} }

// nameOf is the option that an error is about, "" for none.
func nameOf(wrong *args.OptionError) string {
	if wrong == nil {
		return ""
	}
	return wrong.Option
}

// BadNumber is an operand that is no number.
type BadNumber struct {
	usageFailure
	Command string `json:"command" doc:"its name"`
	// "off", "len"; for a flag its letter
	Operand string    `json:"operand" doc:"what the number is for"`
	Word    string    `json:"word" doc:"as typed"`
	First   string    `json:"-"` // the first word after the name of the command
	Problem args.Kind `json:"-"`
	Err     error     `json:"-"`
}

// Kind of the event.
func (BadNumber) Kind() Kind { return Kind{"bad_number", "An operand is no number."} }

// Cause is the error.
func (b BadNumber) Cause() error { return b.Err }

// BadValue is an operand or the value of a flag that makes no sense, in a sentence.
type BadValue struct {
	usageFailure
	Message string   `json:"-"`
	Near    []string `json:"near,omitempty" doc:"values that may be meant"`
}

// Kind of the event.
func (BadValue) Kind() Kind { return Kind{"bad_value", "A value makes no sense."} }

// HexSuffix warns of a hex number with a multiplier.
type HexSuffix struct {
	Word string `json:"word" doc:"as typed"`
}

// Kind of the event.
func (HexSuffix) Kind() Kind { return Kind{"hex_suffix", "A hex number has a multiplier."} }

// ShortOption warns of an option without a value, which stands for on, or with "no" in front of its
// key for off.
type ShortOption struct {
	Word string `json:"word" doc:"as typed"`
	Key  string `json:"-"`
	Off  bool   `json:"-"`
}

// Kind of the event.
func (ShortOption) Kind() Kind {
	return Kind{
		"short_option",
		"An option stands without a value, which means on, or with \"no\" in front for off.",
	}
}

// Conflict says which flags do not go together, or which one wants another, in a sentence.
type Conflict struct {
	usageFailure
	Message string `json:"-"`
}

// Kind of the event.
func (Conflict) Kind() Kind {
	return Kind{"conflict", "Flags do not go together, or one wants another."}
}

// Unaligned is a number that is no multiple of a sector. Operand is what it is for.
type Unaligned struct {
	usageFailure
	Operand string `json:"operand" doc:"what it is for"`
	Value   int64  `json:"value" doc:"the number"`
}

// Kind of the event.
func (Unaligned) Kind() Kind { return Kind{"unaligned", "A number is no multiple of a sector."} }

// Words of the event, which are those of QEMU.
func (e Unaligned) Words() string {
	return fmt.Sprintf("%d is not a sector-aligned value for '%s'", e.Value, e.Operand)
}

// TooLong is a length above the largest request. Escape is the flag that lifts the limit, 0 if none
// does.
type TooLong struct {
	usageFailure
	Word   string `json:"-"`
	Limit  int64  `json:"limit" unit:"bytes" doc:"the longest"`
	Escape byte   `json:"-"`
}

// Kind of the event.
func (TooLong) Kind() Kind { return Kind{"too_long", "A length is above the largest request."} }

// Words of the event, which are those of QEMU.
func (e TooLong) Words() string {
	if e.Escape == 0 {
		return fmt.Sprintf("length cannot exceed %d, given %s", e.Limit, e.Word)
	}
	return fmt.Sprintf("length cannot exceed %d without -%c, given %s", e.Limit, e.Escape, e.Word)
}

// VecTooLong is a length of several that is above the limit by itself, or, without a Word, with
// those before it.
type VecTooLong struct {
	usageFailure
	Word  string `json:"-"`
	Limit int64  `json:"limit" unit:"bytes" doc:"the longest"`
}

// Kind of the event.
func (VecTooLong) Kind() Kind { return Kind{"vec_too_long", "A length of several is too large."} }

// Words of the event, which are those of QEMU.
func (e VecTooLong) Words() string {
	if e.Word == "" {
		return fmt.Sprintf("The total number of bytes exceed the maximum size %d", e.Limit)
	}
	return fmt.Sprintf("Argument '%s' exceeds maximum size %d", e.Word, e.Limit)
}

// OpenFailed says that an image could not be opened. Unnamed: it was described by options alone.
type OpenFailed struct {
	Name     string   `json:"path,omitempty" type:"path" doc:"as it was given"`
	Unnamed  bool     `json:"-"`
	ReadOnly bool     `json:"-"` // no permission to write was asked for
	Shared   bool     `json:"-"` // -U was given
	Readable bool     `json:"-"` // its file may be read
	Absent   bool     `json:"-"` // there is no file of its name, and one may be made
	Command  string   `json:"command,omitempty" doc:"the command of that name, which needs an image"`
	Near     []string `json:"near,omitempty" doc:"commands that may be meant"`
	Err      error    `json:"-" type:"cause"`
}

// Kind of the event.
func (OpenFailed) Kind() Kind { return Kind{"open_failed", "An image could not be opened."} }

// Class tells images that others use from those that cannot be opened at all.
func (o OpenFailed) Class() Class {
	if locked(o.Err) {
		return ClassLocked
	}
	return ClassOpen
}

// Cause is the error.
func (o OpenFailed) Cause() error { return o.Err }

// Report is an error of the block layer that belongs to no request.
type Report struct {
	Err error `json:"-" type:"cause"`
}

// Kind of the event.
func (Report) Kind() Kind {
	return Kind{"report", "The block layer refused something that is no request."}
}

// Class is that of the error.
func (r Report) Class() Class { return ClassOf(r.Err) }

// Cause is the error.
func (r Report) Cause() error { return r.Err }

// FileError is about a file that is no image, such as the source of a write.
type FileError struct {
	Name string `json:"path" type:"path" doc:"of the file"`
	Err  error  `json:"-" type:"cause"`
}

// Kind of the event.
func (FileError) Kind() Kind {
	return Kind{"file_error", "A file that is no image could not be used."}
}

// Class is that of the error.
func (f FileError) Class() Class { return classOfFile(f.Err) }

// Cause is the error.
func (f FileError) Cause() error { return f.Err }

// HelpList is what there is help on: the commands by their groups, and topics.
type HelpList struct {
	Groups []HelpGroup `json:"groups" doc:"of commands"`
	Topics []HelpTopic `json:"topics,omitempty" doc:"what else there is help on"`
}

// HelpGroup is commands of a kind.
type HelpGroup struct {
	Title    string     `json:"title" doc:"what they are for"`
	Commands []Synopsis `json:"commands" doc:"sorted by name"`
}

// HelpTopic is a text that there is help on.
type HelpTopic struct {
	Name  string `json:"name" doc:"a word"`
	Short string `json:"short" doc:"what it is about"`
}

// Kind of the event.
func (HelpList) Kind() Kind { return Kind{"help_list", "All commands and topics."} }

// HelpBody is the text below a synopsis, lines that begin with a blank.
type HelpBody struct {
	Text string `json:"text" doc:"several lines"`
}

// Kind of the event.
func (HelpBody) Kind() Kind { return Kind{"help", "Help on a command or a topic."} }

// HelpUnknown says that there is no help on a name. Near are the names that may be meant.
type HelpUnknown struct {
	usageFailure
	Name string   `json:"name" doc:"as typed"`
	Near []string `json:"near,omitempty" doc:"commands that may be meant"`
}

// Kind of the event.
func (HelpUnknown) Kind() Kind { return Kind{"help_unknown", "There is no help on that."} }

// Words of the event.
func (h HelpUnknown) Words() string { return fmt.Sprintf("command %q not found", h.Name) }
