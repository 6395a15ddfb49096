// Package hexedit is the editor for the bytes of a disk.
//
// A [Buffer] is what a person has changed, kept apart from the disk until it is written. An
// [Editor] is what keys do to it and what is shown: it knows a terminal only as a [Screen], and the
// disk only as a [Disk].
//
//	keys ─▶ Editor ─▶ Buffer: changed bytes, undo, redo
//	          │         │
//	   rows ◀─┘         └─▶ Disk: reads what is seen; writes what was confirmed
//
// Nothing is read but what is on the screen, what a search looks at and what is about to be
// written. Nothing is written before a person has seen the ranges that change, with their old and
// new bytes, and has agreed.
package hexedit

import "context"

// Disk is what is edited.
type Disk interface {
	// Read fills p with the bytes from off on, all of which are there.
	Read(ctx context.Context, p []byte, off int64) error
	// Zeroes is how many bytes from off on, at most n, are known to be zero without being read.
	Zeroes(ctx context.Context, off, n int64) (int64, error)
	// Prepare makes ready to write: the result says where the old bytes are kept. It is called on
	// the goroutine of Run; the other methods may be called on another.
	Prepare(ctx context.Context) (kept string, err error)
	// Write makes changes, which stand in order, and returns when they are on stable storage. It
	// looks first whether the disk still holds their old bytes, and says with *ForeignError that it
	// does not; nothing was written then.
	Write(ctx context.Context, changes []Change) error
}

// ForeignError says that others have changed what was to be changed.
type ForeignError struct{ Off int64 }

func (*ForeignError) Error() string { return "others changed these bytes meanwhile" }

// Screen is a terminal as a whole.
type Screen interface {
	// Size is how many rows and columns there are.
	Size() (rows, columns int)
	// Key waits for a key: a character, or the name of a key, such as "up", "ctrl-c" or "enter".
	// "resize" is none: the size has changed.
	Key(ctx context.Context) (string, error)
	// Draw shows rows of at most so many columns, and puts the cursor into one, counted from 0.
	Draw(rows []string, row, column int) error
}
