package dialect

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/verify"
)

// TestTables builds the table of every dialect and has it check itself.
func TestTables(t *testing.T) {
	for _, d := range All() {
		t.Run(d.Name, func(t *testing.T) {
			table := d.Table()
			if err := table.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAllowLists looks for what older versions did not have.
func TestAllowLists(t *testing.T) {
	for _, test := range []struct{ dialect, has, lacks string }{
		{"native", "multiwrite reopen aio_discard zone_report", ""},
		{"qemu", "reopen aio_discard zone_report", "multiwrite"},
		{"qemu-7.2", "reopen", "multiwrite aio_discard zone_report"},
		{"qemu-2.4", "multiwrite", "reopen aio_discard zone_report"},
	} {
		d, ok := Find(test.dialect)
		if !ok {
			t.Fatalf("no dialect %s", test.dialect)
		}
		table := d.Table()
		for name := range strings.FieldsSeq(test.has) {
			if table.Find(name) == nil {
				t.Errorf("%s has no %s", d.Name, name)
			}
		}
		for name := range strings.FieldsSeq(test.lacks) {
			if table.Find(name) != nil {
				t.Errorf("%s has %s", d.Name, name)
			}
		}
	}
}

// TestLetters compares the flags of one command across dialects: a letter that a spec does not name
// does not exist.
func TestLetters(t *testing.T) {
	for dialect, want := range map[string]string{
		"qemu": "bcCfnpPrsuzq", "qemu-7.2": "bcCfnpPsuzq", "qemu-2.4": "bcCpPzq",
	} {
		d, _ := Find(dialect)
		table := d.Table()
		options := table.Find("write").Options()
		if len(options) != len(want) {
			t.Errorf("%s: write has %d flags, want %d", dialect, len(options), len(want))
		}
		for _, o := range options {
			if strings.IndexByte(want, o.Letter) < 0 {
				t.Errorf("%s: write has -%c", dialect, o.Letter)
			}
		}
	}
}

// events is one of each that the qemu dialects have words for.
func events() []event.Event {
	eio := &blockdev.Error{Op: "read", Node: "raw", Err: io.ErrUnexpectedEOF}
	return []event.Event{
		event.Transfer{Verb: event.Read, Done: 512, Count: 512, Ops: 1, Elapsed: time.Millisecond},
		event.Dump{Data: []byte("a")},
		event.Mismatch{Len: 1, Detail: &verify.Mismatch{}},
		event.Failed{Op: "read", Err: eio},
		event.Injected{Op: "read"},
		event.Alloc{Count: 512},
		event.MapRun{Extent: blockdev.Extent{Len: 512}, Remaining: 512},
		event.MapEmpty{},
		event.Length{Bytes: 1},
		event.Info{Driver: "raw"},
		event.Zone{},
		event.Appended{},
		event.BreakFailed{Action: "set", Err: blockdev.ErrNotSupported},
		event.Abandoned{Requests: 1},
		event.UnknownCommand{Name: "x"},
		event.NoFile{},
		event.FileOpen{},
		event.BadCount{Name: "read", Min: 2, Max: -1},
		event.Usage{Synopsis: event.Synopsis{Name: "read"}},
		event.Synopsis{Name: "read"},
		event.BadNumber{Word: "x", Problem: args.NonNumeric},
		event.BadValue{Message: "x"},
		event.Conflict{Message: "x"},
		event.ShortOption{Word: "x", Key: "x"},
		event.Unaligned{Operand: "offset", Value: 1},
		event.TooLong{Word: "3G", Limit: 1},
		event.VecTooLong{Word: "3G", Limit: 1},
		event.OpenFailed{Name: "x", Err: errors.New("x")},
		event.Report{Err: errors.New("x")},
		event.FileError{Name: "x", Err: errors.New("x")},
		event.HelpList{},
		event.HelpBody{Text: " x\n"},
		event.HelpUnknown{Name: "x"},
		event.Suspended{Tag: "A"},
		event.Resumed{Tag: "A"},
		event.Warning{Notice: driver.CheckNote{Text: "x"}},
	}
}

// TestPrintersAreClosed wants a case for each event in the printer of every dialect, and none for
// one that it cannot meet.
func TestPrintersAreClosed(t *testing.T) {
	for _, d := range All() {
		t.Run(d.Name, func(t *testing.T) {
			var out, errs bytes.Buffer
			p := d.Printer(print.NewStdout(&out, false), &errs, "qemu-io")
			for _, e := range events() {
				if !p.Print(event.Where{}, e) {
					t.Errorf("no words for %T", e)
				}
			}
		})
	}
	for dialect, want := range map[string]bool{"qemu": false, "qemu-7.2": true} {
		d, _ := Find(dialect)
		p := d.Printer(print.NewStdout(io.Discard, false), io.Discard, "qemu-io")
		if got := p.Print(event.Where{}, event.HexSuffix{Word: "0x1k"}); got != want {
			t.Errorf("%s: a hex suffix is warned of: %v", dialect, got)
		}
	}
}
