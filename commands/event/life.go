package event

import (
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/units"
)

// The events of this file are about images as a whole: how they are made from others, and changed.

// Copied says that an image was copied: all of the range is durable in the other image.
type Copied struct {
	Range
	Name     string `json:"name" type:"path" doc:"the copy"`
	Format   string `json:"format" doc:"its format"`
	Written  int64  `json:"written" unit:"bytes" doc:"what was stored as data; the rest is zero"`
	Behind   int64  `json:"behind,omitempty" unit:"bytes" doc:"what the copy has behind, as it was"`
	Verified bool   `json:"verified,omitempty" doc:"it was read back and compared"`
}

// Kind of the event.
func (Copied) Kind() Kind {
	return Kind{"copied", "An image was copied; all of it is on stable storage."}
}

// Unfinished says what stands where after a copy that failed or was stopped. InPlace: the image
// itself was being filled.
type Unfinished struct {
	Range
	Name    string `json:"name" type:"path" doc:"the image that was to be made"`
	Part    string `json:"part" type:"path" doc:"the image that was being filled"`
	Done    int64  `json:"done" unit:"bytes" doc:"what was copied and is durable, without a gap"`
	Resumes bool   `json:"resumes,omitempty" doc:"--resume goes on"`
	InPlace bool   `json:"-"`
}

// Kind of the event.
func (Unfinished) Kind() Kind {
	return Kind{"unfinished", "What stands where after a copy that failed or was stopped."}
}

// Flushed says that what was written to an image was handed to stable storage, as its cache mode
// has it.
type Flushed struct{ Image }

// Kind of the event.
func (Flushed) Kind() Kind {
	return Kind{"flushed", "What was written to an image was handed to stable storage, as its cache mode has it."}
}

// Reopened says how an image is open from now on.
type Reopened struct{ Image }

// Kind of the event.
func (Reopened) Kind() Kind { return Kind{"reopened", "An image was reopened."} }

// Closed says that an image was closed, and that all of it could be written.
type Closed struct{ Image }

// Kind of the event.
func (Closed) Kind() Kind {
	return Kind{"closed", "An image was closed, and all of it could be written."}
}

// Measured says how large the file of a new image would be.
type Measured struct {
	blockdev.Measured
	Format string
}

// Kind of the event.
func (Measured) Kind() Kind {
	return Kind{"measured", "How large the file of a new image would be."}
}

type measured struct {
	Format         string `json:"format" doc:"of the image"`
	Required       int64  `json:"required" unit:"bytes" doc:"for what would be in it from the start"`
	FullyAllocated int64  `json:"fully_allocated" unit:"bytes" doc:"if all of it is written"`
	Bitmaps        *int64 `json:"bitmaps,omitempty" unit:"bytes" doc:"besides, for those of the source"`
}

// Told is the figures.
func (m Measured) Told() any {
	told := measured{Format: m.Format, Required: m.Required, FullyAllocated: m.FullyAllocated}
	if m.HasBitmaps {
		told.Bitmaps = &m.Bitmaps
	}
	return told
}

// Resized says that an image got another length.
type Resized struct {
	From int64 `json:"from" unit:"bytes" doc:"before"`
	To   int64 `json:"to" unit:"bytes" doc:"now"`
}

// Kind of the event.
func (Resized) Kind() Kind { return Kind{"resized", "An image got another length."} }

// Words of the event.
func (r Resized) Words() string {
	return units.Exact(r.To) + " long, " + units.Exact(r.From) + " before"
}

// Committed says that an overlay was brought into its backing file.
type Committed struct {
	Name    string `json:"name" type:"path" doc:"the overlay"`
	Base    string `json:"base" type:"path" doc:"its backing file"`
	Written int64  `json:"written" unit:"bytes" doc:"what was written to it as data"`
	Emptied bool   `json:"emptied" doc:"whether the overlay holds nothing any more"`
}

// Kind of the event.
func (Committed) Kind() Kind {
	return Kind{"committed", "An overlay was brought into its backing file."}
}

