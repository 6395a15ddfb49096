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
	groupsEnd
)

// Title is what a list of its commands is called.
func (g Group) Title() string {
	switch g {
	case GroupData:
		return "Read and write"
	case GroupLook:
		return "Look, search and compare"
	case GroupVerify:
		return "Verify and measure"
	case GroupImages:
		return "Images"
	case GroupInside:
		return "What images hold besides data"
	case GroupBackground:
		return "Requests in the background"
	case GroupServers:
		return "Servers"
	case GroupFaults:
		return "Faults and breakpoints"
	case GroupZones:
		return "Zones"
	case GroupShell:
		return "The shell"
	}
	return ""
}

// A Section is the commands of a group, sorted by name.
type Section struct {
	Group Group
	Rows  []*Row
}

// Sections are all commands by their groups.
func (t *Table) Sections() []Section {
	var sections []Section
	for g := GroupData; g < groupsEnd; g++ {
		s := Section{Group: g}
		for _, row := range t.Rows() {
			if row.Group == g {
				s.Rows = append(s.Rows, row)
			}
		}
		if s.Rows != nil {
			sections = append(sections, s)
		}
	}
	return sections
}
