package event

import "github.com/blksh/blksh/commands/ondisk"

// Shown is a structure on a disk, decoded.
type Shown struct {
	Structure string
	Part      string
	Off       int64
	Fields    []ondisk.Value
}

// Kind of the event.
func (Shown) Kind() Kind { return Kind{"shown", "A structure on a disk, field by field."} }

type shown struct {
	Structure string       `json:"structure" doc:"mbr, gpt, qcow2, luks, ext4 or xfs"`
	Part      string       `json:"part" doc:"which part of it"`
	Off       int64        `json:"offset" unit:"bytes" doc:"of its first byte"`
	Fields    []shownField `json:"fields" doc:"offset, length, name, value, and meaning if there is a word for it"`
}

type shownField struct {
	Off     int64  `json:"offset"`
	Len     int    `json:"length"`
	Name    string `json:"name"`
	Value   string `json:"value"`
	Meaning string `json:"meaning,omitempty"`
}

// Told is the structure.
func (s Shown) Told() any {
	told := shown{s.Structure, s.Part, s.Off, nil}
	for _, f := range s.Fields {
		told.Fields = append(told.Fields, shownField(f))
	}
	return told
}

// NothingShown says that there is no structure of that name, or none at all if that is "".
type NothingShown struct {
	dataFailure
	Structure string `json:"structure,omitempty" doc:"what was looked for"`
	Off       int64  `json:"offset" unit:"bytes" doc:"where"`
}

// Kind of the event.
func (NothingShown) Kind() Kind {
	return Kind{"nothing_shown", "There is no such structure on the disk."}
}
