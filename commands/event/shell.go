package event

import "github.com/blksh/blksh/blockdev"

// The events of this file are about the shell itself: what is open in it, and how it ends.

// Image is an image that is open, or was just opened.
type Image struct {
	Name     string // in the shell; "" where there can be only one
	Path     string // as it was given; "" if options say everything
	Format   string
	Size     int64 // bytes
	ReadOnly bool
	// Backing are the images below it, the nearest first.
	Backing []blockdev.Layer
}

// Opened says that an image was opened. First: it is the first one of this run.
type Opened struct {
	Image
	First bool
}

// Listed is one of the open images.
type Listed struct {
	Image
	Current  bool // commands go to it
	InFlight int  // requests in the background
}

// NoImage says that no image has that name.
type NoImage struct{ Name string }

// DeviceBusy warns of a device that is read while others use it. Uses are such as "/dev/sda1 is mounted on /home".
type DeviceBusy struct {
	Path string
	Uses []string
}

// NotConfirmed says that nothing was done to a device, since the answer was not its name.
type NotConfirmed struct{ Path string }

// Interrupted says that a person stopped the command. Where that is known, Op is the command and Done the number of bytes that it had done,
// from the start of the range on and without a gap.
type Interrupted struct {
	Op string
	Range
	Done int64
	// Resume is where the command goes on if it is given as --resume; 0 if it does not.
	Resume int64
	Err    error
}

// Cause is the error.
func (i Interrupted) Cause() error { return i.Err }

// InputIgnored warns of bytes on standard input that no command read, although one wrote and was not told what.
type InputIgnored struct{}

// CloseFailed says that an image could not be closed properly, so that what was written last may not be in it.
type CloseFailed struct {
	Image
	Err error
}

// Cause is the error.
func (c CloseFailed) Cause() error { return c.Err }

// Unexpected says that a command succeeded that had to fail.
type Unexpected struct{}

// ScriptFailed says that a script could not be read.
type ScriptFailed struct{ Err error }

// Cause is the error.
func (s ScriptFailed) Cause() error { return s.Err }

// Created says that an image file was made.
type Created struct {
	Path, Format string
	Size         int64 // bytes; -1 for that of the backing file
}

// Checked says what a check found out about an image.
type Checked struct {
	blockdev.CheckResult
	Fix blockdev.Fix // what was to be repaired
}

// Version is which program this is.
type Version struct {
	Version, Go      string
	Revision         string // of the source, "" if nobody knows
	OS, Architecture string
}

// Capabilities is what this program can do.
type Capabilities struct {
	Commands []CommandInfo
	Drivers  []DriverInfo
	Dialects []string
	Patterns []string
}

// CommandInfo is a command with the flags that it takes, such as "-v" and "--verbose".
type CommandInfo struct {
	Name, Alias string
	Flags       []string
}

// DriverInfo is a block driver. Creates: it can make images.
type DriverInfo struct {
	Name, Kind string
	Creates    bool
}

// AsJSON is an event that is wanted as JSON wherever it is shown.
type AsJSON struct{ Event }

// Exit is the last event of a run.
type Exit struct{ Status int }

// Kind of each event.
func (Opened) Kind() string       { return "opened" }
func (Listed) Kind() string       { return "image" }
func (NoImage) Kind() string      { return "no_image" }
func (DeviceBusy) Kind() string   { return "device_busy" }
func (NotConfirmed) Kind() string { return "not_confirmed" }
func (Interrupted) Kind() string  { return "interrupted" }
func (InputIgnored) Kind() string { return "input_ignored" }
func (CloseFailed) Kind() string  { return "close_failed" }
func (Unexpected) Kind() string   { return "unexpected_success" }
func (ScriptFailed) Kind() string { return "script_failed" }
func (Created) Kind() string      { return "created" }
func (Checked) Kind() string      { return "checked" }
func (Version) Kind() string      { return "version" }
func (Capabilities) Kind() string { return "capabilities" }
func (Exit) Kind() string         { return "exit" }
