package event

import (
	"fmt"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/units"
)

// The events of this file are about the shell itself: what is open in it, and how it ends.

// Image is an image that is open, or was just opened. Name is "" where there can be only one, Path
// if options say everything.
type Image struct {
	Name     string           `json:"name,omitempty" doc:"of the image in the shell"`
	Path     string           `json:"path,omitempty" type:"path" doc:"of the image, as it was given"`
	Format   string           `json:"format" doc:"name of the driver"`
	Size     int64            `json:"size" unit:"bytes" doc:"of its content"`
	ReadOnly bool             `json:"read_only" doc:"whether it was opened without permission to write"`
	Backing  []blockdev.Layer `json:"backing,omitempty" doc:"the backing files, the nearest first: path, format, size, read_only, disk_size"`
	Snapshot string           `json:"snapshot,omitempty" doc:"id or name of the snapshot inside the image that is open"`
}

// Opened says that an image was opened. First: it is the first one of this run.
type Opened struct {
	Image
	First bool `json:"-"`
}

// Kind of the event.
func (Opened) Kind() Kind { return Kind{"opened", "An image was opened."} }

// NothingOpen greets a person who has opened no image yet.
type NothingOpen struct{}

// Kind of the event.
func (NothingOpen) Kind() Kind {
	return Kind{"nothing_open", "A person is asked for commands, and no image is open."}
}

// Words of the event.
func (NothingOpen) Words() string {
	return "no image is open: 'open FILE' opens one, 'help' lists the commands"
}

// Listed is one of the open images.
type Listed struct {
	Image
	Current  bool `json:"current" doc:"whether commands go to it"`
	InFlight int  `json:"in_flight" doc:"requests in the background"`
}

// Kind of the event.
func (Listed) Kind() Kind { return Kind{"image", "One of the open images."} }

// NoImage says that no image has that name.
type NoImage struct {
	usageFailure
	Name string `json:"name" doc:"as typed"`
}

// Kind of the event.
func (NoImage) Kind() Kind { return Kind{"no_image", "No image has that name."} }

// Words of the event.
func (n NoImage) Words() string { return "no image is called " + n.Name }

// DeviceBusy warns of a device that is read while others use it.
type DeviceBusy struct {
	Path string   `json:"path" type:"path" doc:"of the device"`
	Uses []string `json:"uses" doc:"such as \"/dev/sda1 is mounted on /home\""`
}

// Kind of the event.
func (DeviceBusy) Kind() Kind {
	return Kind{"device_busy", "A device is read while others use it, so that its data may move."}
}

// NotAgreed says that nothing was written to an image, since the person did not agree.
type NotAgreed struct {
	usageFailure
	Op    string `json:"op" doc:"the command"`
	Image string `json:"of" doc:"name of the image"`
}

// Kind of the event.
func (NotAgreed) Kind() Kind {
	return Kind{"not_agreed", "An image was not overwritten, since the person did not agree."}
}

// Words of the event.
func (n NotAgreed) Words() string { return n.Image + " is as it was: its data was to be kept" }

// NotConfirmed says that nothing was done to a device, since the answer was not its name.
type NotConfirmed struct {
	usageFailure
	Path string `json:"path" type:"path" doc:"of the device"`
}

// Kind of the event.
func (NotConfirmed) Kind() Kind {
	return Kind{"not_confirmed", "Nothing was done to a device since the answer was not its name."}
}

// Words of the event.
func (n NotConfirmed) Words() string { return "nothing was done to " + n.Path }

// Interrupted says that a person stopped the command. Where that is known, Op is the command and
// Done the number of bytes that it had done, from the start of the range on and without a gap.
// Resume is where the command goes on if it is given as --resume; 0 if it does not.
type Interrupted struct {
	Op string
	Range
	Done   int64
	Resume int64
	Call   string // the command that goes on there, if it is known
	Err    error
}

// Kind of the event.
func (Interrupted) Kind() Kind { return Kind{"interrupted", "A person stopped the command."} }

// Class of the failure.
func (Interrupted) Class() Class { return ClassInterrupted }

// Words of the event.
func (i Interrupted) Words() string {
	if i.Op == "" {
		return "interrupted"
	}
	return fmt.Sprintf("interrupted: %s stopped at %d, %s of %s done",
		i.Op, i.Off+i.Done, units.Size(i.Done), units.Size(i.Len))
}

// Cause is the error.
func (i Interrupted) Cause() error { return i.Err }

