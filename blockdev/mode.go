package blockdev

import (
	"errors"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
)

// nodeKeys are the options that every node takes.
func nodeKeys() []driver.Key { return driver.KeysOf(driver.NodeConfig{}) }

// childMode is what a child inherits. Formats send flushes and honour the discard policy
// themselves, so discards always pass on below; a backing file is read-only unless its own options
// say otherwise.
func childMode(m Mode, role driver.Role) Mode {
	m.Unmap = true
	m.NoIO = m.NoIO && role != driver.RoleFile
	if role == driver.RoleBacking {
		m.ReadOnly, m.AutoReadOnly, m.Check = true, false, false
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

// settleMode reads the options of a node that do not concern its driver. sealed makes it read-only
// whatever they say.
func settleMode(o *Options, sealed bool) (m Mode, c driver.NodeConfig, err error) {
	if err := driver.Fill(&c, o.Clone()); err != nil {
		return m, c, err
	}
	m = Mode{
		ReadOnly: c.ReadOnly || sealed, AutoReadOnly: c.AutoReadOnly, Direct: c.Direct,
		NoFlush:    c.NoFlush,
		ForceShare: c.ForceShare,
	}
	switch c.Discard {
	case "ignore", "off":
	case "unmap", "on":
		m.Unmap = true
	default:
		return m, c, driver.Refuse("Invalid discard option")
	}
	if m.ForceShare && !m.ReadOnly {
		return m, c, errors.New("force-share=on can only be used with read-only images")
	}
	if c.DetectZeroes == "unmap" && !m.Unmap {
		return m, c, driver.Refuse(
			"setting detect-zeroes to unmap is not allowed without setting discard operation to unmap")
	}
	if _, known := detectMode(c.DetectZeroes); !known {
		return m, c, driver.Refuse("invalid parameter value: %s", c.DetectZeroes)
	}
	return m, c, nil
}

// Direct says whether the device bypasses the page cache, whoever asked for that.
func (d *Device) Direct() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tree.root.mode.Direct
}

// checkWritable refuses a claim to write to what n stands on where that is read-only. mode says how
// a node is, or is to be.
func (n *treeNode) checkWritable(c driver.Claim, mode func(*treeNode) Mode) error {
	if c.Use&(driver.PermWrite|driver.PermResize) == 0 {
		return nil
	}
	if mode(n).ReadOnly {
		return driver.RefuseAs(ErrReadOnly, "Block node is read-only")
	}
	for _, child := range n.children {
		if child.role == driver.RoleBacking {
			continue
		}
		if err := child.checkWritable(c, mode); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) setMode(m Mode) {
	g.readOnly.Store(m.ReadOnly)
	g.noFlush.Store(m.NoFlush)
	g.unmap.Store(m.Unmap)
}

// detectMode is what a value of detect-zeroes means.
func detectMode(s string) (mode int32, known bool) {
	i := slices.Index([]string{detectOff: "off", detectOn: "on", detectUnmap: "unmap"}, s)
	return int32(i), i >= 0
}

func (g *guard) setDetectZeroes(s string) {
	mode, _ := detectMode(s)
	g.detectZeroes.Store(mode)
}
