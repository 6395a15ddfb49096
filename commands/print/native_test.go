package print

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// nativeOf prints events as text and returns what both streams had, stderr in brackets.
func nativeOf(at event.Where, events ...event.Event) string {
	var b bytes.Buffer
	n := NewNative(NewStdout(&b, false), bracketed{&b}, "blksh")
	for _, e := range events {
		if !n.Print(at, e) {
			fmt.Fprintf(&b, "no words for %T\n", e)
		}
	}
	n.Flush()
	return b.String()
}

// bracketed marks what a stream gets.
type bracketed struct{ b *bytes.Buffer }

func (b bracketed) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		fmt.Fprintf(b.b, "[%s]\n", bytes.TrimSuffix(line, []byte("\n")))
	}
	return len(p), nil
}

type held struct{ error }

func (held) Holder() (driver.Process, error) {
	return driver.Process{PID: 12, Command: "qemu"}, nil
}

func TestNative(t *testing.T) {
	part := &blockdev.Error{
		Op: "write", Off: 1000, Len: 100,
		Err: &blockdev.AlignError{Block: 4096, Off: 1000, Len: 100, Size: 1 << 20},
	}
	for _, c := range []struct {
		name string
		at   event.Where
		e    event.Event
		want string
	}{
		{
			"a banner",
			event.Where{},
			event.Opened{Image: event.Image{Name: "d", Path: "d", Format: "qcow2", Size: 1 << 20, ReadOnly: true, Backing: []blockdev.Layer{{Driver: "raw", Filename: "b", DiskSize: -1}}}, First: true},
			"d: qcow2, 1 MiB (1048576 bytes)\nread-only, 'reopen -w' allows writing; backing file b (raw)\n" +
				"Type 'help' for the commands, 'help read' for one of them, and 'quit' to leave.\n",
		},
		{
			"an unknown command",
			event.Where{},
			event.UnknownCommand{Name: "raed", Near: []string{"read", "readv"}},
			"[blksh: command \"raed\" not found]\n[  did you mean read or readv?]\n",
		},
		{
			"in a script",
			event.Where{Pos: "a.blk:3", Command: "flush"},
			event.Failed{Op: "flush", Err: syscall.ENOSPC},
			"[a.blk:3: flush failed: No space left on device]\n",
		},
		{
			"unaligned",
			event.Where{},
			event.Failed{Op: "write", Err: part},
			"[blksh: write failed: Invalid argument]\n" +
				"[  offset and length must be multiples of 4096 here; the nearest request is 4096 bytes at 0]\n" +
				"[  --rmw lets the blocks around it be read, changed and written]\n",
		},
		{
			"outside",
			event.Where{},
			event.Failed{Op: "read", Err: &blockdev.Error{Op: "read", Off: 100, Len: 500, Err: &blockdev.RangeError{Size: 512}}},
			"[blksh: read: out of range: the image ends at 512; at 100 there are 412 bytes left]\n",
		},
		{
			"one request of many",
			event.Where{},
			event.Failed{Op: "copy", Err: &blockdev.Error{Op: "write", Node: "raw", File: "d", Off: 512, Len: 4096, Err: syscall.EIO}},
			"[blksh: copy failed: Input/output error]\n[  d: write of 4 KiB (4096 bytes) at offset 512]\n",
		},
		{
			"the flush of a command",
			event.Where{},
			event.Failed{Op: "copy", Err: &blockdev.Error{Op: "flush", Node: "raw", Err: syscall.EIO}},
			"[blksh: copy failed: Input/output error]\n[  raw: flush]\n",
		},
		{
			"read-only",
			event.Where{},
			event.Report{Err: blockdev.ErrReadOnly},
			"[blksh: the image is open for reading only]\n[  it was opened without permission to write; 'reopen -w' allows writing]\n",
		},
		{
			"a lock",
			event.Where{},
			event.OpenFailed{Name: "d", Err: held{errors.New("locked")}},
			"[blksh: can't open device d: locked]\n[  qemu (pid 12) uses it]\n[  -r with -U looks at it while others write]\n",
		},
		{"a mismatch is a result", event.Where{}, event.Mismatch{Off: 0, Len: 512}, "Pattern verification failed at offset 0, 512 bytes\n"},
		{
			"usage",
			event.Where{},
			event.Usage{
				Option:   &args.OptionError{Option: "-x"},
				Near:     []string{"-v"},
				Synopsis: event.Synopsis{Name: "read", Args: "[-v] off len", Short: "reads"},
			},
			"[blksh: read: there is no option -x]\n[  did you mean -v?]\n[  usage: read [-v] off len]\n[  'help read' says more]\n",
		},
		{
			"a name that is empty",
			event.Where{},
			event.Info{Driver: "raw", Storage: []blockdev.Detail{
				{Key: "export", Value: ""},
				{Key: "of", Sub: []blockdev.Detail{{Key: "a", Value: ""}, {Key: "b", Value: 1}}},
			}},
			"format name: raw\nsize: 0 bytes\ndisk size: 0 bytes\naccess: read-write\nblock size: 0 bytes\nstorage:\n    export: \"\"\n    of:\n        a: \"\"\n        b: 1\n",
		},
		{"as JSON", event.Where{Line: 4}, event.AsJSON{Event: event.Length{Bytes: 1}}, "{\"kind\":\"length\",\"bytes\":1}\n"},
		{"nothing at the end", event.Where{}, event.Exit{Status: 1}, ""},
	} {
		if got := nativeOf(c.at, c.e); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

// Both streams keep their order where they are one pipe.
func TestNativeOrder(t *testing.T) {
	got := nativeOf(event.Where{}, event.Length{Bytes: 512}, event.NoFile{},
		event.Length{Bytes: 1024})
	want := "512 bytes\n[blksh: no file open, try 'help open']\n1 KiB\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
