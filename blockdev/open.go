package blockdev

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// OpenConfig is everything that Open needs besides the name.
type OpenConfig struct {
	// Drivers is the list to choose from, such as drivers.All().
	Drivers []Driver
	// Options are given for the top node and, below "file." and the like, for its children. They win over what the name says.
	Options *Options
	// Format names the driver of the top node; "" means to look for one.
	Format string
	// Mode is what the top node inherits: options win over it.
	Mode Mode
	// Claim is what the device does with its storage and lets others do. Without a Use it reads, and writes unless read-only; the zero
	// value shares everything.
	Claim Claim
	// WriteThrough makes every write durable before it returns.
	WriteThrough bool
	// Snapshot sends writes to a temporary overlay, which is gone when the device is closed.
	Snapshot bool
	// CopyOnRead stores what is read from a backing file in the overlay.
	CopyOnRead bool
	// MaxDepth limits how many backing files may stand behind each other; 0 means 200.
	MaxDepth int
	// Gate is asked before a file is opened that an image names; nil lets everything pass.
	Gate func(Link) error
	// Admit is asked before a block device of the host is opened, and before one that is open becomes writable. An error keeps
	// it as it is. release, which may be nil, is called when the device is closed or no longer writable. nil asks nothing.
	Admit func(path string, write bool) (release func(), err error)
	// Strict refuses writes that are not made of whole blocks, see Device.Block. Without it the blocks around such a write are
	// read, changed and written.
	Strict bool
	// Secret finds the data of a secret object; nil knows none.
	Secret func(id string) ([]byte, error)
	// Notify gets what concerns a person but no request. It may be called from any goroutine.
	Notify func(Notice)
	// Trace gets every request at every guard, at its start and at its end.
	Trace func(TraceEvent)
}

// Link is a file that an image names.
type Link struct {
	Name   string // as in the image: a path relative to it, or any other form of name
	Format string // "" if the image does not say
	From   string // the image that names it
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
	guard    *guard
	mode     Mode
	options  *Options // all of them, those of children not yet opened included
	values   Values
	protocol bool
	children []edge
	depth    int
}

// edge leads from a node to a child.
type edge struct {
	*treeNode
	key    string // what the parent calls the child
	role   Role
	opened bool // by the parent, from which it inherits; else it was there before and is referred to by name
}

const defaultMaxDepth = 200

var errTooDeep = Refuse("Backing file chain is too long or refers to itself")

// genericKeys are the options that every node takes.
var genericKeys = []Key{
	{Name: "node-name", Type: String, Help: "name of the node in this stack"},
	{Name: "read-only", Type: Bool, Help: "open without permission to write"},
	{Name: "auto-read-only", Type: Bool, Help: "fall back to read-only"},
	{Name: "cache.direct", Type: Bool, Help: "bypass the page cache (O_DIRECT)"},
	{Name: "cache.no-flush", Type: Bool, Help: "never wait for stable storage"},
	{Name: "discard", Type: String, Help: "what to do with discards: ignore or unmap"},
	{Name: "force-share", Type: Bool, Help: "take no image locks"},
	{Name: "detect-zeroes", Type: Enum, Enum: []string{"off", "on", "unmap"}, Default: "off", Help: "turn writes of zeroes into zero requests"},
}

// GenericKeys are the options that every node takes, whatever its driver.
func GenericKeys() []Key { return genericKeys }

