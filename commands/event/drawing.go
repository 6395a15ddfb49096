package event

import "github.com/blksh/blksh/commands/picture"

// Drawing is a range in cells, each of which says how much of it is of which class.
type Drawing struct{ *picture.Picture }

// Kind of the event.
func (Drawing) Kind() Kind { return Kind{"drawing", "A range in cells of one size, as --draw asks."} }

type drawing struct {
	Range
	Cell    int64        `json:"cell" unit:"bytes" doc:"that one cell stands for"`
	Classes []drawnClass `json:"classes" doc:"what there may be, and bytes of it in all; the first shows where a cell has several"`
	Runs    []drawnRun   `json:"runs" doc:"neighbouring cells that are all of one class, and cells that are not: offset, length, and bytes by class"`
}

type drawnClass struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

type drawnRun struct {
	Off   int64            `json:"offset"`
	Len   int64            `json:"length"`
	Bytes map[string]int64 `json:"bytes"`
}

// Told is what the cells hold.
func (d Drawing) Told() any {
	p := d.Picture
	if p == nil {
		p = &picture.Picture{}
	}
	told := drawing{Range: Range{p.Off, p.Len}, Cell: p.Cell}
	for i, c := range p.Classes {
		told.Classes = append(told.Classes, drawnClass{c.Name, p.Total(i)})
	}
	for _, r := range p.Runs() {
		run := drawnRun{r.Off, r.Len, map[string]int64{}}
		for i, n := range r.Bytes {
			if n > 0 {
				run.Bytes[p.Classes[i].Name] = n
			}
		}
		told.Runs = append(told.Runs, run)
	}
	return told
}

// Drawn says that a drawing was saved.
type Drawn struct {
	Path string `json:"path" type:"path" doc:"of the file, an SVG"`
}

// Kind of the event.
func (Drawn) Kind() Kind { return Kind{"drawn", "A drawing was saved."} }

// Words of the event.
func (d Drawn) Words() string { return "drawn: " + d.Path }
