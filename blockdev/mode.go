package blockdev

import (
	"errors"
	"slices"

	"github.com/blksh/blksh/blockdev/driver"
)

// genericKeys are the options that every node takes.
var genericKeys = []driver.Key{
	{Name: "node-name", Type: driver.String, Help: "name of the node in this stack"},
	{Name: "read-only", Type: driver.Bool, Help: "open without permission to write"},
	{Name: "auto-read-only", Type: driver.Bool, Help: "fall back to read-only"},
	{Name: "cache.direct", Type: driver.Bool, Help: "bypass the page cache (O_DIRECT)"},
	{Name: "cache.no-flush", Type: driver.Bool, Help: "never wait for stable storage"},
	{Name: "discard", Type: driver.String, Help: "what to do with discards: ignore or unmap"},
	{Name: "force-share", Type: driver.Bool, Help: "take no image locks"},
	{Name: "detect-zeroes", Type: driver.String, Enum: detectModes, Default: "off", Help: "turn writes of zeroes into zero requests"},
}

// detectModes are the values of detect-zeroes.
var detectModes = []string{"off", "on", "unmap"}

// GenericKeys are the options that every node takes, whatever its driver.
func GenericKeys() []driver.Key { return genericKeys }

// childMode is what a child inherits. Formats send flushes and honour the discard policy themselves, so discards always pass on
// below; a backing file is read-only unless its own options say otherwise.
func childMode(m Mode, role driver.Role) Mode {
	m.Unmap = true
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

// settleMode reads the generic options of a node. sealed makes it read-only whatever they say.
func settleMode(o *Options, sealed bool) (Mode, driver.Values, error) {
	v, err := driver.ParseValues(genericKeys, o.Clone())
	if err != nil {
		return Mode{}, v, err
	}
	m := Mode{
		ReadOnly: v.Bool("read-only") || sealed, AutoReadOnly: v.Bool("auto-read-only"), Direct: v.Bool("cache.direct"),
		NoFlush: v.Bool("cache.no-flush"), ForceShare: v.Bool("force-share"),
	}
	switch v.String("discard") {
	case "ignore", "off":
	case "unmap", "on":
		m.Unmap = true
	default:
		return m, v, driver.Refuse("Invalid discard option")
	}
	if m.ForceShare && !m.ReadOnly {
		return m, v, errors.New("force-share=on can only be used with read-only images")
	}
	switch detect := v.String("detect-zeroes"); {
	case !slices.Contains(detectModes, detect):
		return m, v, driver.Refuse("invalid parameter value: %s", detect)
	case detect == "unmap" && !m.Unmap:
		return m, v, driver.Refuse("setting detect-zeroes to unmap is not allowed without setting discard operation to unmap")
	}
	return m, v, nil
}

// Direct says whether the device bypasses the page cache, whoever asked for that.
func (d *Device) Direct() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tree.root.mode.Direct
}

// checkWritable refuses a claim to write to what n stands on where that is read-only. mode says how a node is, or is to be.
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

func (g *guard) setDetectZeroes(s string) {
	g.detectZeroes.Store(map[string]int32{"on": detectOn, "unmap": detectUnmap}[s])
}
