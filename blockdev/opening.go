package blockdev

import (
	"cmp"
	"context"

	"github.com/blksh/blksh/blockdev/driver"
)

// opener serves the Opening of one node.
type opener struct {
	objects
	tree *tree
	node *treeNode
}

var _ driver.Opener = opener{}

// objects are what a configuration has besides options.
type objects struct {
	object func(id string) any
	ask    func(ctx context.Context, q driver.Question) (driver.Secret, error)
}

// Object is nil where the configuration knows none.
func (o objects) Object(id string) any {
	if o.object == nil {
		return nil
	}
	return o.object(id)
}

// CanAsk says whether somebody is there.
func (o objects) CanAsk() bool { return o.ask != nil }

// Ask asks them.
func (o objects) Ask(ctx context.Context, q driver.Question) (driver.Secret, error) {
	return o.ask(ctx, q)
}

func (cfg *OpenConfig) objects() objects { return objects{cfg.Object, cfg.Ask} }

// OpenChild opens a child, nil if nothing asks for one.
func (o opener) OpenChild(ctx context.Context, key, name string,
	role driver.Role,
) (driver.Node, error) {
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

// OpenNamed opens a part of an image by the name that the image has for it.
func (o opener) OpenNamed(ctx context.Context, key string, l Link,
	role driver.Role,
) (driver.Node, error) {
	if given, err := o.OpenChild(ctx, key, "", role); given != nil || err != nil {
		return given, err
	}
	parent := o.node
	s := spec{
		options: &Options{}, inherits: childMode(parent.mode, role), sealed: parent.sealed,
		from: parent.called(),
		part: true, protocol: true, over: parent.over, depth: parent.depth,
	}
	s.options.Set("filename", l.Name) // an option, unlike a name, is not taken apart
	n, err := o.tree.open(ctx, s)
	if err != nil {
		return nil, err
	}
	parent.children = append(parent.children, edge{n, key, role, true})
	return n.guard, nil
}

func (t *tree) openBacking(ctx context.Context, parent *treeNode, key string,
	l Link,
) (*treeNode, error) {
	if ref := parent.options.String(key); ref != "" {
		n, err := t.openChild(ctx, parent, key, "", driver.RoleBacking, false)
		if err != nil {
			return nil, err
		}
		return n, claimBacking(ctx, n)
	}
	s := spec{
		name: l.Name, options: parent.options.Sub(key + "."),
		inherits: childMode(parent.mode, driver.RoleBacking),
		sealed:   parent.sealed, from: parent.from, over: parent, depth: parent.depth + 1,
	}
	if s.options.Has("file.filename") {
		s.name = ""
	}
	if s.name != "" {
		s.from = parent.called()
		if l.Format != "" {
			s.options.SetDefault("driver", l.Format)
		}
		if driver.Beside("/", s.name) != s.name && parent.isPlaceless() {
			return nil, errPlaceless
		}
		s.name = driver.Beside(parent.filename, s.name)
	}
	n, err := t.open(ctx, s)
	if err != nil {
		return nil, err
	}
	parent.children = append(parent.children, edge{n, key, driver.RoleBacking, true})
	return n, claimBacking(ctx, n)
}

var errPlaceless error = &driver.Refusal{Text: "Cannot generate a base directory for NBD nodes"}

// isPlaceless says whether an image lies where there is no directory that a relative name could be
// in: to a server, that would be the name of another socket.
func (n *treeNode) isPlaceless() bool {
	if _, named := n.guardedNode().(driver.Named); named {
		return true
	}
	for _, c := range n.children {
		if c.role != driver.RoleBacking && c.isPlaceless() {
			return true
		}
	}
	return false
}

// guardedNode is the node behind the guard, nil while it is being opened.
func (n *treeNode) guardedNode() driver.Node {
	if n.guard == nil {
		return nil
	}
	return n.guard.node
}

// called is what a person knows an image by: its file, or the node where options describe it. It is
// never empty, which would mean that the user names what the image does.
func (n *treeNode) called() string { return cmp.Or(n.filename, n.name) }

// claimBacking lets others write to a backing file, as QEMU does: whether that is wise is theirs to
// know.
func claimBacking(ctx context.Context, n *treeNode) error {
	return driver.ClaimOn(ctx, n.guard, driver.Claim{Use: driver.PermRead, Share: driver.PermAll})
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
