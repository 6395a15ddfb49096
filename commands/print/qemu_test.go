package print

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// TestQEMU holds texts and streams to what qemu-io 7.2.22 and 11.1.3 (now) and 2.4.0 (old) print. A
// text for stderr begins with "!"; old is "=" where it is the same.
func TestQEMU(t *testing.T) {
	readOnly := &blockdev.Error{
		Op: "write", Node: "raw",
		Err: errors.Join(blockdev.ErrReadOnly, syscall.EPERM),
	}
	for _, test := range []struct {
		e        event.Event
		now, old string
	}{
		{
			event.Transfer{Verb: event.Wrote, Off: 512, Done: 1024, Count: 1024, Ops: 1, Elapsed: time.Second / 2},
			"wrote 1024/1024 bytes at offset 512\n1 KiB, 1 ops; 00.50 sec (2 KiB/sec and 2.0000 ops/sec)\n",
			"wrote 1024/1024 bytes at offset 512\n1 KiB, 1 ops; 0.5000 sec (2 KiB/sec and 2.0000 ops/sec)\n",
		},
		{
			event.Transfer{Verb: event.Read, Done: 512, Count: 512, Ops: 1, Elapsed: time.Second, Terse: true},
			"512,1,0:00:01.00,512.000,1.000\n", "=",
		},
		{
			event.Transfer{Verb: event.Discarded, Done: 1, Count: 1, Ops: 1, Elapsed: time.Second},
			"discarded  1/1 bytes at offset 0\n1 bytes, 1 ops; 0:00:01.00 (1 bytes/sec and 1.0000 ops/sec)\n", "=",
		},
		{
			event.Dump{Off: 0xfffffff8, Data: []byte("Hello, qemu-io! 01")},
			"fffffff8:  48 65 6c 6c 6f 2c 20 71 65 6d 75 2d 69 6f 21 20  Hello..qemu.io..\n100000008:  30 31  01\n", "=",
		},
		{event.Mismatch{Off: 3072, Len: 4096}, "Pattern verification failed at offset 3072, 4096 bytes\n", "="},
		{event.Failed{Op: "read", Err: syscall.EIO}, "read failed: Input/output error\n", "="},
		{event.Failed{Op: "zone report", Err: blockdev.ErrNotSupported}, "zone report failed: Operation not supported\n", "="},
		{event.Failed{Op: "write", Err: readOnly}, "write failed: Operation not permitted\n", "="},
		{event.Failed{Op: "flush", Err: syscall.EIO}, "", "="},
		{
			event.Failed{Op: "truncate", Err: &driver.Refusal{Text: "Could not resize file: File too large", Err: syscall.EFBIG}},
			"!qemu-io: Could not resize file: File too large\n", "truncate: File too large\n",
		},
		{event.Alloc{Off: 512, Count: 131072, Allocated: 65536}, "65536/131072 bytes allocated at offset 512 bytes\n", "128/256 sectors allocated at offset 512 bytes\n"},
		{
			event.MapRun{Extent: blockdev.Extent{Off: 65536, Len: 983040}, Remaining: 983040},
			"960 KiB (0xf0000) bytes not allocated at offset 64 KiB (0x10000)\n",
			"[                   65536]     1920/    1920 sectors not allocated at offset 64 KiB (0)\n",
		},
		{event.MapEmpty{}, "", "!Unexpected end of image\n"},
		{event.Length{Bytes: 1 << 20}, "1 MiB\n", "="},
		{event.Info{Driver: "null-co", Protocol: true}, "format name: null-co\nformat name: null-co\n", "="},
		{
			event.Info{Driver: "x", Known: true, Cluster: 65536, FormatSpecific: []blockdev.Detail{
				{Key: "compat", Value: "1.1"}, {Key: "encrypt", Sub: []blockdev.Detail{{Sub: []blockdev.Detail{{Key: "n", Value: int64(1)}}}}},
			}},
			"format name: x\ncluster size: 64 KiB\nvm state offset: 0 bytes\nFormat specific information:\n    compat: 1.1\n    encrypt:\n        [0]:\n            n: 1\n", "=",
		},
		{
			event.Zone{Zone: driver.Zone{Start: 512, Length: 1024, Capacity: 1024, WritePointer: 1024, Type: 2, Condition: 1}},
			"start: 0x1, len 0x2, cap 0x2, wptr 0x2, zcond:1, [type: 2]\n", "=",
		},
		{event.BreakFailed{Action: "remove", Tag: "A", Err: syscall.ENOENT}, "Could not remove breakpoint A: No such file or directory\n", "="},
		{event.UnknownCommand{Name: "x"}, "!command \"x\" not found\n", "="},
		{event.NoFile{}, "!no file open, try 'help open'\n", "="},
		{event.FileOpen{}, "!qemu-io: file open already, try 'help close'\n", "!file open already, try 'help close'\n"},
		{event.BadCount{Name: "r", Given: 1, Min: 2, Max: -1}, "!bad argument count 1 to r, expected at least 2 arguments\n", "="},
		{event.BadCount{Name: "f", Given: 1}, "!bad argument count 1 to f, expected 0 arguments\n", "="},
		{event.BadCount{Name: "a", Given: 3, Min: 1, Max: 2}, "!bad argument count 3 to a, expected between 1 and 2 arguments\n", "="},
		{
			event.Usage{Option: &args.OptionError{Message: "r: invalid option -- 'x'"}, Synopsis: event.Synopsis{Name: "read", Args: "off len", Short: "reads"}},
			"read off len -- reads\n!r: invalid option -- 'x'\n", "=",
		},
		{event.Synopsis{Name: "map", Args: " ", Short: "prints"}, "map  -- prints\n", "="},
		{event.Synopsis{Name: "quit", Short: "exit"}, "quit -- exit\n", "="},
		{
			event.BadNumber{Command: "alloc", Operand: "off", Word: "x"},
			"Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- x\n",
			"non-numeric offset argument -- x\n",
		},
		{
			event.BadNumber{Command: "truncate", Operand: "off", Word: "9E", First: "--", Problem: args.TooLarge},
			"Parsing error: argument too large -- --\n", "non-numeric truncate argument -- 9E\n",
		},
		{event.Unaligned{Operand: "count", Value: 100}, "100 is not a sector-aligned value for 'count'\n", "count 100 is not sector aligned\n"},
		{event.TooLong{Word: "3G", Limit: 7, Escape: 'n'}, "length cannot exceed 7 without -n, given 3G\n", "="},
		{event.VecTooLong{Word: "2G", Limit: 7}, "Argument '2G' exceeds maximum size 7\n", "too large length argument -- 2G\n"},
		{
			event.OpenFailed{Name: "a", Err: &driver.UnknownOptionError{Driver: "raw", Option: "foo"}},
			"!qemu-io: can't open device a: Block format 'raw' does not support the option 'foo'\n",
			"!qemu-io: can't open device a: Block format 'raw' used by device 'hda' doesn't support the option 'foo'\n",
		},
		{
			event.OpenFailed{Name: "a", Err: errors.Join(fmt.Errorf("below: %w", &driver.UnsupportedError{Format: "qcow2", Version: 4}))},
			"!qemu-io: can't open device a: below: Unsupported qcow2 version 4\n",
			"!qemu-io: can't open device a: below: 'hda' uses a qcow2 feature which is not supported by this qemu version: QCOW version 4\n",
		},
		{
			event.Warning{Notice: driver.ImageCorrupt{Format: "qcow2", Marked: true, What: &driver.ClusterOffsetError{Offset: 1, Table: 2}}},
			"!qcow2: Marking image as corrupt: Cluster allocation offset 0x1 unaligned (L2 offset: 0x2, L2 index: 0); further corruption events will be suppressed\n",
			"!qcow2: Marking image as corrupt: Data cluster offset 0x1 unaligned (L2 offset: 0x2, L2 index: 0); further corruption events will be suppressed\n",
		},
		{event.OpenFailed{Unnamed: true, Err: errors.New("Unknown driver 'x'")}, "!qemu-io: can't open: Unknown driver 'x'\n", "="},
		{event.Report{Err: blockdev.ErrReadOnly}, "!qemu-io: Block node is read-only\n", "!Block node is read-only\n"},
		{
			event.Report{Err: &driver.SizeError{Key: "size"}},
			"!qemu-io: Parameter 'size' expects a non-negative number below 2^64\n" +
				"Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.\n", "",
		},
		{event.FileError{Name: "x", Err: syscall.ENOENT}, "!x: No such file or directory\n", "="},
		{event.Suspended{Tag: "A"}, "blkdebug: Suspended request 'A'\n", "="},
		{event.Warning{Notice: driver.TailKept{Err: syscall.EIO}}, "!qemu-io: warning: Failed to truncate the tail of the image: Input/output error\n", "="},
	} {
		now := said(t, test.e, func(q QEMU) printer { return &q })
		if now != test.now {
			t.Errorf("%#v:\n got %q\nwant %q", test.e, now, test.now)
		}
		want := test.old
		switch want {
		case "":
			if test.now != "" {
				continue
			}
		case "=":
			want = test.now
		}
		q24 := func(q QEMU) printer { return &QEMU24{q} }
		if _, timed := test.e.(event.Transfer); timed {
			q24 = func(q QEMU) printer { q.Times = units.ReportQEMU24; return &QEMU24{q} }
		}
		if old := said(t, test.e, q24); old != want {
			t.Errorf("2.4: %#v:\n got %q\nwant %q", test.e, old, want)
		}
	}
}

