package driver

import (
	"context"
	"slices"
)

// Kind says which place in a stack a driver fills.
type Kind int

// The kinds of driver.
const (
	Protocol Kind = iota // where bytes live
	Format               // where guest bytes are in a file
	FilterKind
)

func (k Kind) String() string { return [...]string{"protocol", "format", "filter"}[k] }

// Resolution says what a file name means that is given together with a driver, and whether anything
// is guessed.
type Resolution int

// The ways to resolve names.
const (
	// Itself: the name is the driver's own, and is its option "filename" or what ParseName makes of
	// it.
	Itself Resolution = iota
	// OverProtocol: the name is that of the child "file", which is opened as a protocol. So are
	// formats.
	OverProtocol
	// OverFormat: the name is that of the child "file", whose format is guessed if nobody names
	// one. So are most filters.
	OverFormat
)

// Purpose is what the opener takes a driver for when nobody names one.
type Purpose int

// The purposes.
const (
	NoPurpose Purpose = iota
	// TemporaryOverlay: the format of the image that takes the writes of a snapshot. It has the
	// children "file" and "backing".
	TemporaryOverlay
	// CopyOnReadFilter: the filter that stores what is read from a backing file. It has the child
	// "file".
	CopyOnReadFilter
)

// Driver is one way to store bytes, whole: how it is named, what options it takes, and how it is
// opened. Drivers are values in an explicit list; nothing registers itself.
type Driver struct {
	Name string
	Doc  string // one line for people
	Kind Kind
	// Resolves says what a name means that is given with the driver, Purpose what else the driver
	// is chosen for.
	Resolves Resolution
	Purpose  Purpose
	// Config is a struct of the options the driver takes besides those of every node (node-name,
	// read-only, cache.*, ...), see config.go. What is no option is refused.
	Config any
	// Schemes are the file name prefixes that choose this driver, without the colon: "nbd" for
	// nbd:unix:/path. ParseName turns such a name, prefix included, into options.
	Schemes   []string
	ParseName func(name string, o *Options) error
	// Device: a protocol that reaches devices of the host, of which an image may name none unless
	// the user agrees.
	Device bool
	// Native: a driver that does not exist where the opener does as QEMU does.
	Native bool
	// Scratch: a protocol whose contents begin with being opened, so that there is no format to
	// guess.
	Scratch bool
	// Probe scores the first bytes of a file from 0 (not mine) to 100, as QEMU's drivers do. It may
	// also look at the name.
	Probe func(head []byte, name string) int
	// ProbeBeyond scores what Probe does not know because QEMU does not. It is not asked where all
	// is to be as in QEMU.
	ProbeBeyond func(head []byte, name string) int
	// ProbePath scores a path for protocols that are chosen by the kind of a file (host_device).
	// Others leave it nil.
	ProbePath func(path string) int
	Open      func(ctx context.Context, o *Opening) (Node, error)
	// Place finds where a new image is made and touches nothing that is there, for a protocol; nil
	// where none can be made.
	Place func(p *Placing) (*Place, error)
	// Create makes an image in an empty file, for a format; nil where none can be made.
	// CreateConfig has its options, and CheckCreate says why no image can be made of them, before
	// there is a file, and names its further files, Creating.Parts; nil leaves the one to Create,
	// and means none of the other.
	CreateConfig any
	// AmendConfig has the options that an image can have changed, see Amender; nil for none.
	AmendConfig any
	CheckCreate func(c *Creating) error
	Create      func(ctx context.Context, c *Creating) error
	// Measure says how large a file Create and a copy would make, for a format that can tell.
	Measure func(ctx context.Context, m *Measuring) (Measured, error)
}

// Declares says whether a driver has an option called key.
func (d *Driver) Declares(key string) bool {
	return slices.ContainsFunc(d.Keys(), func(k Key) bool { return k.Name == key })
}

// Keys are the options of a driver.
func (d *Driver) Keys() []Key { return KeysOf(d.Config) }

// CreateKeys are the options of an image to be made.
func (d *Driver) CreateKeys() []Key { return KeysOf(d.CreateConfig) }

// Role says what a child is to its parent, which decides what the child inherits.
type Role int

// The roles of a child.
const (
	// RoleFile is the storage of a format: opened as a protocol, never probed.
	RoleFile Role = iota
	// RoleFiltered is what a filter filters: opened as the filter itself was.
	RoleFiltered
	// RoleBacking is a backing file: read-only, and probed when no format is given.
	RoleBacking
)

// NodeConfig has the options that every node takes, whatever its driver.
type NodeConfig struct {
	NodeName     *string `option:"node-name" help:"name of the node in this stack"`
	ReadOnly     bool    `option:"read-only" help:"open without permission to write"`
	AutoReadOnly bool    `option:"auto-read-only" help:"fall back to read-only"`
	Direct       bool    `option:"cache.direct" help:"bypass the page cache (O_DIRECT)"`
	NoFlush      bool    `option:"cache.no-flush" help:"never wait for stable storage"`
	Discard      string  `option:"discard" help:"what to do with discards: ignore or unmap"`
	ForceShare   bool    `option:"force-share" help:"take no image locks"`
	DetectZeroes string  `option:"detect-zeroes" known:"off,on,unmap" default:"off" help:"turn writes of zeroes into zero requests"`
}

// Mode is how a node is opened, as settled from its options and its parent's.
type Mode struct {
	ReadOnly     bool
	AutoReadOnly bool // fall back to read-only instead of failing
	Direct       bool // O_DIRECT
	NoFlush      bool // never sync
	Unmap        bool // pass discards on
	ForceShare   bool // take no image locks
	// Check opens an image for its Checker alone: a format then takes what it would refuse
	// otherwise if a check may repair it, does not open backing files, and refuses all requests for
	// data. What cannot be checked is opened as usual.
	Check bool
	// NoIO opens an image for what its metadata says. An encrypted one needs no key then: none is
	// looked for, and its data is refused. To others it makes no difference. It holds for a
	// backing file too, but not for the files that images are in.
	NoIO bool
}

// Link is something that an image names: its backing file, and whatever a json: name in it stands
// for. An image comes from somebody else, so what it names gets no right that the user did not
// give: it is opened read-only, is never repaired, and takes no part in the user's other nodes.
// Options that the user gives for such a node are the user's own and hold.
//
// OpenConfig.Gate is asked for each node, once its driver is known where it is not guessed, and for
// each json: name that asks for rights.
type Link struct {
	From string // the image that names it
	// as in the image, or the file that a json: name comes to; "" if options say everything
	Name   string
	Format string // the driver; "" if it is to be guessed
	// Device: the driver reaches devices of the host.
	Device bool
	// Part: it is a part of the image, such as the file with its data, and is opened as the image
	// is, for writing too.
	Part bool
	// Rights are the options in a json: name that ask for what only the user can give, as
	// "file.read-only=off". They are without effect.
	Rights []string
}