type interrupted struct {
	Op     string `json:"op,omitempty" doc:"the command"`
	Off    *int64 `json:"offset,omitempty" unit:"bytes" doc:"first byte of its range"`
	Len    *int64 `json:"length,omitempty" unit:"bytes" doc:"of its range"`
	Done   *int64 `json:"done,omitempty" unit:"bytes" doc:"what was done, from the first byte on and without a gap"`
	Resume int64  `json:"resume,omitempty" unit:"bytes" doc:"where --resume goes on"`
}

// Told leaves out what nobody noted.
func (i Interrupted) Told() any {
	told := interrupted{Op: i.Op, Resume: i.Resume}
	if i.Op != "" {
		told.Off, told.Len, told.Done = &i.Off, &i.Len, &i.Done
	}
	return told
}

// InputIgnored warns of bytes on standard input that no command read.
type InputIgnored struct{}

// Kind of the event.
func (InputIgnored) Kind() Kind {
	return Kind{
		"input_ignored",
		"Standard input has bytes that no command read, although one wrote and was not told what.",
	}
}

// CloseFailed says that an image could not be closed properly.
type CloseFailed struct {
	Name     string `json:"name,omitempty" doc:"of the image in the shell"`
	Path     string `json:"path,omitempty" type:"path" doc:"of the image, as it was given"`
	ReadOnly bool   `json:"-"`
	Err      error  `json:"-" type:"cause"`
}

// Kind of the event.
func (CloseFailed) Kind() Kind {
	return Kind{
		"close_failed",
		"An image could not be closed properly: what was written last, if anything, may not be in it.",
	}
}

// Class of the failure.
func (CloseFailed) Class() Class { return ClassIO }

// Cause is the error.
func (c CloseFailed) Cause() error { return c.Err }

// Unexpected says that a command succeeded that had to fail.
type Unexpected struct{ dataFailure }

// Kind of the event.
func (Unexpected) Kind() Kind {
	return Kind{"unexpected_success", "A command succeeded that had to fail."}
}

// Words of the event.
func (Unexpected) Words() string { return "succeeded, but was expected to fail" }

// OtherStatus says that a command ended with another exit status than was expected.
type OtherStatus struct {
	dataFailure
	Status   int `json:"status" doc:"how it ended"`
	Expected int `json:"expected" doc:"how it had to"`
}

// Kind of the event.
func (OtherStatus) Kind() Kind {
	return Kind{"other_status", "A command ended with another exit status than was expected."}
}

// Words of the event.
func (o OtherStatus) Words() string {
	return fmt.Sprintf("ended with status %d, and not with %d as expected", o.Status, o.Expected)
}

// Seed is where the random numbers of a script begin, when nobody said where.
type Seed struct {
	Seed int64 `json:"seed" doc:"for the statement seed"`
}

// Kind of the event.
func (Seed) Kind() Kind { return Kind{"seed", "Where the random numbers of a script begin."} }

// Words of the event.
func (s Seed) Words() string { return fmt.Sprintf("seed %d", s.Seed) }

// Timed is how long a command or a block took.
type Timed struct {
	Elapsed time.Duration `json:"elapsed_ns" unit:"ns" doc:"of the clock on the wall"`
}

// Kind of the event.
func (Timed) Kind() Kind { return Kind{"timed", "How long what stands behind time took."} }

// Words of the event.
func (t Timed) Words() string {
	if t.Elapsed <= 0 { // see Timeless
		return "time: -"
	}
	return "time: " + units.Time(t.Elapsed)
}

// ScriptFailed says that a script could not be read.
type ScriptFailed struct {
	Name string `json:"path,omitempty" type:"path" doc:"of the script"`
	Err  error  `json:"-" type:"cause"`
}

// Kind of the event.
func (ScriptFailed) Kind() Kind { return Kind{"script_failed", "A script could not be read."} }

// Class is that of the error.
func (s ScriptFailed) Class() Class { return ClassOf(s.Err) }

// Cause is the error.
func (s ScriptFailed) Cause() error { return s.Err }

// Created says that an image file was made.
type Created struct {
	Path   string `json:"path" type:"path" doc:"its name"`
	Format string `json:"format" doc:"its format"`
	Size   int64  `json:"size" omit:"negative" unit:"bytes" doc:"of its content, unless it is that of the backing file"`
}

// Kind of the event.
func (Created) Kind() Kind { return Kind{"created", "An image file was made."} }

// Words of the event.
func (c Created) Words() string {
	size := ""
	if c.Size >= 0 {
		size = ", " + units.Exact(c.Size)
	}
	return fmt.Sprintf("created %s: %s%s", c.Path, c.Format, size)
}

