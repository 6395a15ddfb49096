package event

import "github.com/blksh/blksh/commands/args"

// The events of this file are complaints about what was typed, and help.

// UnknownCommand is a first word that names no command. Near are the names that may be meant.
type UnknownCommand struct {
	Name string
	Near []string
}

// NoFile says that a command needs an open image.
type NoFile struct{}

// FileOpen says that an image is open already.
type FileOpen struct{}

// BadCount is a wrong number of words after the name. Max is -1 for no limit.
type BadCount struct {
	Name            string // as typed
	Given, Min, Max int
}

// Synopsis is the line that describes a command.
type Synopsis struct{ Name, Args, Short string }

// Usage is shown instead of running a command that was called in a wrong way. Option is what getopt had to say before.
type Usage struct {
	Option string
	Synopsis
}

// BadNumber is an operand that is no number.
type BadNumber struct {
	Command string // its full name
	Operand string // what the number is for: "off", "len"; for a flag its letter
	Word    string
	First   string // the first word after the name of the command
	Problem args.Kind
	Err     error
}

// Cause is the error.
func (b BadNumber) Cause() error { return b.Err }

// BadValue is an operand or the value of a flag that makes no sense, in a sentence.
type BadValue struct{ Message string }

// HexSuffix warns of a hex number with a multiplier.
type HexSuffix struct{ Word string }

// ShortOption warns of an option without a value, which stands for on, or with "no" in front of its key for off.
type ShortOption struct {
	Word string // as written
	Key  string
	Off  bool
}

// Conflict says which flags do not go together, or which one wants another, in a sentence.
type Conflict struct{ Message string }

// Unaligned is a number that is no multiple of a sector. Operand is what it is for.
type Unaligned struct {
	Operand string
	Value   int64
}

// TooLong is a length above the largest request. Escape is the flag that lifts the limit, 0 if none does.
type TooLong struct {
	Word   string
	Limit  int64
	Escape byte
}

// VecTooLong is a length of several that is above the limit by itself, or, without a Word, with those before it.
type VecTooLong struct {
	Word  string
	Limit int64
}

// OpenFailed says that an image could not be opened. Unnamed: it was described by options alone.
type OpenFailed struct {
	Name     string
	Unnamed  bool
	ReadOnly bool // no permission to write was asked for
	Err      error
}

// Cause is the error.
func (o OpenFailed) Cause() error { return o.Err }

// Report is an error of the block layer that belongs to no request.
type Report struct{ Err error }

// Cause is the error.
func (r Report) Cause() error { return r.Err }

// FileError is about a file that is no image, such as the source of a write.
type FileError struct {
	Name string
	Err  error
}

// Cause is the error.
func (f FileError) Cause() error { return f.Err }

// HelpList ends the list of all commands. Topics are what else there is help on.
type HelpList struct{ Topics []string }

// HelpBody is the text below a synopsis, lines that begin with a blank.
type HelpBody struct{ Text string }

// HelpUnknown says that there is no help on a name. Near are the names that may be meant.
type HelpUnknown struct {
	Name string
	Near []string
}

// Kind of each event.
func (UnknownCommand) Kind() string { return "unknown_command" }
func (NoFile) Kind() string         { return "no_file" }
func (FileOpen) Kind() string       { return "file_open" }
func (BadCount) Kind() string       { return "bad_count" }
func (Synopsis) Kind() string       { return "synopsis" }
func (Usage) Kind() string          { return "usage" }
func (BadNumber) Kind() string      { return "bad_number" }
func (BadValue) Kind() string       { return "bad_value" }
func (HexSuffix) Kind() string      { return "hex_suffix" }
func (ShortOption) Kind() string    { return "short_option" }
func (Conflict) Kind() string       { return "conflict" }
func (Unaligned) Kind() string      { return "unaligned" }
func (TooLong) Kind() string        { return "too_long" }
func (VecTooLong) Kind() string     { return "vec_too_long" }
func (OpenFailed) Kind() string     { return "open_failed" }
func (Report) Kind() string         { return "report" }
func (FileError) Kind() string      { return "file_error" }
func (HelpList) Kind() string       { return "help_list" }
func (HelpBody) Kind() string       { return "help" }
func (HelpUnknown) Kind() string    { return "help_unknown" }
