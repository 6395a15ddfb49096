package blockdev

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// OpenConfig is everything that Open needs besides the name.
type OpenConfig struct {
	// Drivers is the list to choose from, such as drivers.All().
	Drivers []Driver
	// Options are given for the top node and, below "file." and the like, for its children. They
	// win over what the name says.
	Options *Options
	// Format names the driver of the top node; "" means to look for one. CheckFormat looks all the
	// same, and refuses a file that is of another format.
	Format      string
	CheckFormat bool
	// Mode is what the top node inherits: options win over it, but for ReadOnly, which holds for
	// everything below whatever options say, until Reopen allows writing.
	Mode Mode
	// Claim is what the device does with its storage and lets others do. Without a Use it reads,
	// and writes unless read-only; the zero value shares everything.
	Claim driver.Claim
	// WriteThrough makes every write durable before it returns.
	WriteThrough bool
	// LoadSnapshot opens a snapshot inside the image, read-only; "" opens what the guest sees now.
	LoadSnapshot string
	// Snapshot sends writes to a temporary overlay, which is gone when the device is closed.
	Snapshot bool
	// CopyOnRead stores what is read from a backing file in the overlay.
	CopyOnRead bool
	// Filter stands in front of everything, if it has a name. It opens its child "file" and is no
	// part of Drivers: no image can ask for it.
	Filter Driver
	// LikeQEMU does as QEMU does where more is known or better: a format is guessed by the first
	// bytes alone, that it was guessed to be raw is said at once, a node that options make
	// read-only without Mode.ReadOnly is refused, and the length counts in whole sectors.
	LikeQEMU bool
	// ExactDiscard fails a discard with an edge that the device refuses since it is no whole unit.
	// Without it the edge is left alone.
	ExactDiscard bool
	// MaxDepth limits how many backing files may stand behind each other; 0 means 200.
	MaxDepth int
	// Gate is asked before anything is opened that an image names, see Link. nil lets everything
	// pass; it is opened read-only all the same, and gets no right that only its image asks for.
	Gate func(Link) error
	// From is the image in which the name was found, "" if the caller knows it from elsewhere: Gate
	// is asked then.
	From string
	// Admit is asked before a device of the host is opened, before a file of the host is opened for
	// writing, and before one that is open becomes writable. An error keeps it as it is. release,
	// which may be nil, is called when it is closed or no longer in that mode. nil asks nothing.
	Admit func(f HostFile, write bool) (release func(), err error)
	// Strict refuses writes that are not made of whole blocks, see Device.Block. Without it the
	// blocks around such a write are read, changed and written.
	Strict bool
	// Object finds what options refer to by an id: a driver.Secret, or a type that some driver
	// knows. It returns nil for an id that nothing has; nil knows none.
	Object func(id string) any
	// Defaults are values for options of drivers that have such an option and were not given it, as
	// locking and aio.
	Defaults *Options
	// Ask asks a person for a passphrase that no option gives. nil: nobody is there.
	Ask func(ctx context.Context, q driver.Question) (driver.Secret, error)
	// Until ends when servers are waited for no longer: requests to them that are under way, and
	// those after them, fail, and so may Close. nil: they are waited for as long as it takes.
	Until context.Context
	// Notify gets what concerns a person but no request. It may be called from any goroutine.
	Notify func(Notice)
	// Trace gets every request at every guard, at its start and at its end.
	Trace func(TraceEvent)
}

// tree is an open stack of nodes with what is needed to open more of it and to reopen it.
type tree struct {
	cfg   OpenConfig
	root  *treeNode   // what was asked for
	top   *treeNode   // root, or a filter over it that nobody named
	nodes []*treeNode // in the order of opening: children before parents
	names map[string]*treeNode
	fresh int
}

