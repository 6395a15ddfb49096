package blockdev

import (
	"context"
	"path/filepath"
	"strings"
)

// Child opens the child that the driver calls key. That none is given is an error.
func (o *Opening) Child(ctx context.Context, key string, role Role) (Node, error) {
	return o.ChildNamed(ctx, key, "", role)
}

// ChildNamed is Child with a file name, for drivers whose own name holds that of the child.
func (o *Opening) ChildNamed(ctx context.Context, key, name string, role Role) (Node, error) {
	for _, c := range o.node.children { // the opener has already opened the file of a format
		if c.key == key {
			return c.guard, nil
		}
	}
	protocol := role == RoleFile || role == RoleFiltered && o.node.protocol
	n, err := o.tree.openChild(ctx, o.node, key, name, role, protocol)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, Refuse("A block device must be specified for \"%s\"", key)
	}
	return n.guard, nil
}

// HasChild says whether anything was given for key.
func (o *Opening) HasChild(key string) bool {
	return o.node.options.Has(key) || o.node.options.Sub(key+".").GivenOnly().Len() > 0
}

// NoChild says that key was given as null (in a string option: empty), which means to go without.
func (o *Opening) NoChild(key string) bool {
	v, ok := o.node.options.Get(key)
	return ok && (v == nil || v == "")
}

// Backing opens the file that an image names as its child key. Options given for that child win over what the image says; relative
// names start from the directory of the image. A chain that refers to itself or is too long is refused.
func (o *Opening) Backing(ctx context.Context, key string, l Link) (Node, error) {
	node, err := o.tree.openBacking(ctx, o.node, key, l)
	if err != nil {
		return nil, backingError(err)
	}
	return node.guard, nil
}

func (t *tree) openBacking(ctx context.Context, parent *treeNode, key string, l Link) (*treeNode, error) {
	if ref := parent.options.String(key); ref != "" {
		n, err := t.openChild(ctx, parent, key, "", RoleBacking, false)
		if err != nil {
			return nil, err
		}
		return n, claimBacking(ctx, n)
	}
	s := spec{
		name: l.Name, options: parent.options.Sub(key + "."), inherits: childMode(parent.mode, RoleBacking),
		sealed: parent.sealed, from: parent.from, over: parent, depth: parent.depth + 1,
	}
	if s.options.Has("file.filename") {
		s.name = ""
	}
	if s.name != "" {
		s.from = parent.filename
		if l.Format != "" {
			s.options.SetDefault("driver", l.Format)
		}
		s.name = resolveName(parent.filename, s.name)
	}
	n, err := t.open(ctx, s)
	if err != nil {
		return nil, err
	}
	parent.children = append(parent.children, edge{n, key, RoleBacking, true})
	return n, claimBacking(ctx, n)
}

// claimBacking lets others write to a backing file, as QEMU does: whether that is wise is theirs to know.
func claimBacking(ctx context.Context, n *treeNode) error {
	return ClaimOn(ctx, n.guard, Claim{Use: PermRead, Share: PermAll})
}

// resolveName joins a name in an image with the directory of that image, unless it is absolute or has a prefix.
func resolveName(image, name string) string {
	if _, prefixed := protocolPrefix(name); prefixed || filepath.IsAbs(name) {
		return name
	}
	if i := strings.LastIndexByte(image, '/'); i >= 0 {
		return image[:i+1] + name
	}
	return name
}

// ProbeFormat names the format whose header head looks like, with a driver or without, "" if none does. It lets raw keep a guest from turning a probed image
// into one of another format.
func (o *Opening) ProbeFormat(head []byte, name string) string {
	switch d, f := o.tree.probe(head, name); {
	case f != nil:
		return f.name
	case d != nil:
		return d.Name
	}
	return ""
}

// HostFile is a file or device of the host that was found by its name and is not opened yet.
type HostFile struct {
	Name string // as it was given
	// FD is a descriptor of it, made with O_PATH: good for fstat(2), and for opening it by way of /proc/self/fd. It belongs to
	// whoever asks to be admitted.
	FD int
}

// Admit asks whether a file or device of the host may be opened in the mode of o, see OpenConfig.Admit. The result is never nil without
// an error.
func (o *Opening) Admit(f HostFile) (release func(), err error) {
	if o.tree.cfg.Admit == nil {
		return func() {}, nil
	}
	release, err = o.tree.cfg.Admit(f, !o.Mode.ReadOnly)
	if release == nil {
		release = func() {}
	}
	return release, err
}

// LikeQEMU is that of the OpenConfig.
func (o *Opening) LikeQEMU() bool { return o.tree.cfg.LikeQEMU }

// Secret is the data of a secret object.
func (o *Opening) Secret(id string) ([]byte, error) {
	if o.tree.cfg.Secret == nil {
		return nil, Refuse("No secret with id '%s'", id)
	}
	return o.tree.cfg.Secret(id)
}

// SetReadOnly is called by a driver that was allowed to fall back (Mode.AutoReadOnly) and did.
func (o *Opening) SetReadOnly() {
	o.Mode.ReadOnly = true
}
