package format

// Span is a range of bytes.
type Span struct{ Off, Len int64 }

// End is the offset behind the span.
func (s Span) End() int64 { return s.Off + s.Len }

// Overlaps says whether any of n bytes from off lies in the span.
func (s Span) Overlaps(off, n int64) bool { return s.Off < off+n && off < s.End() }
