package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/script"
	"github.com/blksh/blksh/repl"
)

// request is a line of a program that drives the shell: statements, or the words of one command,
// with an id that comes back in all that is said of them.
type request struct {
	ID      json.RawMessage `json:"id"`
	Command *string         `json:"command"`
	Argv    []string        `json:"argv"`
}

// longestID bounds an id, in bytes.
const longestID = 256

// errRequest says how a request is written.
var errRequest = errors.New(
	`a request is {"id": ID, "command": "..."} or {"id": ID, "argv": ["...", ...]}, ` +
		`where ID is a number or a text of at most 256 bytes, or left out`)

// isRequest says whether a line is one.
func isRequest(text string) bool { return strings.HasPrefix(strings.TrimLeft(text, " \t"), "{") }

func parseRequest(text string) (q request, id event.RequestID, err error) {
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	if in.Decode(&q) != nil || (q.Command == nil) == (len(q.Argv) == 0) {
		return q, "", errRequest
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return q, "", errRequest
	}
	raw := bytes.TrimSpace(q.ID)
	if len(raw) == 0 || string(raw) == "null" {
		return q, "", nil
	}
	if c := raw[0]; len(raw) > longestID || c != '"' && c != '-' && (c < '0' || c > '9') {
		return q, "", errRequest
	}
	return q, event.RequestID(asWritten(raw)), nil
}

// asWritten is a number as it stands, or a text with what is no UTF-8 in it replaced.
func asWritten(raw []byte) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	clean, _ := json.Marshal(text) // a text can always be encoded
	return string(clean)
}

// serve runs a request. One with an id is always answered in the end.
func (r runner) serve(ctx context.Context, line repl.Line) error {
	q, id, err := parseRequest(line.Text)
	if err != nil {
		return r.FailAt(line.Pos, event.BadValuef("%v", err))
	}
	r.Serve(id)
	defer r.Serve("")
	mark := r.Mark()
	if q.Command == nil {
		err = r.machine.Run(ctx, script.Split(q.Argv, line.Pos))
	} else {
		err = r.statements(ctx, *q.Command, line.Pos)
	}
	if id != "" || r.Silent(mark) {
		r.Answer(mark, line.Pos, event.Done{Status: r.StatusOf(err)})
	}
	return err
}

// statements runs those of a text that has to be whole.
func (r runner) statements(ctx context.Context, text, pos string) error {
	var parser script.Parser
	for line := range strings.Lines(text) {
		statements, err := parser.Add(strings.TrimSuffix(line, "\n"), pos, false)
		if err != nil {
			return r.FailAt(pos, err)
		}
		if err := r.machine.Run(ctx, statements); err != nil {
			return err
		}
	}
	if err := parser.End(); err != nil {
		return r.FailAt(pos, err)
	}
	return nil
}