// treeNode is a node with the story of how it was opened.
type treeNode struct {
	driver   *Driver
	name     string // node-name, made up if none was given
	filename string
	named    bool // by its driver, and called so by what stands on it
	guard    *guard
	mode     Mode
	options  *Options // all of them, those of children not yet opened included
	config   any      // of the driver
	protocol bool
	children []edge
	// the image that it stands behind, nil in front of all backing files; depth counts them
	over   *treeNode
	depth  int
	sealed bool   // read-only whatever the options say
	from   string // the image that names it, or what it belongs to; "" where the user does
}

// edge leads from a node to a child.
type edge struct {
	*treeNode
	key  string // what the parent calls the child
	role driver.Role
	// by the parent, from which it inherits; else it was there before and is referred to by name
	opened bool
}

const defaultMaxDepth = 200

// Open opens an image and everything it stands on. The name is a path, driver:..., a URI or
// json:{...}; it may be "" when the options say all.
func Open(ctx context.Context, name string, cfg OpenConfig) (*Device, error) {
	if cfg.Options == nil {
		cfg.Options = &Options{}
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Notice) {}
	}
	if cfg.Until == nil {
		cfg.Until = context.Background()
	}
	if cfg.MaxDepth == 0 {
		cfg.MaxDepth = defaultMaxDepth
	}
	if cfg.LikeQEMU {
		native := func(d Driver) bool { return d.Native }
		cfg.Drivers = slices.DeleteFunc(slices.Clone(cfg.Drivers), native)
	}
	opts := cfg.Options.Clone()
	if cfg.Format != "" {
		opts.Set("driver", cfg.Format)
	}
	mode := cfg.Mode
	if cfg.Snapshot || cfg.LoadSnapshot != "" {
		mode.ReadOnly = true
	}
	t := &tree{cfg: cfg, names: map[string]*treeNode{}}
	root, err := t.open(ctx, spec{
		name: name, options: opts, inherits: mode, sealed: mode.ReadOnly, from: cfg.From,
	})
	if err == nil && cfg.LoadSnapshot != "" {
		err = root.loadSnapshot(ctx, cfg.LoadSnapshot)
	}
	if err == nil && cfg.Snapshot {
		root, err = t.overlay(ctx, root)
	}
	top := root
	if err == nil && cfg.CopyOnRead {
		top, err = t.copyOnRead(ctx, root)
	}
	if err == nil && cfg.Filter.Name != "" {
		top, err = t.filter(ctx, top)
	}
	if err != nil {
		t.close() // the error of opening says enough
		return nil, err
	}
	t.root, t.top = root, top
	d := &Device{tree: t, top: top.guard, claim: cfg.claim(root.mode)}
	d.state.Store(&deviceState{readOnly: root.mode.ReadOnly, strict: cfg.Strict})
	d.writethrough.Store(cfg.WriteThrough)
	err = d.checkEnd()
	if err == nil {
		err = root.checkWritable(d.claim, func(n *treeNode) Mode { return n.mode })
	}
	if err == nil {
		err = driver.ClaimOn(ctx, d.top, d.claim)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return d, nil
}

// checkEnd refuses to write to what ends inside a block: the last write would make it longer, for
// which nobody asked. A format that stands on such a file manages its length itself.
func (d *Device) checkEnd() error {
	if d.claim.Use&driver.PermWrite == 0 || d.claim.Use&driver.PermResize != 0 {
		return nil
	}
	for n := d.top; n != nil; n = n.Primary() {
		lim := n.Info().Limits
		if roundUp(lim.Size, SectorSize)%requestAlign(lim) != 0 {
			return driver.Refuse(
				"Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment")
		}
		if _, ok := n.(driver.Claimer); ok {
			return nil
		}
	}
	return nil
}

// claim is the one that was asked for, or the usual one.
func (cfg OpenConfig) claim(m Mode) driver.Claim {
	c := cfg.Claim
	if c == (driver.Claim{}) {
		c.Share = driver.PermAll
	}
	if c.Use != 0 {
		return c
	}
	c.Use = driver.PermRead
	if !m.ReadOnly || cfg.LikeQEMU && !cfg.Mode.ReadOnly {
		c.Use |= driver.PermWrite
	}
	return c
}

