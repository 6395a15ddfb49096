package main

import (
	"encoding/json"
	"testing"
)

// FuzzRequest reads any line. A request that is taken has something to do, and its id comes back as
// JSON in one line.
func FuzzRequest(f *testing.F) {
	for _, line := range []string{
		`{"id": 7, "command": "read 0 512"}`, `{"argv": ["read", "0", "512"]}`,
		`{"id": "\ud800", "argv": [""]}`,
		`{"id": -1e999, "command": ""}`, `{"id": null, "command": "q"}`, `{"command": "a"} {}`,
		`{"id":`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		q, id, err := parseRequest(line)
		if err != nil {
			return
		}
		if (q.Command == nil) == (len(q.Argv) == 0) {
			t.Errorf("%q asks for %+v", line, q)
		}
		if id != "" && !json.Valid([]byte(id)) {
			t.Errorf("%q has the id %q", line, id)
		}
	})
}
