package driver

import "context"

// Opening is what a driver gets to open one node.
type Opening struct {
	Driver   *Driver
	NodeName string
	// Filename is the name of the file for a protocol, or what a format's file was called; it is for messages and
	// for resolving relative backing files.
	Filename string
	Mode     Mode
	// Values are the driver's Keys, parsed.
	Values Values
	// Probed: the format was guessed and not given.
	Probed bool
	// From is the image that names this node or what it belongs to, see Link; "" where the user does.
	From string
	// Notify reports what a person should see but no request returns, such as a breakpoint reached.
	Notify func(Notice)
	// Opener does what the methods promise.
	Opener Opener
}

// Opener is the part of the opener of disks that serves one Opening. Drivers call the methods of Opening, which say what each does.
type Opener interface {
	// OpenChild gives nil where nothing asks for a child.
	OpenChild(ctx context.Context, key, name string, role Role) (Node, error)
	// GivenFor gives the value of the option key, whether there is one, and whether there are options below it that nobody inherited.
	GivenFor(key string) (value any, is, below bool)
	OpenBacking(ctx context.Context, key string, l Link) (Node, error)
	ProbeFormat(head []byte, name string) string
	Admit(f HostFile, write bool) (release func(), err error)
	LikeQEMU() bool
	Secret(id string) ([]byte, error)
}

// Child opens the child that the driver calls key. That none is given is an error.
func (o *Opening) Child(ctx context.Context, key string, role Role) (Node, error) {
	return o.ChildNamed(ctx, key, "", role)
}

// ChildNamed is Child with a file name, for drivers whose own name holds that of the child.
func (o *Opening) ChildNamed(ctx context.Context, key, name string, role Role) (Node, error) {
	n, err := o.Opener.OpenChild(ctx, key, name, role)
	if err == nil && n == nil {
		err = Refuse("A block device must be specified for \"%s\"", key)
	}
	return n, err
}

// HasChild says whether anything was given for key.
func (o *Opening) HasChild(key string) bool {
	_, is, below := o.Opener.GivenFor(key)
	return is || below
}

// NoChild says that key was given as null (in a string option: empty), which means to go without.
func (o *Opening) NoChild(key string) bool {
	v, is, _ := o.Opener.GivenFor(key)
	return is && (v == nil || v == "")
}

// Backing opens the file that an image names as its child key. Options given for that child win over what the image says; relative
// names start from the directory of the image. A chain that refers to itself or is too long is refused.
func (o *Opening) Backing(ctx context.Context, key string, l Link) (Node, error) {
	return o.Opener.OpenBacking(ctx, key, l)
}

// ProbeFormat names the format whose header head looks like, with a driver or without, "" if none does. It lets raw keep a guest from turning a probed image
// into one of another format.
func (o *Opening) ProbeFormat(head []byte, name string) string {
	return o.Opener.ProbeFormat(head, name)
}

// Admit asks whether a file or device of the host may be opened in the mode of o. The result is never nil without an error.
func (o *Opening) Admit(f HostFile) (release func(), err error) {
	return o.Opener.Admit(f, !o.Mode.ReadOnly)
}

// LikeQEMU says to do as QEMU does where more is known or better.
func (o *Opening) LikeQEMU() bool { return o.Opener.LikeQEMU() }

// Secret is the data of a secret object.
func (o *Opening) Secret(id string) ([]byte, error) { return o.Opener.Secret(id) }

// SetReadOnly is called by a driver that was allowed to fall back (Mode.AutoReadOnly) and did.
func (o *Opening) SetReadOnly() {
	o.Mode.ReadOnly = true
}

// Creating is what a format gets to make an image.
type Creating struct {
	// File is its storage: open, writable, resizable and empty, or a device. CheckCreate has none.
	File Node
	Size int64 // guest bytes
	// Values are the driver's CreateKeys, parsed.
	Values Values
	// Backing is the name of the backing file to record and BackingFormat its format, "" for none.
	Backing, BackingFormat string
}
