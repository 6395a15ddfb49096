// Package picture draws what a range of a disk is made of: rows of cells, each of which stands for
// as many bytes as the others.
//
// A [Picture] counts, cell by cell, how many bytes are of each [Class]. It is made of any number of
// runs, in any order, and stays of one size: it has at most [mostCells] cells, however long the
// range is and however many runs it has. A cell shows the first of its classes of which it has a
// byte at all, so that a bad sector shows on a disk of many terabytes; what it shows differs where
// it is not all of that class.
//
//	p := picture.New(0, size, classes)
//	p.Add(0, 65536, data)
//	os.Stdout.Write(p.Text(picture.Screen{Width: 80}))
//
// Text is for terminals, SVG a page of its own that follows the light or dark of the reader. Both
// join cells by powers of two until they have room.
package picture

import (
	"slices"

	"github.com/blksh/blksh/commands/colour"
)

// mostCells bounds how many cells a picture has, leastCell how few bytes they stand for.
const (
	mostCells = 4096
	leastCell = 512
)

// Class is one sort of what may lie in a range.
type Class struct {
	// Name stands in the legend.
	Name string
	// Sign shows a cell that is all of this class, Part one that is so in part; 0 is as Sign.
	Sign, Part rune
	// Plain and PlainPart stand for them where there is ASCII only; 0 is as the other.
	Plain, PlainPart rune
	Role             colour.Role
}

// Full is a class whose cells are filled.
func Full(name string, role colour.Role) Class {
	return Class{Name: name, Sign: '█', Part: '▒', Plain: '#', PlainPart: '+', Role: role}
}

// Empty is a class whose cells are left empty.
func Empty(name string) Class {
	return Class{Name: name, Sign: '·', Plain: '.', Role: colour.Faint}
}

// Picture is a range in cells.
type Picture struct {
	Off, Len int64 // of the range, in bytes
	Cell     int64 // bytes that a cell stands for; the last one may have fewer
	Classes  []Class

	bytes []int64 // of each class, cell by cell
}

// New is a picture of n bytes from off on, of which nothing is known yet. Where a cell has several
// classes, the one that stands first is shown.
func New(off, n int64, classes []Class) *Picture {
	p := &Picture{Off: off, Len: max(0, n), Cell: leastCell, Classes: classes}
	for (p.Len-1)/p.Cell >= mostCells {
		p.Cell *= 2
	}
	p.bytes = make([]int64, p.Cells()*len(classes))
	return p
}

// Cells is how many there are.
func (p *Picture) Cells() int {
	if p.Len == 0 {
		return 0
	}
	return int((p.Len-1)/p.Cell) + 1
}

// Add says that n bytes from off on are of a class. What lies outside the range does not count, nor
// what a cell has no room for: who adds bytes twice has the first word.
func (p *Picture) Add(off, n int64, class int) {
	from, to := max(0, off-p.Off), off-p.Off+min(n, p.Len)
	for to = min(to, p.Len); from < to; {
		cell := from / p.Cell
		end := from + min(to-from, p.Cell-from%p.Cell)
		sums := p.sums(int(cell))
		sums[class] += min(end-from, p.room(int(cell))-total(sums))
		from = end
	}
}

// Fill says that all of which nothing was said is of a class.
func (p *Picture) Fill(class int) {
	for cell := range p.Cells() {
		sums := p.sums(cell)
		sums[class] += p.room(cell) - total(sums)
	}
}

// sums are the bytes of each class in a cell.
func (p *Picture) sums(cell int) []int64 {
	k := len(p.Classes)
	return p.bytes[cell*k:][:k]
}

// room is how many bytes a cell stands for.
func (p *Picture) room(cell int) int64 { return min(p.Cell, p.Len-int64(cell)*p.Cell) }

// Total is how many bytes of a class the range has.
func (p *Picture) Total(class int) (sum int64) {
	for cell := range p.Cells() {
		sum += p.sums(cell)[class]
	}
	return sum
}

// total is the sum of all.
func total(sums []int64) (sum int64) {
	for _, n := range sums {
		sum += n
	}
	return sum
}

// Run is neighbouring cells that have the same in them. A cell that is not all of one class, or of
// which nothing is known, is one by itself.
type Run struct {
	Off, Len int64
	// Bytes are those of each class.
	Bytes []int64
}

// Runs is the picture from its beginning to its end.
func (p *Picture) Runs() []Run {
	var runs []Run
	for cell := range p.Cells() {
		sums := slices.Clone(p.sums(cell))
		run := Run{p.Off + int64(cell)*p.Cell, p.room(cell), sums}
		if last := len(runs) - 1; last >= 0 && runs[last].pure() >= 0 &&
			runs[last].pure() == run.pure() {
			runs[last].Len += run.Len
			runs[last].Bytes[run.pure()] += run.Len
			continue
		}
		runs = append(runs, run)
	}
	return runs
}

// pure is the class that all of a run is of, -1 if there is none.
func (r Run) pure() int { return slices.Index(r.Bytes, r.Len) }

// join is the picture with so many neighbouring cells in one.
func (p *Picture) join(cells int) *Picture {
	joined := &Picture{Off: p.Off, Len: p.Len, Cell: p.Cell * int64(cells), Classes: p.Classes}
	joined.bytes = make([]int64, joined.Cells()*len(p.Classes))
	for cell := range p.Cells() {
		sums := joined.sums(cell / cells)
		for class, n := range p.sums(cell) {
			sums[class] += n
		}
	}
	return joined
}

// fit joins cells until there is room for all of them in so many rows of so many.
func (p *Picture) fit(width, rows int) *Picture {
	cells := 1
	for (p.Cells()-1)/cells >= width*rows {
		cells *= 2
	}
	return p.join(cells)
}

// shown is the class that a cell shows, -1 if nothing is known of it, and whether it is all of that
// class.
func (p *Picture) shown(cell int) (class int, whole bool) {
	sums := p.sums(cell)
	class = slices.IndexFunc(sums, func(n int64) bool { return n > 0 })
	return class, class >= 0 && sums[class] == p.room(cell)
}

// present are the classes of which the range has any, with how many bytes, and whether a cell shows
// each in part.
type present struct {
	class   int
	bytes   int64
	partial bool
}

func (p *Picture) legend() []present {
	var list []present
	for class := range p.Classes {
		if sum := p.Total(class); sum > 0 {
			list = append(list, present{class: class, bytes: sum})
		}
	}
	for cell := range p.Cells() {
		class, whole := p.shown(cell)
		for i := range list {
			list[i].partial = list[i].partial || list[i].class == class && !whole
		}
	}
	return list
}
