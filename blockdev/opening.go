package blockdev

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// opener serves the Opening of one node.
type opener struct {
	tree *tree
	node *treeNode
}

var _ driver.Opener = opener{}

// OpenChild opens a child, nil if nothing asks for one.
func (o opener) OpenChild(ctx context.Context, key, name string, role driver.Role) (driver.Node, error) {
	for _, c := range o.node.children { // the opener has already opened the file of a format
		if c.key == key {
			return c.guard, nil
		}
	}
	protocol := role == driver.RoleFile || role == driver.RoleFiltered && o.node.protocol
	n, err := o.tree.openChild(ctx, o.node, key, name, role, protocol)
	if err != nil || n == nil {
		return nil, err
	}
	return n.guard, nil
}

// GivenFor gives what was said of a child.
func (o opener) GivenFor(key string) (value any, is, below bool) {
	value, is = o.node.options.Get(key)
	return value, is, o.node.options.Sub(key+".").GivenOnly().Len() > 0
}

// OpenBacking opens a backing file.
func (o opener) OpenBacking(ctx context.Context, key string, l Link) (driver.Node, error) {
	node, err := o.tree.openBacking(ctx, o.node, key, l)
	if err != nil {
		return nil, backingError(err)
	}
	return node.guard, nil
}

func (t *tree) openBacking(ctx context.Context, parent *treeNode, key string, l Link) (*treeNode, error) {
	if ref := parent.options.String(key); ref != "" {
		n, err := t.openChild(ctx, parent, key, "", driver.RoleBacking, false)
		if err != nil {
			return nil, err
		}
		return n, claimBacking(ctx, n)
	}
	s := spec{
		name: l.Name, options: parent.options.Sub(key + "."), inherits: childMode(parent.mode, driver.RoleBacking),
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
	parent.children = append(parent.children, edge{n, key, driver.RoleBacking, true})
	return n, claimBacking(ctx, n)
}

// claimBacking lets others write to a backing file, as QEMU does: whether that is wise is theirs to know.
func claimBacking(ctx context.Context, n *treeNode) error {
	return driver.ClaimOn(ctx, n.guard, driver.Claim{Use: driver.PermRead, Share: driver.PermAll})
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

// ProbeFormat names the format that head looks like, with a driver or without.
func (o opener) ProbeFormat(head []byte, name string) string {
	switch d, f := o.tree.probe(head, name); {
	case f != nil:
		return f.name
	case d != nil:
		return d.Name
	}
	return ""
}

// Admit asks OpenConfig.Admit.
func (o opener) Admit(f HostFile, write bool) (release func(), err error) {
	if o.tree.cfg.Admit != nil {
		release, err = o.tree.cfg.Admit(f, write)
	}
	if release == nil {
		release = func() {}
	}
	return release, err
}

// LikeQEMU is that of the OpenConfig.
func (o opener) LikeQEMU() bool { return o.tree.cfg.LikeQEMU }

// Secret asks OpenConfig.Secret.
func (o opener) Secret(id string) ([]byte, error) {
	if o.tree.cfg.Secret == nil {
		return nil, driver.Refuse("No secret with id '%s'", id)
	}
	return o.tree.cfg.Secret(id)
}