// Checked says what a check found out about an image.
type Checked struct {
	blockdev.CheckResult
	Fix blockdev.Fix // what was to be repaired
}

// Kind of the event.
func (Checked) Kind() Kind {
	return Kind{"checked", "What a check found in the metadata of an image."}
}

// Wrong says whether anything is wrong with the image.
func (c Checked) Wrong() bool { return c.Corruptions+c.Leaks+c.CheckErrors > 0 }

type checked struct {
	Corruptions        int64    `json:"corruptions" doc:"errors that are left"`
	Leaks              int64    `json:"leaks" doc:"clusters that nothing refers to, left"`
	CheckErrors        int64    `json:"check_errors" doc:"places that could not be checked"`
	CorruptionsFixed   int64    `json:"corruptions_fixed" doc:"errors that were repaired"`
	LeaksFixed         int64    `json:"leaks_fixed" doc:"leaks that were repaired"`
	ImageEnd           int64    `json:"image_end" unit:"bytes" doc:"offset behind the last cluster in use"`
	TotalClusters      int64    `json:"clusters" doc:"of the guest's length"`
	AllocatedClusters  int64    `json:"allocated_clusters" doc:"of them"`
	FragmentedClusters int64    `json:"fragmented_clusters" doc:"of those"`
	CompressedClusters int64    `json:"compressed_clusters" doc:"of those"`
	Messages           []string `json:"messages,omitempty" doc:"what was found or repaired, a line each"`
}

// Told is the result.
func (c Checked) Told() any { return checked(c.CheckResult) }

// Unsound is the outcome of a check that found something wrong, and told of it as Checked.
type Unsound struct {
	dataFailure
	Checked
}

// Words of the event.
func (u Unsound) Words() string {
	return fmt.Sprintf("%s, %s, %s while checking",
		units.Count(u.Corruptions, "corruption"),
		units.Count(u.Leaks, "leak"), units.Count(u.CheckErrors, "error"))
}

// Version is which program this is.
type Version struct {
	Version      string `json:"version" doc:"of the program"`
	Go           string `json:"go" doc:"of the language it was built with"`
	Revision     string `json:"revision,omitempty" doc:"of the source"`
	OS           string `json:"os" doc:"it was built for"`
	Architecture string `json:"arch" doc:"it was built for"`
	Schema       Schema `json:"schema" doc:"version of this JSON"`
}

// NamesSchema: the event has a field for the version of the JSON.
func (Version) NamesSchema() {}

// Kind of the event.
func (Version) Kind() Kind { return Kind{"version", "Which program this is."} }

// Capabilities is what this program can do.
type Capabilities struct {
	Commands []CommandInfo `json:"commands" doc:"name, alias and flags of each"`
	Drivers  []DriverInfo  `json:"drivers" doc:"name, kind and whether it creates images"`
	Dialects []string      `json:"dialects" doc:"values of --dialect"`
	Patterns []string      `json:"patterns" doc:"forms of -P"`
	Schema   Schema        `json:"schema" doc:"version of this JSON"`
}

// NamesSchema: the event has a field for the version of the JSON.
func (Capabilities) NamesSchema() {}

// Kind of the event.
func (Capabilities) Kind() Kind { return Kind{"capabilities", "What this program can do."} }

// CommandInfo is a command with the flags that it takes, such as "-v" and "--verbose".
type CommandInfo struct {
	Name  string   `json:"name"`
	Alias string   `json:"alias,omitempty"`
	Flags []string `json:"flags"`
}

// DriverInfo is a block driver. Creates: it can make images.
type DriverInfo struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Creates bool   `json:"creates"`
}

// Done ends a command, or all that a request asked for, where nothing else tells of that.
type Done struct {
	Command string `json:"command,omitempty" doc:"its name, as typed"`
	Status  int    `json:"status" doc:"the exit status that it alone would give"`
}

// Kind of the event.
func (Done) Kind() Kind {
	return Kind{"done", "A command that says nothing has ended, or a request with an id."}
}

// Exit is the last event of a run.
type Exit struct {
	Status int    `json:"status" doc:"exit status"`
	Schema Schema `json:"schema" doc:"version of this JSON"`
}

// NamesSchema: the event has a field for the version of the JSON.
func (Exit) NamesSchema() {}

// Kind of the event.
func (Exit) Kind() Kind { return Kind{"exit", "The end of a run, always the last object."} }