// Open opens an image and everything it stands on. The name is a path, driver:..., a URI or json:{...}; it may be "" when the
// options say all.
func Open(ctx context.Context, name string, cfg OpenConfig) (*Device, error) {
	if cfg.Options == nil {
		cfg.Options = &Options{}
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Notice) {}
	}
	if cfg.MaxDepth == 0 {
		cfg.MaxDepth = defaultMaxDepth
	}
	opts := cfg.Options.Clone()
	if cfg.Format != "" {
		opts.Set("driver", cfg.Format)
	}
	mode := cfg.Mode
	if cfg.Snapshot {
		mode.ReadOnly = true
	}
	inheritMode(opts, mode)
	t := &tree{cfg: cfg, names: map[string]*treeNode{}}
	root, err := t.open(ctx, spec{name: name, options: opts})
	if err == nil && cfg.Snapshot {
		root, err = t.overlay(ctx, root)
	}
	top := root
	if err == nil && cfg.CopyOnRead {
		top, err = t.copyOnRead(ctx, root)
	}
	if err != nil {
		t.close() // the error of opening says enough
		return nil, err
	}
	t.root, t.top = root, top
	top.guard.top = true
	d := &Device{tree: t, top: top.guard, claim: cfg.claim(root.mode)}
	d.writethrough.Store(cfg.WriteThrough)
	d.strict.Store(cfg.Strict)
	err = d.checkEnd()
	if err == nil {
		err = ClaimOn(ctx, d.top, d.claim)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return d, nil
}

// checkEnd refuses to write to what ends inside a block: the last write would make it longer, for which nobody asked. A format
// that stands on such a file manages its length itself.
func (d *Device) checkEnd() error {
	if d.claim.Use&PermWrite == 0 || d.claim.Use&PermResize != 0 {
		return nil
	}
	for n := d.top; n != nil; n = n.Primary() {
		lim := n.Info().Limits
		if roundUp(lim.Size, SectorSize)%lim.requestAlign() != 0 {
			return Refuse("Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment")
		}
		if _, ok := n.(Claimer); ok {
			return nil
		}
	}
	return nil
}

// claim is the one that was asked for, or the usual one.
func (cfg OpenConfig) claim(m Mode) Claim {
	c := cfg.Claim
	if c == (Claim{}) {
		c.Share = PermAll
	}
	if c.Use == 0 {
		c.Use = PermRead
		if !m.ReadOnly {
			c.Use |= PermWrite
		}
	}
	return c
}

// copyOnRead puts a filter over n. It has no part in what the device is called, nor in reopening.
func (t *tree) copyOnRead(ctx context.Context, n *treeNode) (*treeNode, error) {
	if n.mode.ReadOnly {
		return nil, Refuse("Can't use copy-on-read on read-only device")
	}
	var o Options
	o.Set("driver", "copy-on-read")
	o.Set("file", n.name)
	inheritMode(&o, n.mode)
	return t.open(ctx, spec{options: &o})
}

// spec is what is known of a node before it is opened.
type spec struct {
	name     string
	options  *Options
	protocol bool // look for a protocol, never probe
	depth    int
}

// open opens one node with all below it. This is the walk of QEMU 7.2's bdrv_open: what it consults when, and the words of its
// errors.
func (t *tree) open(ctx context.Context, s spec) (*treeNode, error) {
	drv, err := t.resolve(&s)
	if err != nil {
		return nil, err
	}
	mode, generic, err := settleMode(s.options)
	if err != nil {
		return nil, err
	}
	n := &treeNode{
		driver: drv, filename: s.name, mode: mode, options: s.options, protocol: s.protocol, depth: s.depth,
	}
	if err := t.nameNode(n, generic.String("node-name")); err != nil {
		return nil, err
	}
	probed := false
	if !s.protocol {
		if probed, err = t.openFile(ctx, n, s); err != nil {
			return nil, err
		}
	}
	if err := t.openDriver(ctx, n, probed); err != nil {
		return nil, err
	}
	n.guard.setDetectZeroes(generic.String("detect-zeroes"))
	if left, ok := n.unknownOption(); ok {
		if s.protocol {
			return nil, Refuse("Block protocol '%s' doesn't support the option '%s'", n.driver.Name, left)
		}
		return nil, Refuse("Block format '%s' does not support the option '%s'", n.driver.Name, left)
	}
	return n, nil
}