// copyOnRead puts a filter over n. It has no part in what the device is called, nor in reopening.
func (t *tree) copyOnRead(ctx context.Context, n *treeNode) (*treeNode, error) {
	if n.mode.ReadOnly {
		return nil, driver.Refuse("Can't use copy-on-read on read-only device")
	}
	filter := t.driverFor(driver.CopyOnReadFilter)
	if filter == nil {
		return nil, driver.Refuse("Copy-on-read needs a filter that is not in the list of drivers")
	}
	return t.inFront(ctx, n, filter.Name)
}

// filter puts the caller's own filter in front of a node. The list of drivers has it for as long as
// it is opened, and no longer.
func (t *tree) filter(ctx context.Context, n *treeNode) (*treeNode, error) {
	all := t.cfg.Drivers
	t.cfg.Drivers = append(all[:len(all):len(all)], t.cfg.Filter)
	defer func() { t.cfg.Drivers = all }()
	return t.inFront(ctx, n, t.cfg.Filter.Name)
}

// inFront puts a filter in front of a node.
func (t *tree) inFront(ctx context.Context, n *treeNode, name string) (*treeNode, error) {
	var o Options
	o.Set("driver", name)
	o.Set("file", n.name)
	return t.open(ctx, spec{options: &o, inherits: n.mode})
}

// spec is what is known of a node before it is opened.
type spec struct {
	name     string
	options  *Options
	inherits Mode   // what holds where neither options nor name say anything
	sealed   bool   // read-only whatever they say
	from     string // the image that names it, see treeNode
	part     bool   // a part of the image from
	protocol bool   // look for a protocol, never probe
	over     *treeNode
	depth    int
}

// open opens one node with all below it. This is the walk of QEMU 7.2's bdrv_open: what it consults
// when, and the words of its errors.
func (t *tree) open(ctx context.Context, s spec) (*treeNode, error) {
	drv, err := t.resolve(&s)
	if err != nil {
		return nil, err
	}
	mode, generic, err := settleMode(s.options, s.sealed)
	if err != nil {
		return nil, err
	}
	mode.Check, mode.NoIO = s.inherits.Check, s.inherits.NoIO // no option stands for them
	n := &treeNode{
		driver: drv, filename: s.name, mode: mode, options: s.options, protocol: s.protocol,
		depth:  s.depth,
		sealed: s.sealed, from: s.from, over: s.over,
	}
	if err := t.nameNode(n, generic); err != nil {
		return nil, err
	}
	if v, _ := n.options.Get("backing"); v == "" && t.cfg.LikeQEMU {
		t.cfg.Notify(driver.EmptyBacking{})
	}
	probed := false
	if !s.protocol {
		if probed, err = t.openFile(ctx, n, s); err != nil {
			return nil, err
		}
		if err := t.checkChain(n); err != nil {
			return nil, err
		}
	}
	if !t.cfg.LikeQEMU && n.isAlone() { // before a server is asked, or started
		if err := n.checkOptions(); err != nil {
			return nil, err
		}
	}
	if err := t.openDriver(ctx, n, probed); err != nil {
		return nil, err
	}
	n.guard.setDetectZeroes(generic.DetectZeroes)
	if err := n.checkOptions(); err != nil {
		return nil, err
	}
	return n, nil
}

// isAlone says whether a driver stands on no other, which then cannot take any option.
func (n *treeNode) isAlone() bool {
	return n.protocol && !slices.ContainsFunc(n.driver.Keys(), func(k driver.Key) bool {
		return k.Type == driver.TypeChild
	})
}

// checkOptions refuses options that nobody has taken.
func (n *treeNode) checkOptions() error {
	if err := n.noBacking(); err != nil {
		return err
	}
	if left, ok := n.unknownOption(); ok {
		return &driver.UnknownOptionError{
			Driver: n.driver.Name, Option: left,
			Protocol: n.protocol, Options: names(n.driver.Keys()),
		}
	}
	return nil
}

