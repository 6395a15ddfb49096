package event

// Edited says what a person has changed in the editor.
type Edited struct {
	Bytes   int    `json:"bytes" unit:"bytes" doc:"that were written"`
	Ranges  int    `json:"ranges" doc:"in which they are"`
	Log     string `json:"log,omitempty" type:"path" doc:"the log of changes, which undo takes"`
	Dropped int    `json:"dropped,omitempty" unit:"bytes" doc:"that were changed and not written"`
}

// Kind of the event.
func (Edited) Kind() Kind { return Kind{"edited", "The editor has ended."} }
