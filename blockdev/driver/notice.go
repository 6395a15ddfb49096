package driver

// Notice is what a layer reports that is no request's outcome. It tells facts; whoever shows it has
// the words. The list is closed: the types of this file.
type Notice interface{ notice() }

type (
	// Suspended and Resumed say that a request stopped at, or left, the breakpoint Tag.
	Suspended struct{ Tag string }
	Resumed   struct{ Tag string }

	// AIOFallback says that a file that is not opened past the page cache is used with threads and
	// not with the asynchronous I/O of the kernel.
	AIOFallback struct{ File string }
	// EmptyBacking says that an option was an empty string to leave a backing file out.
	EmptyBacking struct{}
	// ProbedRaw says that nobody named the format of a file that was taken for raw. Restricted: a
	// write of what looks like the header of another format was refused for that.
	ProbedRaw struct {
		File       string
		Restricted bool
	}

	// BitmapsRetired says that persistent dirty bitmaps of an image could not be kept true while it
	// changed, so that they stay marked as in use. Err is why they were removed instead, nil if
	// they were not.
	BitmapsRetired struct {
		Names []string
		Err   error
	}
	// BitmapsStale says that the dirty bitmaps of an image are not valid any more, since a program
	// wrote it that knows none. Version is that of the image's format.
	BitmapsStale struct{ Version uint32 }
	// CheckNote is a line of a check that was made to open an image: what was found, or repaired.
	CheckNote struct{ Text string }
	// CacheUnwritten says that metadata could not be written when an image was closed.
	CacheUnwritten struct {
		Cache string // "L2 table", ...
		Err   error
	}
	// ClusterUnfreed says that a cluster that is not used any more could not be given back.
	ClusterUnfreed struct{ Err error }
	// ImageCutShort says that a file of the image ended at End before data that is being read, as
	// zeroes, or that is written to in part, or hidden by a write that makes the file longer.
	ImageCutShort struct{ End int64 }
	// ImageCorrupt says what is wrong in the metadata of an image. Marked: the image says so of
	// itself from now on, and cannot be used. What follows is not reported again.
	ImageCorrupt struct {
		Format string
		Marked bool
		What   error
	}
	// RefcountUnread says that nobody knows how often a cluster is referred to.
	RefcountUnread struct {
		Cluster int64
		Err     error
	}
	// LegacyEncryption says that an image is encrypted in the way that nobody should use any more.
	LegacyEncryption struct{}
	// TailKept says that a file could not be made as short as its image.
	TailKept struct{ Err error }

	// ZoneMisaligned says that a request for whole zones is not made of such: Length, or its
	// offset, is Value bytes, and a zone has Zone.
	ZoneMisaligned struct {
		Length      bool
		Value, Zone int64
	}
)

func (Suspended) notice()      {}
func (Resumed) notice()        {}
func (AIOFallback) notice()    {}
func (EmptyBacking) notice()   {}
func (ProbedRaw) notice()      {}
func (BitmapsRetired) notice() {}
func (BitmapsStale) notice()   {}
func (CheckNote) notice()      {}
func (CacheUnwritten) notice() {}
func (ClusterUnfreed) notice() {}
func (ImageCorrupt) notice()   {}
func (ImageCutShort) notice()  {}
func (RefcountUnread) notice() {}
func (TailKept) notice()       {}

func (LegacyEncryption) notice() {}
func (ZoneMisaligned) notice()   {}