// openFile opens the storage of a format before the format itself, and guesses the format if none
// is known.
func (t *tree) openFile(ctx context.Context, n *treeNode, s spec) (probed bool, err error) {
	// A copy-on-read or compress filter given by name filters a node whose format may be guessed;
	// formats stand on protocols.
	protocol := n.driver == nil || n.driver.Resolves == driver.OverProtocol
	role := driver.RoleFile
	if !protocol {
		role = driver.RoleFiltered
	}
	file, err := t.openChild(ctx, n, "file", s.name, role, protocol)
	if err != nil {
		return false, err
	}
	if file == nil {
		if n.driver == nil {
			return false, driver.Refuse("Must specify either driver or file")
		}
		return false, nil
	}
	n.options.Set("file", file.name)
	if n.filename == "" || file.named {
		n.filename = file.filename
	}
	if n.driver != nil {
		if t.cfg.CheckFormat && n.depth == 0 {
			return false, t.checkFormat(ctx, n, file)
		}
		return false, nil
	}
	if file.driver.Scratch && !t.cfg.LikeQEMU {
		if n.driver, _ = t.probe(nil, ""); n.driver != nil { // what takes bytes as they are
			n.options.Set("driver", n.driver.Name)
			return false, nil
		}
	}
	if n.driver, err = t.guess(ctx, n, file); err != nil {
		return false, err
	}
	n.options.Set("driver", n.driver.Name)
	return true, nil
}

// maxLength is the largest size of a node, in bytes. It leaves room to round up to any alignment
// without overflow.
const maxLength = math.MaxInt64 &^ (1<<30 - 1)

// openDriver parses the driver's own options and opens it, with a guard in front.
func (t *tree) openDriver(ctx context.Context, n *treeNode, probed bool) error {
	var err error
	if n.config, err = t.parse(n.driver, n.options); err != nil {
		return err
	}
	if n.protocol && n.filename == "" && n.driver.Declares("filename") && !n.gives("filename") {
		return &driver.NoFileNameError{Driver: n.driver.Name}
	}
	o := t.opening(n, probed)
	node, err := n.driver.Open(ctx, o)
	if err != nil {
		return t.openError(n, err)
	}
	n.mode = o.Mode
	if named, ok := node.(driver.Named); ok && (n.filename == "" || t.cfg.LikeQEMU) {
		n.filename, n.named = named.Filename(), true
	}
	if node.Info().Size > maxLength {
		err := driver.Because(syscall.EFBIG, "Could not refresh total sector count")
		return errors.Join(err, node.Close())
	}
	n.guard = newGuard(node, n.name)
	n.guard.filter = n.driver.Kind == driver.FilterKind
	n.guard.trace, n.guard.exactDiscard = t.cfg.Trace, t.cfg.ExactDiscard
	_, elsewhere := node.(driver.Located)
	n.guard.alwaysFlush = elsewhere && t.cfg.LikeQEMU
	n.guard.setMode(n.mode)
	t.nodes = append(t.nodes, n)
	return nil
}

// gives says whether an option was given a value.
func (n *treeNode) gives(key string) bool {
	v, _ := n.options.Get(key)
	return v != nil
}

// parse reads the driver's own options, with the defaults asked for.
func (t *tree) parse(d *Driver, given *Options) (config any, err error) {
	o := given.Clone()
	if t.cfg.Defaults != nil {
		for _, key := range t.cfg.Defaults.Keys() {
			if v, _ := o.Get(key); v == nil && d.Declares(key) {
				value, _ := t.cfg.Defaults.Get(key)
				o.Set(key, value)
			}
		}
	}
	return driver.NewConfig(d.Config, o)
}

func (t *tree) opening(n *treeNode, probed bool) *driver.Opening {
	return &driver.Opening{
		Driver: n.driver, Filename: n.filename, Mode: n.mode, Config: n.config, Probed: probed,
		From: n.from, Until: t.cfg.Until, Notify: t.cfg.Notify, Opener: opener{t.cfg.objects(), t, n},
	}
}