// resolve finds the driver that the options or the name ask for, as far as that can be told without looking into the file, and turns
// the name of a protocol into options.
func (t *tree) resolve(s *spec) (*Driver, error) {
	if err := s.expandJSON(); err != nil {
		return nil, err
	}
	var drv *Driver
	if v, ok := s.options.Get("driver"); ok {
		name, isText := v.(string)
		if !isText {
			return nil, typeError("driver", "string")
		}
		if drv = t.driver(name); drv == nil {
			return nil, Refuse("Unknown driver '%s'", name)
		}
		s.protocol = drv.Kind != Format && !drv.overFile()
	}
	parse := false
	if s.protocol && s.name != "" {
		if s.options.Has("filename") {
			return nil, Refuse("Can't specify 'file' and 'filename' options at the same time")
		}
		s.options.Set("filename", s.name)
		parse = true
	}
	if drv == nil && s.protocol {
		name := s.options.String("filename")
		if name == "" {
			return nil, Refuse("Must specify either driver or file")
		}
		var err error
		if drv, err = t.findProtocol(name, parse); err != nil {
			return nil, err
		}
		s.options.Set("driver", drv.Name)
	}
	if drv != nil && s.protocol {
		if err := parseProtocolName(drv, s.options, parse); err != nil {
			return nil, err
		}
		if name := s.options.String("filename"); name != "" {
			s.name = name
		}
	}
	return drv, nil
}

// parseProtocolName lets the driver take its file name apart.
func parseProtocolName(drv *Driver, o *Options, parse bool) error {
	if drv.ParseName == nil || !parse {
		return nil
	}
	name, _ := o.Take("filename")
	text, _ := name.(string)
	return drv.ParseName(text, o)
}

func (d *Driver) overFile() bool { return d.Kind == FilterKind && d.declares("file") }

func (d *Driver) declares(key string) bool {
	for _, k := range d.Keys {
		if k.Name == key {
			return true
		}
	}
	return false
}

// expandJSON turns a json: name into options, which those given win over.
func (s *spec) expandJSON() error {
	if !strings.HasPrefix(s.name, jsonPrefix) {
		return nil
	}
	more, err := ParseJSONName(s.name)
	if err != nil {
		return err
	}
	for _, k := range more.Keys() {
		v, _ := more.Get(k)
		s.options.SetDefault(k, v)
	}
	s.name = ""
	return nil
}

func (t *tree) driver(name string) *Driver {
	for i := range t.cfg.Drivers {
		if t.cfg.Drivers[i].Name == name {
			return &t.cfg.Drivers[i]
		}
	}
	return nil
}

// findProtocol chooses by the kind of file, then by the prefix of the name, then takes files.
func (t *tree) findProtocol(name string, prefixes bool) (*Driver, error) {
	var best *Driver
	score := 0
	for i := range t.cfg.Drivers {
		d := &t.cfg.Drivers[i]
		if d.ProbePath == nil {
			continue
		}
		if n := d.ProbePath(name); n > score {
			best, score = d, n
		}
	}
	if best != nil {
		return best, nil
	}
	scheme, ok := protocolPrefix(name)
	if !ok || !prefixes {
		scheme = "file"
	}
	for i := range t.cfg.Drivers {
		for _, s := range t.cfg.Drivers[i].Schemes {
			if s == scheme {
				return &t.cfg.Drivers[i], nil
			}
		}
	}
	return nil, Refuse("Unknown protocol '%s'", scheme)
}

// protocolPrefix is what stands before the first colon, unless a slash comes earlier.
func protocolPrefix(name string) (string, bool) {
	i := strings.IndexAny(name, ":/")
	if i <= 0 || name[i] != ':' {
		return "", false
	}
	return name[:i], true
}

// openFile opens the storage of a format before the format itself, and guesses the format if none is known.
func (t *tree) openFile(ctx context.Context, n *treeNode, s spec) (probed bool, err error) {
	// A copy-on-read or compress filter given by name filters a node whose format may be guessed; formats stand on protocols.
	protocol := n.driver == nil || n.driver.Kind == Format
	role := RoleFile
	if !protocol {
		role = RoleFiltered
	}
	file, err := t.openChild(ctx, n, "file", s.name, role, protocol)
	if err != nil {
		return false, err
	}
	if file == nil {
		if n.driver == nil {
			return false, Refuse("Must specify either driver or file")
		}
		return false, nil
	}
	n.options.Set("file", file.name)
	if n.filename == "" {
		n.filename = file.filename
	}
	if n.driver != nil {
		return false, nil
	}
	if file.driver.Scratch {
		if n.driver = t.driver("raw"); n.driver != nil {
			n.options.Set("driver", n.driver.Name)
			return false, nil
		}
	}
	if n.driver, err = t.guess(ctx, file); err != nil {
		return false, err
	}
	n.options.Set("driver", n.driver.Name)
	return true, nil
}