type printer interface {
	Print(at event.Where, e event.Event) bool
	Flush()
}

// said is what a printer makes of e: stdout, then stderr behind a "!".
func said(t *testing.T, e event.Event, voice func(QEMU) printer) string {
	t.Helper()
	var out, errs bytes.Buffer
	p := voice(QEMU{
		Out: NewStdout(&out, false), Err: &errs, Name: "qemu-io",
		Times: units.ReportQEMU,
	})
	if !p.Print(event.Where{}, e) {
		t.Errorf("no words for %#v", e)
	}
	p.Flush()
	if errs.Len() > 0 {
		out.WriteString("!" + errs.String())
	}
	return out.String()
}

// writes records each write by itself.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

// TestStdout wants the C library's blocks: nothing is written before 4096 bytes are full and one
// more comes.
func TestStdout(t *testing.T) {
	var got writes
	s := NewStdout(&got, false)
	chunk := strings.Repeat("x", 4000)
	for _, text := range []string{chunk, strings.Repeat("y", 96), "z", chunk, chunk} {
		_, _ = s.Write([]byte(text))
	}
	s.Flush()
	s.Flush()
	var lens []int
	for _, w := range got {
		lens = append(lens, len(w))
	}
	if want := []int{4096, 4096, 3905}; len(lens) != 3 || lens[0] != want[0] ||
		lens[1] != want[1] || lens[2] != want[2] {
		t.Errorf("writes of %v bytes, want %v", lens, want)
	}

	got = nil
	s = NewStdout(&got, true)
	for _, text := range []string{"a", "b\n", "c"} {
		_, _ = s.Write([]byte(text))
	}
	if len(got) != 1 || got[0] != "ab\n" {
		t.Errorf("lines: %q", got)
	}
}