// openError gives a bare error number the words around it, and damage the name of the image.
func (t *tree) openError(n *treeNode, err error) error {
	var damaged *DamagedError
	if errors.As(err, &damaged) && damaged.Image == "" {
		damaged.Image, damaged.Backing = n.filename, n.depth > 0
	}
	var no syscall.Errno
	if errors.As(err, &no) && err.Error() == no.Error() {
		if n.filename != "" {
			return driver.RefuseAs(err, "Could not open '%s': %s", n.filename, driver.ErrnoText(no))
		}
		return driver.RefuseAs(err, "Could not open image: %s", driver.ErrnoText(no))
	}
	return err
}

// nameNode gives n the name it asks for, or a free one that nobody can ask for.
func (t *tree) nameNode(n *treeNode, generic driver.NodeConfig) error {
	if generic.NodeName == nil {
		t.fresh++
		want := fmt.Sprintf("#block%03d", t.fresh)
		n.name, t.names[want] = want, n
		return nil
	}
	want := *generic.NodeName
	switch {
	case !driver.IsIdentifier(want):
		return driver.Refuse("Invalid node-name: '%s'", want)
	case t.names[want] != nil:
		return driver.Refuse("Duplicate nodes with node-name='%s'", want)
	case len(want) > 31:
		return driver.Refuse("Node name too long")
	}
	n.name, t.names[want] = want, n
	return nil
}

// openChild opens the child that parent calls key, from its options KEY.*, from the name of a node
// that is open, or from a file name. It returns nil if nothing asks for one.
func (t *tree) openChild(ctx context.Context, parent *treeNode, key, name string, role driver.Role,
	protocol bool,
) (*treeNode, error) {
	opts := parent.options.TakeSub(key + ".")
	parent.options.MergeAs(key+".", opts) // reopen looks at them again
	ref, hasRef := parent.options.Get(key)
	if refName, isText := ref.(string); isText {
		if opts.GivenOnly().Len() > 0 || name != "" {
			return nil, driver.Refuse(
				"Cannot reference an existing block device with additional options or a new filename")
		}
		n := t.names[refName]
		// not there, or not open yet: a stack cannot refer to what it is part of
		if n == nil || n.guard == nil {
			return nil, driver.Refuse("Cannot find device='%s' nor node-name='%s'", refName,
				refName)
		}
		parent.children = append(parent.children, edge{n, key, role, false})
		return n, nil
	}
	if name == "" && opts.Len() == 0 || hasRef && ref == nil {
		return nil, nil
	}
	n, err := t.open(ctx, spec{
		name: name, options: opts, inherits: childMode(parent.mode, role), sealed: parent.sealed,
		from:     parent.from,
		protocol: protocol, over: parent.over, depth: parent.depth,
	})
	if err != nil {
		return nil, err
	}
	parent.children = append(parent.children, edge{n, key, role, true})
	return n, nil
}

// noBacking settles the option backing of a driver that has no backing files: it may be told to go
// without.
func (n *treeNode) noBacking() error {
	switch {
	case n.driver.Declares("backing"):
	case n.options.String("backing") != "" || n.options.Sub("backing.").Len() > 0:
		return driver.Refuse("Driver doesn't support backing files")
	case n.options.Has("backing"):
		n.options.Take("backing")
	}
	return nil
}

// unknownOption is the first option that neither the generic layer, the driver nor a child takes.
func (n *treeNode) unknownOption() (key string, found bool) {
	for _, key := range n.options.Keys() {
		if !n.knows(key) {
			return key, true
		}
	}
	return "", false
}

func (n *treeNode) childTakes(key string) bool {
	for _, c := range n.children {
		if key == c.key || strings.HasPrefix(key, c.key+".") {
			return true
		}
	}
	return false
}

// close closes all nodes, parents first, and returns the first error.
func (t *tree) close() error {
	var first error
	for _, n := range slices.Backward(t.nodes) {
		if err := n.guard.Close(); first == nil {
			first = err
		}
	}
	t.nodes = nil
	return first
}