// maxLength is the largest size of a node, in bytes. It leaves room to round up to any alignment without overflow.
const maxLength = math.MaxInt64 &^ (1<<30 - 1)

// probeSize is how much of a file format drivers may look at, in bytes.
const probeSize = 2048

// guess asks every format for its score on the head of the file.
func (t *tree) guess(ctx context.Context, file *treeNode) (*Driver, error) {
	n := min(probeSize, roundUp(file.guard.Info().Size, SectorSize))
	head := make([]byte, n)
	if n > 0 {
		if err := file.guard.ReadVec(ctx, Vec{head}, 0, 0); err != nil {
			return nil, Refuse("Could not read image for determining its format: %w", spoken(err))
		}
	}
	if d := t.probe(head, file.filename); d != nil {
		return d, nil
	}
	return nil, Refuse("Could not determine image format: No compatible driver found")
}

func (t *tree) probe(head []byte, name string) *Driver {
	var best *Driver
	score := 0
	for i := range t.cfg.Drivers {
		d := &t.cfg.Drivers[i]
		if d.Probe == nil {
			continue
		}
		if n := d.Probe(head, name); n > score {
			best, score = d, n
		}
	}
	return best
}

// spoken words a bare error number as the C library does.
func spoken(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && err.Error() == no.Error() {
		return &Refusal{Text: ErrnoText(no), Err: err}
	}
	return err
}

// Refusal is an error with the words that a person is to read, around the one that programs look at.
type Refusal struct {
	Text string
	Err  error
}

func (r *Refusal) Error() string { return r.Text }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// openDriver parses the driver's own options and opens it, with a guard in front.
func (t *tree) openDriver(ctx context.Context, n *treeNode, probed bool) error {
	rest := n.options.Clone()
	var err error
	if n.values, err = ParseValues(n.driver.Keys, rest); err != nil {
		return err
	}
	if n.protocol && n.filename == "" && n.driver.declares("filename") && !n.values.Has("filename") {
		return Refuse("The '%s' block driver requires a file name", n.driver.Name)
	}
	node, err := n.driver.Open(ctx, t.opening(n, probed))
	if err != nil {
		return t.openError(n, err)
	}
	if node.Info().Size > maxLength {
		return errors.Join(&Refusal{"Could not refresh total sector count: " + ErrnoText(syscall.EFBIG), syscall.EFBIG}, node.Close())
	}
	n.guard = newGuard(node, n.name)
	n.guard.trace = t.cfg.Trace
	n.guard.setMode(n.mode)
	t.nodes = append(t.nodes, n)
	if probed && n.driver.Name == "raw" && !n.mode.ReadOnly {
		t.cfg.Notify(Warning{
			Text:  probedRawWarning(n.filename),
			Short: "format of '" + n.filename + "' taken for raw; without -f raw its first sector takes no header of another format",
		})
	}
	return nil
}

func (t *tree) opening(n *treeNode, probed bool) *Opening {
	return &Opening{
		Driver: n.driver, NodeName: n.name, Filename: n.filename, Mode: n.mode, Values: n.values, Probed: probed,
		Notify: t.cfg.Notify, tree: t, node: n,
	}
}

func probedRawWarning(name string) string {
	return "WARNING: Image format was not specified for '" + name + "' and probing guessed raw.\n" +
		"         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n" +
		"         Specify the 'raw' format explicitly to remove the restrictions."
}

