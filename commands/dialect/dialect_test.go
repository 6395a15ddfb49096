package dialect

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
)

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

// events is one of each that has words of qemu-io's: for which print.QEMU has a case.
func events(t *testing.T) []event.Event {
	t.Helper()
	source, err := os.ReadFile("../print/qemu.go")
	if err != nil {
		t.Fatal(err)
	}
	var list []event.Event
	for _, e := range event.All() {
		v := reflect.New(reflect.TypeOf(e)).Elem()
		if !bytes.Contains(source, []byte("\tcase event."+v.Type().Name()+":")) {
			continue
		}
		if f := v.FieldByName("Err"); f.IsValid() {
			f.Set(reflect.ValueOf(error(&blockdev.Error{Op: "read", Node: "raw", Err: io.EOF})))
		}
		if f := v.FieldByName("Detail"); f.IsValid() && f.Kind() == reflect.Pointer {
			f.Set(reflect.New(f.Type().Elem()))
		}
		list = append(list, v.Interface().(event.Event))
	}
	if len(list) < 30 {
		t.Fatalf("only %d events were found", len(list))
	}
	return list
}

// TestPrintersAreClosed wants words for what qemu-io says in the printer of every dialect; a hex
// number with a multiplier is warned of by those alone that did so.
func TestPrintersAreClosed(t *testing.T) {
	for _, name := range Names() {
		d, _ := Find(name)
		t.Run(d.Name, func(t *testing.T) {
			var out, errs bytes.Buffer
			p := d.Printer(print.NewStdout(&out, false), &errs, "qemu-io")
			for _, e := range events(t) {
				if !p.Print(event.Where{}, e) && e != (event.HexSuffix{}) {
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
