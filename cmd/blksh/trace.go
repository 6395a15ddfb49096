package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
)

// traceNames are the events that can be traced, by the operation they tell of. The names are
// QEMU's.
var traceNames = [...]struct{ op, name string }{
	{"read", "bdrv_co_preadv_part"},
	{"write", "bdrv_co_pwritev_part"},
	{"zero", "bdrv_co_pwrite_zeroes"},
	{"discard", "bdrv_co_pdiscard"},
	{"flush", "bdrv_co_flush"},
	{"truncate", "bdrv_co_truncate"},
}

// tracing is which operations are traced, and where to.
type tracing struct {
	mu  sync.Mutex
	on  map[string]string // the names of the events that are shown, by their operations
	out io.Writer
	// file is the name of out, "" for standard error; failed is why it does not hold all events.
	file   string
	failed error
}

// traceOption takes the value of --trace: [[enable=]PATTERN][,events=FILE][,file=FILE].
func (p *program) traceOption(value string) error {
	t := &tracing{on: map[string]string{}, out: p.errs}
	if p.dialect.Program.TraceIsFile {
		return p.traceFile(t, value, "")
	}
	opts, err := blockdev.ParseOptionString(value, "enable")
	if err == nil {
		for _, key := range opts.Keys() {
			if key != "enable" && key != "events" && key != "file" {
				err = driver.Refuse("Invalid parameter '%s'", key)
			}
		}
	}
	if err != nil {
		return event.FailReport(err)
	}
	if pattern := opts.String("enable"); pattern != "" && !t.enable(pattern) {
		fmt.Fprintf(p.errs, "%s: warning: trace event '%s' does not exist\n", p.name,
			p.shown(pattern))
	}
	if name := opts.String("events"); name != "" {
		if err := p.traceFile(t, name, p.name+":"); err != nil {
			return err
		}
	}
	if name := opts.String("file"); name != "" {
		if t.out, err = createTrace(name); err != nil {
			return event.FailReport(err)
		}
		t.file = name
	}
	p.options.trace = t
	return nil
}

// createTrace makes the file that a trace goes to, in place of another trace or any text, but of
// nothing that could be an image.
func createTrace(name string) (*target.File, error) {
	f, err := target.Create(name, target.Rule{
		Perm:  0o666,
		Admit: func(f blockdev.HostFile) (func(), error) { return nil, session.AdmitFile(f) },
		Over: func(head []byte, _ int64) error {
			return session.Only(bytes.IndexByte(head, 0) < 0, "is there already and no text")
		},
	})
	var path *os.PathError
	if err != nil && !errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return f, err
}

// traceFile enables the events that a file lists, one a line. In the dialects of QEMU an error is
// shown behind prefix, and what cannot be read is as if it were not there.
func (p *program) traceFile(t *tracing, name, prefix string) error {
	f, err := os.Open(name)
	switch {
	case err != nil && p.native():
		return event.FailFile(name, blockdev.Errno(err))
	case err != nil:
		fmt.Fprintf(p.errs, "%s%s: %s\n", prefix, name, driver.ErrnoText(blockdev.Errno(err)))
		return exit(1)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		pattern := strings.TrimSpace(lines.Text())
		if pattern == "" || pattern[0] == '#' || t.enable(pattern) {
			continue
		}
		fmt.Fprintf(p.errs, "%s%s:%d: warning: trace event '%s' does not exist\n", prefix,
			p.shown(name), n, p.shown(pattern))
	}
	if err := lines.Err(); err != nil && p.native() {
		return event.FailFile(name, unlisted(err))
	}
	p.options.trace = t
	return nil
}

// shown is a name as the dialect shows it.
func (p *program) shown(name string) string {
	if p.native() {
		return print.Visible(name)
	}
	return name
}

// unlisted is why a list of events could not be read.
func unlisted(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("a line is longer than %d KiB", bufio.MaxScanTokenSize>>10)
	}
	return blockdev.Errno(err)
}

// enable switches events on, or off if the pattern begins with '-'. It is false if the name of one
// event names none.
func (t *tracing) enable(pattern string) bool {
	name, off := strings.CutPrefix(pattern, "-")
	found := strings.ContainsAny(name, "*?")
	for _, event := range traceNames {
		if ok, _ := path.Match(name, event.name); !ok {
			continue
		}
		found = true
		if t.on[event.op] = event.name; off {
			delete(t.on, event.op)
		}
	}
	return found
}

// trace shows a request when it starts.
func (t *tracing) trace(e blockdev.TraceEvent) {
	name, on := t.on[e.Op]
	if e.Done || !on {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := fmt.Fprintf(t.out, "%s bs %s(%s) offset %d bytes %d flags 0x%x\n", name, e.Node, e.Driver,
		e.Off, e.Len, e.Flags)
	if t.failed == nil {
		t.failed = err
	}
}

// hook is what the session calls for each request, nil if nothing is traced.
func (t *tracing) hook() func(blockdev.TraceEvent) {
	if t == nil {
		return nil
	}
	return t.trace
}

// heedTrace fails the run if the file of a trace lacks events, where output counts.
func (p *program) heedTrace() {
	t := p.options.trace
	if t == nil || t.file == "" || !p.dialect.Policy.OutputCounts {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		p.session.Fail(event.FailFile(t.file, blockdev.Errno(t.failed)))
	}
}
