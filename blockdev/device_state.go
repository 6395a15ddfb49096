package blockdev

import (
	"math"
	"os"
	"syscall"

	"github.com/blksh/blksh/blockdev/driver"
)

// The operations of a Device that cannot be staged in a Queue.
const (
	opTruncate Op = OpFlush + 1 + iota
	opStatus
	opReadState  // of a virtual machine
	opWriteState // of a virtual machine
	opCheck
	opReportZones
	opManageZones
	opAppendZone
	opSetBacking
	opAmend
	opBitmaps
	opChangeBitmap
	opEmpty
	opSnapshots
	opCreateSnapshot
	opApplySnapshot
	opDeleteSnapshot
	opKeySlots
	opAddKey
	opRemoveKey
	opReopen
	opSize
)

// opRules says what the gate looks at, for each operation.
var opRules = [...]struct {
	name    string
	changes bool // needs permission to write
	inside  bool // must lie within the device
	whole   bool // a strict device takes only whole blocks
}{
	OpRead:           {name: "read", inside: true},
	OpWrite:          {name: "write", changes: true, inside: true, whole: true},
	OpZero:           {name: "zero", changes: true, inside: true, whole: true},
	OpDiscard:        {name: "discard", changes: true, inside: true},
	OpFlush:          {name: "flush"},
	opTruncate:       {name: "truncate", changes: true},
	opStatus:         {name: "status"},
	opReadState:      {name: "read"},
	opWriteState:     {name: "write", changes: true},
	opCheck:          {name: "check"},
	opReportZones:    {name: "report zones"},
	opManageZones:    {name: "manage zones", changes: true, inside: true},
	opAppendZone:     {name: "append", changes: true, inside: true},
	opReopen:         {name: "reopen"},
	opSetBacking:     {name: "set backing file", changes: true},
	opBitmaps:        {name: "look at bitmaps"},
	opChangeBitmap:   {name: "change bitmap", changes: true},
	opAmend:          {name: "amend", changes: true},
	opEmpty:          {name: "empty", changes: true},
	opSnapshots:      {name: "list snapshots"},
	opCreateSnapshot: {name: "create snapshot", changes: true},
	opApplySnapshot:  {name: "apply snapshot", changes: true},
	opDeleteSnapshot: {name: "delete snapshot", changes: true},
	opKeySlots:       {name: "list keys"},
	opAddKey:         {name: "add key", changes: true},
	opRemoveKey:      {name: "remove key", changes: true},
	opSize:           {name: "length"},
}

// deviceState is what decides whether a request may begin. It is replaced as a whole, so that a
// request sees one state.
type deviceState struct {
	readOnly bool
	strict   bool // see OpenConfig.Strict
	closed   bool
}

// change replaces the state by what edit makes of it. It reports whether the device was open, and
// leaves a closed one alone.
func (d *Device) change(edit func(*deviceState)) bool {
	for {
		old := d.state.Load()
		if old.closed {
			return false
		}
		next := *old
		edit(&next)
		if d.state.CompareAndSwap(old, &next) {
			return true
		}
	}
}

// enter is the gate: every method of a Device and every slot of its queues passes it with what is
// asked for. It refuses everything on a closed device and one without a medium, changes on a
// read-only one, ranges that are not wholly inside (with EIO, as QEMU does) or not any more, and
// parts of blocks on a strict one.
func (d *Device) enter(op Op, off, n int64) error { return d.enterAs(d.top.Info(), op, off, n) }

// enterAs is enter for who has asked what the topmost node is like.
func (d *Device) enterAs(info Info, op Op, off, n int64) error {
	state, rules := d.state.Load(), &opRules[op]
	length := d.length(info)
	var err error
	switch {
	case state.closed:
		err = os.ErrClosed
	case info.NoMedium && op == opTruncate:
		err = errNoMedium
	case info.NoMedium:
		err = syscall.ENOMEDIUM
	case rules.changes && state.readOnly && d.tree.cfg.LoadSnapshot != "":
		err = errSnapshotOpen
	case rules.changes && state.readOnly:
		err = errWriteProtected
	case rules.inside && (n < 0 || off < 0 || off > math.MaxInt64-n || off+n > length):
		if err = checkLost(info.Limits, off, n); err == nil {
			err = &RangeError{Size: length}
		}
	case rules.whole && state.strict && n > 0:
		if block := d.Block(); off%block != 0 || n%block != 0 {
			err = &AlignError{Block: block, Off: off, Len: n, Size: length}
		}
	}
	return d.wrap(op, off, n, err)
}

// errNoMedium is what QEMU says where it has words.
var errNoMedium = &driver.Refusal{Text: "No medium inserted", Err: syscall.ENOMEDIUM}

// wrap says which request failed.
func (d *Device) wrap(op Op, off, n int64, err error) error {
	if err == nil {
		return nil
	}
	root := d.tree.root
	return &Error{
		Op: opRules[op].name, Node: root.driver.Name, File: root.filename, Off: off,
		Len: n, Err: err,
	}
}
