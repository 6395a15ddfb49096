package driver

// HostFile is a file or device of the host that was found by its name and is not opened yet.
type HostFile struct {
	Name string // as it was given
	// FD is a descriptor of it, made with O_PATH: good for fstat(2), and for opening it by way of /proc/self/fd. It belongs to
	// whoever asks to be admitted.
	FD int
}

// Place is where a protocol has a new image made.
type Place struct {
	// Options open it. It is empty, or will be when it is truncated.
	Options *Options
	// Admitted: nobody need be asked before it is opened.
	Admitted bool
	// Publish gives the image its name when all of it is there and on stable storage, Discard leaves what was there before instead,
	// as far as that can be. One of them is called, when the storage is closed.
	Publish, Discard func() error
}

// Placing is what a protocol gets to find the place of an image.
type Placing struct {
	Options *Options // filename and what else the name says
	Force   bool     // see CreateConfig
	Admit   func(f HostFile) (release func(), err error)
}

// Hosted is a node that is a file or device of the host.
type Hosted interface {
	// Is says whether it is f.
	Is(f HostFile) bool
}
