package blockdev

import (
	"errors"
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
)

// askGate asks whether the node that s describes may be opened.
func (t *tree) askGate(drv *Driver, s *spec) error {
	if s.from == "" || t.cfg.Gate == nil {
		return nil
	}
	l := Link{From: s.from, Name: s.name, Part: s.part}
	if drv != nil {
		l.Format, l.Device = drv.Name, drv.Device
	}
	return t.cfg.Gate(l)
}

// restrain takes out of the options of a json: name in an image what only the user may ask for.
func (t *tree) restrain(o *Options, s *spec) error {
	var rights []string
	for _, key := range o.Keys() {
		value, _ := o.Get(key)
		// What a node may do hangs on the last word of a key, however deep the node lies.
		if text, _ := driver.Text(value); t.isRight(key[strings.LastIndexByte(key, '.')+1:], text) {
			o.Take(key)
			rights = append(rights, key+"="+text)
		}
	}
	if len(rights) == 0 || t.cfg.Gate == nil {
		return nil
	}
	return t.cfg.Gate(Link{From: s.from, Name: s.name, Rights: rights})
}

// isRight says whether an option gives a node more than reading its file under the usual locks:
// writing, sharing what others hold, or a node that the user opened.
func (t *tree) isRight(name, value string) bool {
	if value == "" {
		return false // null
	}
	switch name {
	case "read-only":
		yes, ok := driver.Truth(value)
		return !ok || !yes
	case "force-share":
		yes, ok := driver.Truth(value)
		return !ok || yes
	case "locking":
		return value == "off"
	}
	return t.isChild(name)
}

// isChild says whether name is what some driver calls a child.
func (t *tree) isChild(name string) bool {
	for _, d := range t.cfg.Drivers {
		for _, k := range d.Keys() {
			if k.Type == driver.TypeChild && k.Name == name {
				return true
			}
		}
	}
	return false
}

// chainError refuses a backing chain as such. It is not told again at each image of the chain.
type chainError struct{ text string }

func (e *chainError) Error() string { return e.text }

// BackingError says, in QEMU's words, why a backing file could not be opened.
type BackingError struct{ Err error }

func (e *BackingError) Error() string { return "Could not open backing file: " + e.Err.Error() }

// Unwrap is the cause.
func (e *BackingError) Unwrap() error { return e.Err }

func backingError(err error) error {
	again := errors.As(err, new(*chainError)) && errors.As(err, new(*BackingError))
	if err == errPlaceless || again {
		return err
	}
	return &BackingError{err}
}

// storage is the file that n's image is all of, false if it is a part of one or cannot be told from
// others.
func (n *treeNode) storage() (id [2]uint64, ok bool) {
	for _, c := range n.children {
		if c.role != driver.RoleFile || !c.protocol {
			continue
		}
		if file, is := driver.Find[driver.Identified](c.guard); is {
			id[0], id[1] = file.Identity()
			return id, true
		}
	}
	return id, false
}

// checkChain refuses n, whose file is open, where it is behind itself or has too many images over
// it.
func (t *tree) checkChain(n *treeNode) error {
	if n.depth >= t.cfg.MaxDepth {
		return &chainError{fmt.Sprintf(
			"the backing chain is longer than %d images, or refers to itself", t.cfg.MaxDepth)}
	}
	id, ok := n.storage()
	if !ok || !n.driver.Declares("backing") {
		return nil
	}
	for over := n.over; over != nil; over = over.over {
		if other, ok := over.storage(); ok && other == id {
			return &chainError{"the backing chain refers to itself: '" + n.filename +
				"' stands behind itself"}
		}
	}
	return nil
}
