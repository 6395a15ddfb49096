package blockdev

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
)

// Reopen changes options of an open device as one transaction over its whole stack, with nothing
// else under way: every node is flushed, every node prepares, the new claim on the file is made,
// then all commit. If any of that fails all abort, and the device is as it was. Options that are
// not named keep their values. Children follow what they inherit.
func (d *Device) Reopen(ctx context.Context, change *Options) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.enter(opReopen, 0, 0); err != nil {
		return err
	}
	tracker := &d.tree.top.guard.tracker
	held, err := tracker.hold(ctx, false)
	if err != nil {
		return err
	}
	defer tracker.end(held)
	if err := d.tree.flush(ctx); err != nil {
		return driver.RefuseAs(err, "Error flushing drive: %s", driver.ErrnoText(Errno(err)))
	}
	return d.reopen(ctx, change)
}

// flush flushes every node, parents first. The caller holds the topmost one.
func (t *tree) flush(ctx context.Context) error {
	for _, n := range slices.Backward(t.nodes) {
		do := n.guard.Flush
		if n == t.top {
			do = n.guard.flush
		}
		if n.guard.idle() {
			continue
		}
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reopen is the transaction.
func (d *Device) reopen(ctx context.Context, change *Options) error {
	r := &reopening{tree: d.tree}
	top := d.tree.root
	sealed := top.sealed
	if v, ok := change.Get("read-only"); ok {
		text, _ := driver.Text(v)
		sealed, _ = driver.Truth(text)
	}
	if err := r.plan(top, change, top.mode, sealed); err != nil {
		return err
	}
	root := r.steps[len(r.steps)-1]
	if root.mode.ReadOnly && d.tree.top != d.tree.root {
		return driver.Refuse("Can't set node '%s' to r/o with copy-on-read enabled",
			d.tree.root.name)
	}
	claim := d.claim
	switch {
	case !root.mode.ReadOnly:
		claim.Use |= driver.PermWrite
	// the option in words, unlike the flag, gives up no permission there
	case !d.tree.cfg.LikeQEMU || change.String("read-only") == "":
		claim.Use &^= driver.PermWrite | driver.PermResize
	}
	err := top.checkWritable(claim, r.mode)
	if errors.Is(err, ErrReadOnly) {
		err = driver.Refuse("Read-only block node '%s' cannot support read-write users", top.name)
	}
	if err == nil {
		err = r.prepare(ctx)
	}
	if err == nil {
		err = driver.ClaimOn(ctx, d.top, claim)
	}
	if err != nil {
		r.abort()
		return err
	}
	r.commit()
	d.change(func(s *deviceState) { s.readOnly = root.mode.ReadOnly })
	d.claim = claim
	return nil
}

type reopening struct {
	tree  *tree
	steps []*reopenStep // children before parents
}

type reopenStep struct {
	node          *treeNode
	mode          Mode
	sealed        bool
	options       *Options
	config        any
	detectZeroes  string
	commit, abort func()
}

// plan settles the new options of n and of all below it. What they do not say of the mode is as in
// inherited, and sealed makes n read-only whatever they say.
func (r *reopening) plan(n *treeNode, change *Options, inherited Mode, sealed bool) error {
	opts := n.options.GivenOnly()
	for _, key := range change.Keys() {
		v, _ := change.Get(key)
		if err := r.checkFixed(n, key, v); err != nil {
			return err
		}
		if !n.knows(key) {
			if old, ok := n.options.Get(key); ok && reflect.DeepEqual(old, v) {
				continue
			}
			return driver.Refuse("Cannot change the option '%s'", key)
		}
		opts.Set(key, v)
	}
	if err := n.unchangeable(opts); err != nil {
		return err
	}
	inheritMode(opts, inherited)
	mode, generic, err := settleMode(opts, sealed)
	if err != nil {
		return err
	}
	step := &reopenStep{
		node: n, mode: mode, sealed: sealed, options: opts,
		detectZeroes: generic.DetectZeroes,
	}
	if step.config, err = r.tree.parse(n.driver, opts); err != nil {
		return err
	}
	for _, c := range n.children {
		below, seal := c.mode, c.sealed
		if c.opened {
			below = childMode(mode, c.role)
		}
		// a backing file stays as it was, whatever its overlay becomes
		if c.opened && c.role != driver.RoleBacking {
			seal = sealed
		}
		if err := r.plan(c.treeNode, change.Sub(c.key+"."), below, seal); err != nil {
			return err
		}
	}
	r.steps = append(r.steps, step)
	return nil
}

// checkFixed refuses another child, and another word on whether n shares what others hold.
func (r *reopening) checkFixed(n *treeNode, key string, value any) error {
	switch key {
	case "file", "backing":
		name, _ := value.(string)
		switch other := r.tree.names[name]; {
		case other == nil:
			return driver.Refuse("Cannot find device='' nor node-name='%s'", name)
		case !slices.ContainsFunc(n.children,
			func(c edge) bool { return c.key == key && c.treeNode == other }):
			return driver.Refuse("Cannot change the option '%s'", key)
		}
	case "force-share":
		if _, err := (driver.Key{Name: key, Type: driver.TypeBool}).Parse(value); err != nil {
			return err
		}
		if old, _ := n.options.Get(key); !n.options.Given(key) || !reflect.DeepEqual(old, value) {
			return driver.Refuse("Cannot change the option '%s'", key)
		}
	}
	return nil
}

// mode is how n is to be.
func (r *reopening) mode(n *treeNode) Mode {
	for _, s := range r.steps {
		if s.node == n {
			return s.mode
		}
	}
	return n.mode
}

func (n *treeNode) knows(key string) bool {
	return key == "driver" || driver.Declared(nodeKeys(), key) ||
		driver.Declared(n.driver.Keys(), key) || n.childTakes(key)
}

// unchangeable refuses a new driver or node name, and another child.
func (n *treeNode) unchangeable(opts *Options) error {
	if v, ok := opts.Get("driver"); ok && v != n.driver.Name {
		return driver.Refuse("Cannot change the option 'driver'")
	}
	if v, ok := opts.Get("node-name"); ok && v != n.name {
		return driver.Refuse("Cannot change the option 'node-name'")
	}
	for _, c := range n.children {
		if v, ok := opts.Get(c.key); ok && v != c.name {
			return driver.Refuse("Cannot change the option '%s'", c.key)
		}
	}
	return nil
}

// prepare asks every node, those below first. One that cannot be asked must not be given other
// values.
func (r *reopening) prepare(ctx context.Context) error {
	for _, s := range r.steps {
		o := r.tree.opening(s.node, false)
		o.Mode, o.Config = s.mode, s.config
		re, ok := s.node.guard.node.(driver.Reopener)
		if !ok {
			if err := o.Unchanged(s.node.config); err != nil {
				return err
			}
			continue
		}
		var err error
		if s.commit, s.abort, err = re.Prepare(ctx, o); err != nil {
			return err
		}
		s.mode = o.Mode // may have fallen back to read-only
	}
	return nil
}

func (r *reopening) commit() {
	for _, s := range r.steps {
		if s.commit != nil {
			s.commit()
		}
		s.node.mode, s.node.sealed, s.node.options = s.mode, s.sealed, s.options
		s.node.config = s.config
		s.node.guard.setMode(s.mode)
		s.node.guard.setDetectZeroes(s.detectZeroes)
	}
}

func (r *reopening) abort() {
	for _, s := range r.steps {
		if s.abort != nil {
			s.abort()
		}
	}
}
