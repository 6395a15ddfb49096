package session

// Group is the kind of a command, under which help and the manual list it.
type Group uint8

// The groups, in the order in which they are listed. The zero value is none.
const (
	GroupData Group = iota + 1
	GroupLook
	GroupVerify
	GroupImages
	GroupInside
	GroupBackground
	GroupServers
	GroupFaults
	GroupZones
	GroupShell
)

var groupTitles = [...]string{
	GroupData:       "Read and write",
	GroupLook:       "Look, search and compare",
	GroupVerify:     "Verify and measure",
	GroupImages:     "Images",
	GroupInside:     "What images hold besides data",
	GroupBackground: "Requests in the background",
	GroupServers:    "Servers",
	GroupFaults:     "Faults and breakpoints",
	GroupZones:      "Zones",
	GroupShell:      "The shell",
}

// Title is what a list of its commands is called, "" for no group.
func (g Group) Title() string { return groupTitles[g] }

// A Section is the commands of a group, sorted by name.
type Section struct {
	Group Group
	Rows  []*Row
}

// Sections are all commands by their groups.
func (t *Table) Sections() []Section {
	var sections []Section
	for g := range groupTitles {
		s := Section{Group: Group(g)}
		for _, row := range t.Rows() {
			if row.Group == s.Group {
				s.Rows = append(s.Rows, row)
			}
		}
		if s.Rows != nil {
			sections = append(sections, s)
		}
	}
	return sections
}
