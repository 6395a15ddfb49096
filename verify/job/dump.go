package job

import "fmt"

// A Dump has bad blocks written to files called NAME.OFFSET.SIDE, where SIDE is
// received, expected or diff (the exclusive or of both).
type Dump struct {
	write func(file string, data []byte) error
	name  string
	limit int
	last  int64
	// Blocks is how many blocks were written, Left how many were not because of the limit.
	Blocks, Left int
}

// NewDump makes a dump of at most limit blocks. write makes a file.
func NewDump(write func(file string, data []byte) error, name string, limit int) *Dump {
	return &Dump{write: write, name: name, limit: limit, last: -1}
}

// Put is for [Hooks.Dump].
func (d *Dump) Put(side string, off int64, data []byte) error {
	another := off != d.last
	d.last = off
	switch {
	case d.Left > 0 || another && d.Blocks == d.limit:
		if another {
			d.Left++
		}
		return nil
	case another:
		d.Blocks++
	}
	file := fmt.Sprintf("%s.%d.%s", d.name, off, side)
	if err := d.write(file, data); err != nil {
		return fmt.Errorf("dump block at %d: %w", off, err)
	}
	return nil
}
