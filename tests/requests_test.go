package tests

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/print"
)

// A coprocess is the program as another one drives it.
type coprocess struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

// reply is what is looked at of an object.
type reply struct {
	Kind    string          `json:"kind"`
	ID      json.RawMessage `json:"id"`
	Status  int             `json:"status"`
	Schema  int             `json:"schema"`
	Message string          `json:"message"`
}

// next reads an object, which must be one of the schema.
func (c *coprocess) next(t *testing.T) reply {
	t.Helper()
	var r reply
	if !c.out.Scan() {
		t.Fatalf("no more objects: %v", c.out.Err())
	}
	if err := print.Validate(c.out.Bytes()); err != nil {
		t.Errorf("%s: %v", c.out.Bytes(), err)
	}
	if err := json.Unmarshal(c.out.Bytes(), &r); err != nil {
		t.Fatalf("%s: %v", c.out.Bytes(), err)
	}
	return r
}

// ask sends a line, and reads up to the object that ends what it brings.
func (c *coprocess) ask(t *testing.T, line string) (kinds string, last reply) {
	t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
	var list []string
	for {
		last = c.next(t)
		list = append(list, last.Kind)
		if last.Kind == "done" || last.ID == nil {
			return strings.Join(list, " "), last
		}
	}
}

// TestCoprocess drives the program as others would: a request is written, and what it brings is
// read up to its end before the next is. Nothing waits for output that does not come.
func TestCoprocess(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), asBlksh.path, "--json", "--keep-going", "mem:1M")
	cmd.Env, cmd.Dir = asBlksh.environ(), t.TempDir()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &coprocess{in, bufio.NewScanner(out)}
	if r := c.next(t); r.Kind != "opened" || r.Schema != 1 {
		t.Errorf("the first object: %+v", r)
	}
	for _, r := range []struct {
		line, kinds, id string
		status          int
	}{
		{`{"id":7,"command":"read 0 4k"}`, "transfer done", "7", 0},
		{`{"id":8,"command":"read -P 1 0 4k"}`, "mismatch transfer done", "8", 1},
		{`{"id":"x y","argv":["write","--text","two words","0"]}`, "transfer done", `"x y"`, 0},
		{`{"id":-1.5,"argv":["find","--text","two words"]}`, "found searched done", "-1.5", 0},
		{`{"id":9,"command":"flush"}`, "flushed done", "9", 0},
		{`{"id":10,"command":"repeat 2 {\nlength\n}"}`, "length length done", "10", 0},
		{`{"id":11,"command":"repeat 2 {"}`, "bad_value done", "11", 2},
		{`{"id":12,"command":"nosuch"}`, "unknown_command done", "12", 2},
		{`{"id":13,"command":"! read 9M 1"}`, "done", "13", 0},
		{`{"id":14,"command":"expect 0 iszero 64k.."}`, "zero done", "14", 0},
		{`{"id":15,"command":"let n = 3"}`, "done", "15", 0},
		{`{"id":16,"command":"sleep $n"}`, "done", "16", 0},
		{`{"id":17,"command":"truncate 2M; reopen; length"}`, "resized reopened length done", "17", 0},
		{`{"id":18,"command":"# nothing"}`, "done", "18", 0},
		{`{"id":19,"command":"aio_read 0 4k; aio_flush"}`, "transfer done", "19", 0},
		{`{"command":"flush"}`, "flushed", "", 0},
		{"flush", "flushed", "", 0},
		{"truncate --shrink 1M", "resized", "", 0},
		{"reopen", "reopened", "", 0},
		{"use mem", "done", "", 0},
		{"sleep 1", "done", "", 0},
		{`{"id":{},"command":"flush"}`, "bad_value", "", 0},
		{`{"id":20,"commands":"flush"}`, "bad_value", "", 0},
		{`{"id":21,"command":"flush","argv":["flush"]}`, "bad_value", "", 0},
		{`{"id":22}`, "bad_value", "", 0},
		{`{"id":23,"command":"flush"} x`, "bad_value", "", 0},
		{`{`, "bad_value", "", 0},
		{`{"id":"` + strings.Repeat("x", 300) + `","command":"flush"}`, "bad_value", "", 0},
		{"close", "closed", "", 0},
	} {
		kinds, last := c.ask(t, r.line)
		if kinds != r.kinds || string(last.ID) != r.id || last.Status != r.status {
			t.Errorf("%s: %s, %+v", r.line, kinds, last)
		}
	}
	in.Close()
	if r := c.next(t); r.Kind != "exit" || r.Schema != 1 {
		t.Errorf("the last object: %+v", r)
	}
	_ = cmd.Wait() // the gravest status of all
}
