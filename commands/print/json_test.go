package print

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/event"
)

// jsonOf prints events and returns the lines, each of which it validates.
func jsonOf(t *testing.T, at event.Where, events ...event.Event) []string {
	t.Helper()
	var b bytes.Buffer
	j := &JSON{Out: NewStdout(&b, false), begun: true}
	for _, e := range events {
		if !j.Print(at, e) {
			t.Errorf("%T is not in the schema", e)
		}
	}
	j.Flush()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for _, line := range lines {
		if err := Validate([]byte(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	return lines
}

func TestJSON(t *testing.T) {
	outside := &blockdev.Error{
		Op: "read", Node: "raw", Off: 4096, Len: 512,
		Err: &blockdev.RangeError{Size: 4096},
	}
	for _, c := range []struct {
		at   event.Where
		e    event.Event
		want string
	}{
		{event.Where{}, event.Exit{Status: 3}, `{"kind":"exit","status":3,"schema":1}`},
		{
			event.Where{Line: 2, Image: "a.img", ID: 7},
			event.Transfer{Verb: event.Read, Off: 1, Done: 2, Count: 3, Moved: 2, Ops: 1, Elapsed: time.Microsecond},
			`{"kind":"transfer","line":2,"image":"a.img","id":7,"verb":"read","offset":1,"length":2,"requested":3,"moved":2,"ops":1,"elapsed_ns":1000}`,
		},
		{event.Where{Line: 1}, event.Dump{Off: 16, Data: []byte("ab\x00")}, `{"kind":"dump","line":1,"offset":16,"data":"YWIA"}`},
		{
			event.Where{Line: 1, Pos: "s.blk:4", Command: "read"},
			event.Failed{Op: "read", Err: outside},
			`{"kind":"failed","line":1,"pos":"s.blk:4","op":"read","offset":4096,"length":512,` +
				`"error":true,"message":"read: out of range: the image ends at 4096 (4 KiB)"}`,
		},
		{
			event.Where{Line: 1},
			event.OpenFailed{Name: "/tmp/\xff", Readable: true, Err: syscall.EACCES},
			`{"kind":"open_failed","line":1,"path_b64":"L3RtcC//","errno":"EACCES","error":true,` +
				`"message":"can't open device /tmp/\ufffd: Permission denied","hint":"without permission to write, -r opens it for reading only"}`,
		},
		{event.Where{Line: 1}, event.AsJSON{Event: event.Length{Bytes: 5}}, `{"kind":"length","line":1,"bytes":5}`},
		{
			event.Where{},
			event.Opened{Image: event.Image{Name: "x", Path: "d/x", Format: "qcow2", Size: 9, Backing: []blockdev.Layer{{Driver: "raw", Filename: "b\xfe", DiskSize: -1}}}},
			`{"kind":"opened","name":"x","path":"d/x","format":"qcow2","size":9,"read_only":false,` +
				`"backing":[{"path_b64":"Yv4=","format":"raw","size":0,"read_only":false}]}`,
		},
	} {
		if got := jsonOf(t, c.at, c.e)[0]; got != c.want {
			t.Errorf("%#v\ngot  %s\nwant %s", c.e, got, c.want)
		}
	}
}

// The first object names the schema, and so does the one that ends a run.
func TestJSONNamesSchema(t *testing.T) {
	var b bytes.Buffer
	j := &JSON{Out: NewStdout(&b, false)}
	for _, e := range []event.Event{event.Length{Bytes: 1}, event.Length{Bytes: 2}, event.Exit{}} {
		j.Print(event.Where{Request: `"a\u202eb"`}, e)
	}
	j.Flush()
	want := `{"kind":"length","id":"a\u202eb","schema":1,"bytes":1}
{"kind":"length","id":"a\u202eb","bytes":2}
{"kind":"exit","id":"a\u202eb","status":0,"schema":1}
`
	if b.String() != want {
		t.Errorf("%s\nwant %s", b.String(), want)
	}
	b.Reset()
	j = &JSON{Out: NewStdout(&b, false)}
	j.Print(event.Where{}, event.Exit{})
	j.Flush()
	if strings.Count(b.String(), "schema") != 1 {
		t.Error(b.String())
	}
}

// A long dump comes in several objects, whose base64 can be joined.
func TestJSONLongDump(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), dumpSize/5+1)
	lines := jsonOf(t, event.Where{}, event.Dump{Off: 100, Data: data})
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	joined, next := "", int64(100)
	for _, line := range lines {
		var o struct {
			Offset int64
			Data   string
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if o.Offset != next {
			t.Errorf("begins at %d, want %d", o.Offset, next)
		}
		joined += o.Data
		next += dumpSize
	}
	if got, err := base64.StdEncoding.DecodeString(joined); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes: %v", err)
	}
}

func TestDetails(t *testing.T) {
	lines := jsonOf(t, event.Where{}, event.Info{Driver: "qcow2", FormatSpecific: []blockdev.Detail{
		{Key: "lazy refcounts", Value: false},
		{Key: "bitmaps", Sub: []blockdev.Detail{{Sub: []blockdev.Detail{{Key: "name", Value: "b0"}}}, {Value: int64(3)}}},
	}})
	if want := `"format_specific":{"bitmaps":[{"name":"b0"},3],"lazy-refcounts":false}`; !strings.Contains(lines[0], want) {
		t.Errorf("%s\nwants %s", lines[0], want)
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, line := range []string{
		``, `[]`, `{}`, `{"kind":"nonsense"}`, `{"kind":"exit","status":0}`,
		`{"kind":"exit","status":"0","schema":1}`,
		`{"kind":"exit","status":0,"schema":1,"more":1}`, `{"kind":"exit","status":0,"schema":1}{}`,
		`{"kind":"exit","status":0.5,"schema":1}`,
		`{"kind":"dump","offset":1,"data":"?"}`, `{"kind":"no_file"}`,
		`{"kind":"file_error","error":true,"message":"x"}`,
		`{"kind":"device_busy","path":"x","uses":[1]}`,
	} {
		if Validate([]byte(line)) == nil {
			t.Errorf("%s is taken for valid", line)
		}
	}
}

// Whatever JSON may say has an explanation.
func TestSchemaIsExplained(t *testing.T) {
	for _, k := range Schema() {
		if k.Doc == "" {
			t.Errorf("kind %q has no documentation", k.Name)
		}
		for _, f := range append(Envelope(), k.Fields...) {
			if f.Doc == "" {
				t.Errorf("%s.%s has no documentation: it wants a tag doc", k.Name, f.Name)
			}
		}
	}
}