// openError gives a bare error number the words around it.
func (t *tree) openError(n *treeNode, err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && err.Error() == no.Error() {
		if n.filename != "" {
			return &Refusal{fmt.Sprintf("Could not open '%s': %s", n.filename, ErrnoText(no)), err}
		}
		return &Refusal{"Could not open image: " + ErrnoText(no), err}
	}
	return err
}

var nodeNamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

// nameNode gives n the name it asks for, or a free one that nobody can ask for.
func (t *tree) nameNode(n *treeNode, want string) error {
	if want == "" {
		t.fresh++
		want = fmt.Sprintf("#block%03d", t.fresh)
		n.name, t.names[want] = want, n
		return nil
	}
	if !nodeNamePattern.MatchString(want) || len(want) > 31 {
		return Refuse("Invalid node-name: '%s'", want)
	}
	if t.names[want] != nil {
		return Refuse("Duplicate nodes with node-name='%s'", want)
	}
	n.name, t.names[want] = want, n
	return nil
}

// openChild opens the child that parent calls key, from its options KEY.*, from the name of a node that is open, or from a file
// name. It returns nil if nothing asks for one.
func (t *tree) openChild(ctx context.Context, parent *treeNode, key, name string, role Role, protocol bool) (*treeNode, error) {
	opts := parent.options.TakeSub(key + ".")
	parent.options.MergeAs(key+".", opts) // reopen looks at them again
	ref, hasRef := parent.options.Get(key)
	refName, _ := ref.(string)
	if refName != "" {
		if opts.GivenOnly().Len() > 0 || name != "" {
			return nil, Refuse("Cannot reference an existing block device with additional options or a new filename")
		}
		n := t.names[refName]
		if n == nil || n.guard == nil { // not there, or not open yet: a stack cannot refer to what it is part of
			return nil, Refuse("Cannot find device='%s' nor node-name='%s'", refName, refName)
		}
		parent.children = append(parent.children, edge{n, key, role, false})
		return n, nil
	}
	if name == "" && opts.Len() == 0 || hasRef && ref == nil {
		return nil, nil
	}
	inheritMode(opts, childMode(parent.mode, role))
	n, err := t.open(ctx, spec{name: name, options: opts, protocol: protocol, depth: parent.depth})
	if err != nil {
		return nil, err
	}
	parent.children = append(parent.children, edge{n, key, role, true})
	return n, nil
}

// childMode is what a child inherits. Formats send flushes and honour the discard policy themselves, so discards always pass on
// below; a backing file is read-only unless its own options say otherwise.
func childMode(m Mode, role Role) Mode {
	m.Unmap = true
	if role == RoleBacking {
		m.ReadOnly, m.AutoReadOnly = true, false
	}
	return m
}

func inheritMode(o *Options, m Mode) {
	o.Inherit("read-only", m.ReadOnly)
	o.Inherit("auto-read-only", m.AutoReadOnly)
	o.Inherit("cache.direct", m.Direct)
	o.Inherit("cache.no-flush", m.NoFlush)
	o.Inherit("force-share", m.ForceShare)
	discard := "ignore"
	if m.Unmap {
		discard = "unmap"
	}
	o.Inherit("discard", discard)
}

// settleMode reads the generic options of a node.
func settleMode(o *Options) (Mode, Values, error) {
	v, err := ParseValues(genericKeys, o.Clone())
	if err != nil {
		return Mode{}, v, err
	}
	m := Mode{
		ReadOnly: v.Bool("read-only"), AutoReadOnly: v.Bool("auto-read-only"), Direct: v.Bool("cache.direct"),
		NoFlush: v.Bool("cache.no-flush"), ForceShare: v.Bool("force-share"),
	}
	switch v.String("discard") {
	case "ignore", "off":
	case "unmap", "on":
		m.Unmap = true
	default:
		return m, v, Refuse("Invalid discard option")
	}
	if m.ForceShare && !m.ReadOnly {
		return m, v, errors.New("force-share=on can only be used with read-only images")
	}
	return m, v, nil
}

