package driver

import "context"

// Measured says how large the file of a new image would be, in bytes.
type Measured struct {
	// Required is enough for what is to be in it from the start, FullyAllocated for all that may be
	// written to it later.
	Required, FullyAllocated int64
	// Bitmaps is what those of the source would take besides; HasBitmaps says that it and the new
	// image can have some.
	Bitmaps    int64
	HasBitmaps bool
}

// Measuring is what a format gets to say how large an image would be.
type Measuring struct {
	*Creating
	// Data adds up the units of so many bytes of which the source holds a part. It is nil without a
	// source.
	Data func(ctx context.Context, unit int64) (int64, error)
	// Bitmaps are those of the source, nil if it cannot have any.
	Bitmaps []Bitmap
}
