package driver

import (
	"path/filepath"
	"strings"
)

// Beside joins a name with the directory of an image, unless it is absolute or has the prefix of a
// protocol.
func Beside(image, name string) string {
	if _, prefixed := SplitPrefix(name); prefixed || filepath.IsAbs(name) {
		return name
	}
	if i := strings.LastIndexByte(image, '/'); i >= 0 {
		return image[:i+1] + name
	}
	return name
}

// SplitPrefix is what stands before the first colon of a name, the prefix of a protocol, unless a
// slash comes earlier.
func SplitPrefix(name string) (prefix string, ok bool) {
	i := strings.IndexAny(name, ":/")
	if i <= 0 || name[i] != ':' {
		return "", false
	}
	return name[:i], true
}

// HostFile is a file or device of the host that was found by its name and is not opened yet.
type HostFile struct {
	Name string // as it was given
	// FD is a descriptor of it, made with O_PATH: good for fstat(2), and for opening it by way of
	// /proc/self/fd. It belongs to whoever asks to be admitted.
	FD int
}

// Place is where a protocol has a new image made.
type Place struct {
	// Options open it. It is empty, or will be when it is truncated.
	Options *Options
	// GiveUp is called before the first byte of what is there is changed; nil: it need not be.
	GiveUp func()
	// Admitted: nobody need be asked before it is opened.
	Admitted bool
	// Publish gives the image its name when all of it is there and on stable storage, Discard
	// leaves what was there before instead, as far as that can be. One of them is called, when the
	// storage is closed.
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
	Node
	// Is says whether it is f.
	Is(f HostFile) bool
}
