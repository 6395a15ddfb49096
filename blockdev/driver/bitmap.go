package driver

import "context"

// Bitmap is a dirty bitmap inside an image: it says which parts of the guest's data have changed.
type Bitmap struct {
	Name        string
	Granularity int64 // how many bytes one bit stands for
	Enabled     bool  // changes are recorded in it
	// Inconsistent: a program was stopped while it was responsible for the bitmap, so that nobody
	// knows what is missing in it. It can only be removed.
	Inconsistent bool
	// Remote: a server tells what is dirty, but neither the granularity nor whether it is enabled.
	Remote bool
}

// BitmapReader is a node that knows what dirty bitmaps say about its bytes.
type BitmapReader interface {
	// Bitmaps lists them in the order of the image.
	Bitmaps(ctx context.Context) ([]Bitmap, error)
	// DirtyRun says whether what begins at off is dirty, and up to where that holds, n bytes at
	// most.
	DirtyRun(ctx context.Context, name string, off, n int64) (end int64, dirty bool, err error)
}

// FindBitmaps returns who knows bitmaps about the bytes of n: n, or the first node below it that
// does, as far as all above that show its bytes where they are.
func FindBitmaps(n Node) (BitmapReader, bool) {
	for n != nil {
		if b, ok := n.(BitmapReader); ok {
			return b, true
		}
		if s, ok := n.(SameBytes); !ok || !s.SameBytes() {
			break
		}
		n = n.Primary()
	}
	return nil, false
}

// SameBytes is a node that may show the bytes of its primary child, each at its place. Every Filter
// is one.
type SameBytes interface{ SameBytes() bool }

// Windowed is a node that is a part of its primary child, byte by byte.
type Windowed interface {
	// Window is where it begins there and how long it is, below zero if it ends with the child, in
	// bytes. Their sum is no overflow.
	Window() (off, size int64)
}

// Bitmapper is a format with dirty bitmaps inside its images.
type Bitmapper interface {
	BitmapReader
	// AddBitmap makes a bitmap in which nothing is dirty; a granularity of 0 is the usual one.
	AddBitmap(ctx context.Context, b Bitmap) error
	RemoveBitmap(ctx context.Context, name string) error
	// ClearBitmap says that nothing is dirty.
	ClearBitmap(ctx context.Context, name string) error
	// EnableBitmap says whether changes are recorded from now on.
	EnableBitmap(ctx context.Context, name string, on bool) error
	// MarkBitmap says that a range is dirty.
	MarkBitmap(ctx context.Context, name string, off, n int64) error
}

// InconsistentError refuses to use a bitmap that is not true any more.
type InconsistentError struct{ Bitmap string }

func (e *InconsistentError) Error() string {
	return "Bitmap '" + e.Bitmap + "' is inconsistent and cannot be used"
}

// Hint says what can be done.
func (e *InconsistentError) Hint() string { return "only 'bitmap remove' takes it\n" }
