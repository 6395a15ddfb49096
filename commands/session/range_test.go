package session

import (
	"errors"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// TestRange: the forms of a range, natively and elsewhere.
func TestRange(t *testing.T) {
	tests := []struct {
		missing   int
		line      string
		off, n    int64
		bad       string // part of the error
		elsewhere bool   // a dialect of QEMU takes it too
	}{
		{2, "4k 1k", 4096, 1024, "", true},
		{2, "4k..8k", 4096, 4096, "", false},
		{2, "..4k", 0, 4096, "", false},
		{2, "end-4k..", 1<<20 - 4096, 4096, "", false},
		{2, "..", 0, 1 << 20, "", false},
		{2, "1s", 512, -1, "", false},
		{2, "", -1, -1, "", false},
		{1, "", 0, 0, "usage", false},
		{1, "1M", 1 << 20, -1, "", false},
		{0, "1M", 0, 0, "usage", false},
		{0, "1..2", 1, 1, "", false},
		{0, "2..1", 0, 0, "ends before it starts", false},
		{2, "1..2 3", 0, 0, "usage", false},
		{2, "1..x", 0, 0, "x", false},
	}
	for _, native := range []bool{true, false} {
		for _, tt := range tests {
			off, n := int64(-1), int64(-1)
			f := &Flags{
				command: "read", policy: &Policy{Numbers: args.Native},
				env: args.Env{End: 1 << 20},
			}
			if !native {
				f.spec = &Spec{Letters: "q", Checks: "off len"}
			}
			f.Range(tt.missing)
			f.Operand(&off, "off")
			f.Operand(&n, "len")
			_, err := f.parse("read", strings.Fields(tt.line), nil, f.order())
			switch {
			case !native && tt.elsewhere != (err == nil):
				t.Errorf("%q in a dialect: %v", tt.line, err)
			case !native:
			case tt.bad != "":
				var failure *event.Failure
				text := "usage"
				if errors.As(err, &failure) {
					text = failure.Unwrap().Error()
				}
				if err == nil || !strings.Contains(text, tt.bad) {
					t.Errorf("%q: %v (%s), want %q", tt.line, err, text, tt.bad)
				}
			case err != nil || off != tt.off || n != tt.n:
				t.Errorf("%q: %d bytes at %d, %v", tt.line, n, off, err)
			}
		}
	}
}