// unknownOption is the first option that neither the generic layer, the driver nor a child takes.
func (n *treeNode) unknownOption() (key string, found bool) {
	for _, key := range n.options.Keys() {
		if key == "driver" || declared(genericKeys, key) || declared(n.values.keys, key) && !n.values.leftover(key) || n.childTakes(key) {
			continue
		}
		return key, true
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

func declared(keys []Key, name string) bool {
	for _, k := range keys {
		switch k.Type {
		case NodeRef:
			if name == k.Name || strings.HasPrefix(name, k.Name+".") {
				return true
			}
		case List, Prefix:
			if strings.HasPrefix(name, k.Name+".") {
				return true
			}
		default:
			if name == k.Name {
				return true
			}
		}
	}
	return false
}

// leftover says whether key lies in a list or group from which the driver did not take it.
func (v Values) leftover(key string) bool {
	for name, rest := range v.rest {
		if sub, ok := strings.CutPrefix(key, name+"."); ok && rest.Has(sub) {
			return true
		}
	}
	return false
}

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
// names start from the directory of the image. A chain that is too long is refused, which also ends loops.
func (o *Opening) Backing(ctx context.Context, key string, l Link) (Node, error) {
	n := o.node
	if n.depth+1 >= o.tree.cfg.MaxDepth {
		return nil, errTooDeep
	}
	l.From = o.Filename
	opts := n.options.Sub(key + ".")
	name := l.Name
	if opts.Has("file.filename") {
		name = ""
	}
	if l.Format != "" && name != "" {
		opts.SetDefault("driver", l.Format)
	}
	if name != "" {
		if o.tree.cfg.Gate != nil {
			if err := o.tree.cfg.Gate(l); err != nil {
				return nil, err
			}
		}
		name = resolveName(o.Filename, name)
	}
	if ref, _ := n.options.Get(key); ref != nil && ref != "" {
		opts = &Options{}
		name = ""
	}
	node, err := o.tree.openBacking(ctx, n, key, name, opts)
	if err != nil {
		return nil, &Refusal{"Could not open backing file: " + err.Error(), err}
	}
	return node.guard, nil
}

func (t *tree) openBacking(ctx context.Context, parent *treeNode, key, name string, opts *Options) (*treeNode, error) {
	if ref := parent.options.String(key); ref != "" {
		n, err := t.openChild(ctx, parent, key, "", RoleBacking, false)
		if err != nil {
			return nil, err
		}
		return n, claimBacking(ctx, n)
	}
	inheritMode(opts, childMode(parent.mode, RoleBacking))
	n, err := t.open(ctx, spec{name: name, options: opts, depth: parent.depth + 1})
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

// ProbeFormat names the format whose header head looks like, "" if none does. It lets raw keep a guest from turning a probed image
// into one of another format.
func (o *Opening) ProbeFormat(head []byte, name string) string {
	if d := o.tree.probe(head, name); d != nil {
		return d.Name
	}
	return ""
}

// Admit asks whether a block device of the host may be opened in the mode of o, see OpenConfig.Admit. The result is never nil without
// an error.
func (o *Opening) Admit(path string) (release func(), err error) {
	if o.tree.cfg.Admit == nil {
		return func() {}, nil
	}
	release, err = o.tree.cfg.Admit(path, !o.Mode.ReadOnly)
	if release == nil {
		release = func() {}
	}
	return release, err
}

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
	o.node.mode.ReadOnly = true
}

func (g *guard) setMode(m Mode) {
	g.readOnly.Store(m.ReadOnly)
	g.noFlush.Store(m.NoFlush)
	g.unmap.Store(m.Unmap)
}

func (g *guard) setDetectZeroes(s string) {
	g.detectZeroes.Store(map[string]int32{"on": detectOn, "unmap": detectUnmap}[s])
}

// close closes all nodes, parents first, and returns the first error.
func (t *tree) close() error {
	var first error
	for i := len(t.nodes) - 1; i >= 0; i-- {
		if err := t.nodes[i].guard.Close(); err != nil && first == nil {
			first = err
		}
	}
	t.nodes = nil
	return first
}