// Uncommitted says what stands where after a commit that failed.
type Uncommitted struct {
	Name string `json:"name" type:"path" doc:"the overlay, which is as it was"`
	Base string `json:"base" type:"path" doc:"its backing file"`
	Done int64  `json:"done" unit:"bytes" doc:"what was written to it as data"`
}

// Kind of the event.
func (Uncommitted) Kind() Kind {
	return Kind{"uncommitted", "What stands where after a commit that failed or was stopped."}
}

// Rebased says that an overlay has another backing file.
type Rebased struct {
	Name    string `json:"name" type:"path" doc:"the overlay"`
	Backing string `json:"backing,omitempty" type:"path" doc:"the backing file, if it has one"`
	Format  string `json:"format,omitempty" doc:"its format"`
	Written int64  `json:"written" unit:"bytes" doc:"what was copied into the overlay as data"`
}

// Kind of the event.
func (Rebased) Kind() Kind { return Kind{"rebased", "An overlay has another backing file."} }

// BitmapListed is a dirty bitmap of an image.
type BitmapListed struct {
	Name         string `json:"name" doc:"of the bitmap"`
	Granularity  int64  `json:"granularity" unit:"bytes" doc:"what one bit stands for, 0 if remote"`
	Enabled      bool   `json:"enabled" doc:"whether changes are recorded, if that is known"`
	Remote       bool   `json:"remote,omitempty" doc:"a server has it, and tells what is dirty"`
	Inconsistent bool   `json:"inconsistent,omitempty" doc:"it can only be removed"`
	Dirty        int64  `json:"dirty" unit:"bytes" doc:"what is dirty, rounded up to whole bits"`
	Uncounted    bool   `json:"uncounted,omitempty" doc:"how much is dirty is not known"`
}

// Kind of the event.
func (BitmapListed) Kind() Kind { return Kind{"bitmap", "A dirty bitmap of an image."} }

// BitmapChanged says that something was done to a bitmap.
type BitmapChanged struct {
	Action string `json:"action" doc:"add, remove, clear, enable, disable or merge"`
	Name   string `json:"name" doc:"of the bitmap"`
}

// Kind of the event.
func (BitmapChanged) Kind() Kind {
	return Kind{"bitmap_changed", "A bitmap was made, removed or changed."}
}

// Words of the event.
func (b BitmapChanged) Words() string { return "bitmap " + b.Name + ": " + b.done() }

// done says what was done to the bitmap.
func (b BitmapChanged) done() string {
	switch b.Action {
	case "add":
		return "added"
	case "remove":
		return "removed"
	case "clear":
		return "cleared"
	case "enable":
		return "records changes"
	case "disable":
		return "records nothing"
	case "merge":
		return "merged"
	}
	return b.Action
}

// DirtyRun is a run of bytes that are all dirty in a bitmap, or all not.
type DirtyRun struct {
	Range
	Dirty bool `json:"dirty" doc:"whether it has changed"`
}

// Kind of the event.
func (DirtyRun) Kind() Kind {
	return Kind{"dirty_run", "A run that is dirty in a bitmap, or is not."}
}

// DirtyTotals says how much is dirty.
type DirtyTotals struct {
	Range
	Bitmap string `json:"bitmap" doc:"its name"`
	Dirty  int64  `json:"dirty" unit:"bytes" doc:"what is dirty"`
	Runs   int64  `json:"runs" doc:"in so many runs"`
}

// Kind of the event.
func (DirtyTotals) Kind() Kind { return Kind{"dirty_totals", "How much is dirty in a bitmap."} }

// Words of the event.
func (d DirtyTotals) Words() string {
	return fmt.Sprintf("%s of %s at offset %d %s dirty, in %s", units.Exact(d.Dirty),
		units.Exact(d.Len), d.Off, units.Are(d.Dirty), units.Count(d.Runs, "run"))
}

// Amended says that options of an image are others now.
type Amended struct {
	Options []string `json:"options" doc:"those that were given"`
}

// Kind of the event.
func (Amended) Kind() Kind { return Kind{"amended", "Options of an image were changed."} }

// Words of the event.
func (a Amended) Words() string { return "amended: " + strings.Join(a.Options, ", ") }
