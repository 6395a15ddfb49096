package driver

import (
	"context"
	"syscall"
)

// Opening is what a driver gets to open one node.
type Opening struct {
	Driver *Driver
	// Filename is the name of the file for a protocol, or what a format's file was called; it is
	// for messages and for resolving relative backing files.
	Filename string
	Mode     Mode
	// Config is a pointer to a struct of the type of the driver's Config, filled in.
	Config any
	// Probed: the format was guessed and not given.
	Probed bool
	// From is the image that names this node or what it belongs to, see Link; "" where the user
	// does.
	From string
	// Until ends when servers are waited for no longer: what waits for one then fails, as does what
	// is asked of it later and taking leave. It is the one of OpenConfig, and never nil.
	Until context.Context
	// Notify reports what a person should see but no request returns, such as a breakpoint reached.
	Notify func(Notice)
	// Opener does what the methods promise.
	Opener Opener
}

// Opener is the part of the opener of disks that serves one Opening. Drivers call the methods of
// Opening, which say what each does.
type Opener interface {
	// OpenChild gives nil where nothing asks for a child.
	OpenChild(ctx context.Context, key, name string, role Role) (Node, error)
	// GivenFor gives the value of the option key, whether there is one, and whether there are
	// options below it that nobody inherited.
	GivenFor(key string) (value any, is, below bool)
	OpenBacking(ctx context.Context, key string, l Link) (Node, error)
	OpenNamed(ctx context.Context, key string, l Link, role Role) (Node, error)
	ProbeFormat(head []byte, name string) string
	Admit(f HostFile, write bool) (release func(), err error)
	LikeQEMU() bool
	Objects
}

// Objects are what the user has besides options: what --object made, and answers.
type Objects interface {
	// Object gives nil where no object has the id.
	Object(id string) any
	// CanAsk says whether a person is there to be asked.
	CanAsk() bool
	Ask(ctx context.Context, q Question) (Secret, error)
}

// ByUser refuses to open what only the user may name, if an image does.
func (o *Opening) ByUser(what string) error {
	if o.From == "" {
		return nil
	}
	return RefuseAs(syscall.EPERM, "'%s' names %s, which no image may do", o.From, what)
}

// Unchanged refuses options that are not those in config, by which the node was opened.
func (o *Opening) Unchanged(config any) error {
	if key := Differs(o.Config, config); key != "" {
		return Refuse("Cannot change the option '%s'", key)
	}
	return nil
}

// Child opens the child that the driver calls key. That none is given is an error.
func (o *Opening) Child(ctx context.Context, key Child, role Role) (Node, error) {
	return o.ChildNamed(ctx, key, "", role)
}

// ChildNamed is Child with a file name, for drivers whose own name holds that of the child.
func (o *Opening) ChildNamed(ctx context.Context, key Child, name string, role Role) (Node, error) {
	n, err := o.Opener.OpenChild(ctx, key.key, name, role)
	if err == nil && n == nil {
		err = Refuse("A block device must be specified for \"%s\"", key.key)
	}
	return n, err
}

// HasChild says whether anything was given for key.
func (o *Opening) HasChild(key Child) bool {
	_, is, below := o.Opener.GivenFor(key.key)
	return is || below
}

// NoChild says that key was given as null (in a string option: empty), which means to go without.
func (o *Opening) NoChild(key Child) bool {
	v, is, _ := o.Opener.GivenFor(key.key)
	return is && (v == nil || v == "")
}

// Backing opens the file that an image names as its child key. Options given for that child win
// over what the image says; relative names start from the directory of the image. A chain that
// refers to itself or is too long is refused.
func (o *Opening) Backing(ctx context.Context, key Child, l Link) (Node, error) {
	return o.Opener.OpenBacking(ctx, key.key, l)
}

// Named opens a file that an image names and that is part of it, such as the file with its data, as
// the child key. It is opened as the image is, for writing too, once the gate agrees. A child that
// the user gives for key takes its place. l.Name is the plain name of a file: no prefix and no
// json: in it means anything. A relative one starts from the working directory; Beside makes it
// start from the image's.
func (o *Opening) Named(ctx context.Context, key Child, l Link, role Role) (Node, error) {
	return o.Opener.OpenNamed(ctx, key.key, l, role)
}

// Beside is the name of a file that an image names by where it lies from the image.
func (o *Opening) Beside(name string) string { return Beside(o.Filename, name) }

// ProbeFormat names the format whose header head looks like, with a driver or without, "" if none
// does. It lets raw keep a guest from turning a probed image into one of another format.
func (o *Opening) ProbeFormat(head []byte, name string) string {
	return o.Opener.ProbeFormat(head, name)
}

// Admit asks whether a file or device of the host may be opened in the mode of o. The result is
// never nil without an error.
func (o *Opening) Admit(f HostFile) (release func(), err error) {
	return o.Opener.Admit(f, !o.Mode.ReadOnly)
}

// LikeQEMU says to do as QEMU does where more is known or better.
func (o *Opening) LikeQEMU() bool { return o.Opener.LikeQEMU() }

// Object is what the user made under an id for options to refer to: a Secret, or a type that the
// driver knows. nil if there is none.
func (o *Opening) Object(id string) any { return o.Opener.Object(id) }

// Secret is a copy of the data of a secret object.
func (o *Opening) Secret(id string) (Secret, error) { return secretOf(o.Opener.Object(id), id) }

// CanAsk says whether a person is there to be asked for a passphrase.
func (o *Opening) CanAsk() bool { return o.Opener.CanAsk() }

// Ask asks a person for a passphrase.
func (o *Opening) Ask(ctx context.Context, q Question) (Secret, error) {
	return o.Opener.Ask(ctx, q)
}

// SetReadOnly is called by a driver that was allowed to fall back (Mode.AutoReadOnly) and did.
func (o *Opening) SetReadOnly() {
	o.Mode.ReadOnly = true
}

// Creating is what a format gets to make an image.
type Creating struct {
	// Filename is what the image will be called.
	Filename string
	// File is its storage: open, writable, resizable and empty, or a device. CheckCreate has none.
	File Node
	Size int64 // guest bytes
	// Config is a pointer to a struct of the type of the driver's CreateConfig, filled in.
	Config any
	// Backing is the name of the backing file to record and BackingFormat its format, "" for none.
	Backing, BackingFormat string
	// Parts are the further files of the image. CheckCreate names them, so that all are there, or
	// refused, before the first byte of any is written.
	Parts []Part
	// Objects does what the methods promise.
	Objects Objects
}

// Part is a further file of an image that is to be made. It is made by the rules for the image
// itself (what is there is not overwritten unasked) and gets its name with it, when all is whole.
type Part struct {
	// Name starts from the working directory if it is relative; Creating.Beside makes it start from
	// the image's.
	Name string
	File Node // as Creating.File
}

// Beside is the name of a file by where it lies from the image.
func (c *Creating) Beside(name string) string { return Beside(c.Filename, name) }

// Object is what the user made under an id for options to refer to, nil if there is none.
func (c *Creating) Object(id string) any { return c.Objects.Object(id) }

// Secret is a copy of the data of a secret object.
func (c *Creating) Secret(id string) (Secret, error) { return secretOf(c.Objects.Object(id), id) }

// CanAsk says whether a person is there to be asked for a passphrase.
func (c *Creating) CanAsk() bool { return c.Objects.CanAsk() }

// Ask asks a person for a passphrase.
func (c *Creating) Ask(ctx context.Context, q Question) (Secret, error) {
	return c.Objects.Ask(ctx, q)
}
