package event

import "github.com/blksh/blksh/blockdev/undo"

// Undone says that a disk has again what it had before the changes that a log knows. With Checked
// it only could have.
type Undone struct {
	Log     string `json:"log" type:"path" doc:"the log of changes"`
	Bytes   int64  `json:"bytes" unit:"bytes" doc:"what the log can put back"`
	Size    int64  `json:"size" unit:"bytes" doc:"length of the disk before the changes"`
	Torn    int64  `json:"torn,omitempty" unit:"bytes" doc:"of the end of the log, which is no whole record"`
	Damaged int64  `json:"damaged,omitempty" unit:"bytes" doc:"of the log, whose changes could not be put back"`
	Checked bool   `json:"checked,omitempty" doc:"nothing was put back: only a check was asked for"`
}

// Kind of the event.
func (Undone) Kind() Kind {
	return Kind{"undone", "A disk has again what it had before the changes that a log knows."}
}

// ForeignChanges says that a disk holds what was not written under a log. Nothing was put back.
type ForeignChanges struct {
	dataFailure
	Log    string       `json:"log" type:"path" doc:"the log of changes"`
	Ranges []undo.Range `json:"ranges" doc:"where: offset and length, up to a limit"`
	Count  int64        `json:"range_count" doc:"how many ranges there are"`
	Bytes  int64        `json:"bytes" unit:"bytes" doc:"in all of them"`
}

// Kind of the event.
func (ForeignChanges) Kind() Kind {
	return Kind{
		"foreign_changes",
		"A disk holds what was not written under a log; nothing was put back.",
	}
}

// First is where the first of them is.
func (f ForeignChanges) First() int64 {
	if len(f.Ranges) == 0 {
		return 0
	}
	return f.Ranges[0].Off
}
