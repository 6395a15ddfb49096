package event

// Reported says that a page about what the command did was written.
type Reported struct {
	Name string `json:"name" type:"path" doc:"the page"`
}

// Kind of the event.
func (Reported) Kind() Kind {
	return Kind{"reported", "A page about what the command did was written."}
}

// Words of the event.
func (r Reported) Words() string { return "report: " + r.Name }
