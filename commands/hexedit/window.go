package hexedit

import "context"

// window is the bytes of the disk that are on the screen.
type window struct {
	off   int64
	bytes []byte
	lost  []bool // those that could not be read
}

// drop makes the bytes be read again.
func (w *window) drop() { *w = window{} }

// holds says whether the window is a range.
func (w *window) holds(off int64, n int) bool { return w.off == off && len(w.bytes) == n && n > 0 }

// known says whether the byte at an offset is there.
func (w *window) known(off int64) bool {
	i := off - w.off
	return i >= 0 && i < int64(len(w.bytes)) && !w.lost[i]
}

// at is the byte at an offset, which is known, as it was changed.
func (w *window) at(b *Buffer, off int64) byte {
	if to, ok := b.changed[off]; ok {
		return to
	}
	return w.bytes[off-w.off]
}

// load reads a range. Where that fails it is read by sectors, so that only those are lost that
// cannot be had.
func (w *window) load(ctx context.Context, d Disk, off int64, n int, sector int64) error {
	read := window{off: off, bytes: make([]byte, n), lost: make([]bool, n)}
	err := d.Read(ctx, read.bytes, off)
	for at := off; err != nil && at < off+int64(n); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		end := min(at-at%sector+sector, off+int64(n))
		part := read.bytes[at-off : end-off]
		if d.Read(ctx, part, at) != nil {
			for i := range part {
				read.lost[at-off+int64(i)] = true
			}
		}
		at = end
	}
	*w = read
	return nil
}
