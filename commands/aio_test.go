package commands_test

import (
	"context"
	"strings"
	"testing"
)

// tickInBackground is tick of a request in the background: the clock is looked at while it is on
// its way.
const tickInBackground = "512 bytes, 1 ops; 00.00 sec (166.667 KiB/sec and 333.3333 ops/sec)\n"

// TestBackground wants completions in the order of the script, and none of their failures in the
// status.
func TestBackground(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"completed at the end of the line", 1024, "aio_write -P 7 0 512\nread -q -P 7 0 512", "wrote 512/512 bytes at offset 0\n" + tickInBackground, 0},
		{"failures do not count", 1024, "aio_read 1k 512\naio_write 1k 512\naio_discard 1k 512\naio_read -q -P 99 0 512\naio_flush", "readv failed: Input/output error\naio_write failed: Input/output error\naio_discard failed: Input/output error\nPattern verification failed at offset 0, 512 bytes\n", 0},
		{"injected", 1024, "aio_read -i 0 x", "injecting invalid read request\n", 0},
	})
}

// held opens an image below a layer that can hold requests, and a request that is held in its
// read-modify-write.
func held(t *testing.T, dialect string) *shell {
	t.Helper()
	s := newShell(t, dialect)
	s.dialogue(t,
		"open -o driver=raw,file.driver=blkdebug,file.align=4096,file.image.driver=file,file.image.filename="+raw(t, 64<<10))
	if got := s.dialogue(t, "break pwritev_rmw_after_head A",
		"aio_write -P 1 512 512"); got != "blkdebug: Suspended request 'A'\n" {
		t.Fatalf("%q", got)
	}
	return s
}

// TestBreakpoints holds a request, has others wait for it, and lets it go.
func TestBreakpoints(t *testing.T) {
	s := held(t, "qemu")
	got := s.dialogue(t, "wait_break A", "aio_write -q -P 2 1k 512", "length", "resume A",
		"read -q -P 1 512 512", "read -q -P 2 1k 512")
	want := "64 KiB\nblkdebug: Resuming request 'A'\nwrote 512/512 bytes at offset 512\n512 bytes, 1 ops;"
	if !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 4 {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := s.dialogue(t, "resume A", "remove_break B",
		"break nosuch C"); !strings.Contains(got, "Could not resume request: No such file or directory\nCould not remove breakpoint B: No such file or directory\nCould not set breakpoint: No such file or directory\n") {
		t.Errorf("%q", got)
	}
	s.Finish(context.Background())
}

// TestStandstill asks for what can never come: the original waits for ever.
func TestStandstill(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"wait_break B", "No request can reach breakpoint B: Resource deadlock avoided\n"},
		{"aio_flush", "aio_flush failed: Resource deadlock avoided\n"},
		{"write 0 4k", "write failed: Resource deadlock avoided\n"},
	} {
		s := held(t, "qemu")
		if got := s.dialogue(t, test.line); got != test.want {
			t.Errorf("%s: %q, want %q", test.line, got, test.want)
		}
		if s.Status() != 1 {
			t.Errorf("%s: status %d", test.line, s.Status())
		}
		s.Finish(context.Background())
		if got := s.dialogue(
			t); !strings.Contains(got, "1 requests stood still for ever and were given up") {
			t.Errorf("%s: at the end: %q", test.line, got)
		}
	}
}
