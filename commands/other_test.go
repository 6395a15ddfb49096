package commands_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/session"
)

func TestMapAndAlloc(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"raw is one run", 1 << 20, "map\nalloc 0 4k\nalloc 1M\nalloc 1048000 1M", "1 MiB (0x100000) bytes     allocated at offset 0 bytes (0x0)\n4096/4096 bytes allocated at offset 0 bytes\n0/0 bytes allocated at offset 1 MiB\n576/576 bytes allocated at offset 1023.438 KiB\n", 0},
		{"null", 0, "open -o driver=null-co,size=1M\nmap\nalloc 0 512", "1 MiB (0x100000) bytes not allocated at offset 0 bytes (0x0)\n0/512 bytes allocated at offset 0 bytes\n", 0},
		{"empty", 0, "open -o driver=null-co,size=0\nmap", "", 0},
	})
	check(t, "qemu-2.4", []dialogue{
		{"sectors", 1 << 20, "map\nalloc 0 4\nalloc 1k\nalloc 1", "[                       0]     2048/    2048 sectors     allocated at offset 0 bytes (1)\n4/4 sectors allocated at offset 0 bytes\n1/1 sectors allocated at offset 1 KiB\noffset 1 is not sector aligned\n", 0},
		{"empty", 0, "open -o driver=null-co,size=0\nmap", "!Unexpected end of image\n", 0},
	})
}

func TestTruncate(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"grow and shrink", 1024, "truncate 2M\nlength\ntruncate 1000\nlength", "2 MiB\n1 KiB\n", 0},
		{"modes", 1024, "truncate -m bogus 1M\ntruncate -m falloc 512\ntruncate -m full 4k\nlength", "4 KiB\n!qemu-io: Invalid preallocation mode 'bogus'\n!qemu-io: Cannot use preallocation for shrinking files\n", 1},
		{"loose", 1024, "truncate 512 x\nlength\ntruncate -m off", "512 bytes\nParsing error: non-numeric argument, or extraneous/unrecognized suffix -- -m\n", 1},
	})
}

func TestDiscard(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"bytes", 16 << 10, "discard -q 4097 100\nread -q -P 0 4097 100\nread -P 0 4096 1", "Pattern verification failed at offset 4096, 1 bytes\nread 1/1 bytes at offset 4096\n1 bytes, 1 ops; 00.00 sec (1000 bytes/sec and 1000.0000 ops/sec)\n", 1},
		{"limit", 1024, "discard 0 3G\ndiscard 1k 512", "length cannot exceed 2147483136, given 3G\ndiscard failed: Input/output error\n", 1},
	})
	check(t, "qemu-2.4", []dialogue{
		{"rounded in silence", 1024, "discard 100 600", "discard 600/600 bytes at offset 100\n600 bytes, 1 ops; 0.0010 sec (585.938 KiB/sec and 1000.0000 ops/sec)\n", 0},
	})
}

func TestDispatch(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"no file", 0, "read\nclose\ninfo", "!no file open, try 'help open'\n!no file open, try 'help open'\n!no file open, try 'help open'\n", 1},
		{"unknown", 0, "bogus\n  \nRead 0 1", "!command \"bogus\" not found\n!command \"Read\" not found\n", 1},
		{"open twice", 1024, "open other", "!qemu-io: file open already, try 'help close'\n", 1},
		{"help", 0, "help nosuch\nhelp ?", "command nosuch not found\n? [command] -- help for one or all commands\n\n Example:\n help read             what read does, and with which flags\n\n", 1},
		{"info", 0, "open -o driver=null-co\ninfo", "format name: null-co\nformat name: null-co\n", 1},
		{"zones", 1024, "zone_report 0 1\nzone_report 0 8589934592\nzone_append -p 0 512", "zone report failed: Operation not supported\nNumber of zones must be less than 2^32\nzone append failed: Operation not supported\n", 1},
		{"sleep", 0, "sleep 1k\nsleep 0", "1k is not a valid number\n", 1},
		{"signals", 0, "sigraise 66\nsigraise x", "signal argument '66' is too large to be a valid signal\nParsing error: non-numeric argument, or extraneous/unrecognized suffix -- x\n", 1},
		{"short options", 0, "open -o nofoo", "!qemu-io: warning: short-form boolean option 'nofoo' deprecated\n!Please use foo=off instead\n!qemu-io: can't open: Must specify either driver or file\n", 1},
		{"modes", 0, "open -t x y\nopen -d x y\nopen -i x y", "!qemu-io: Invalid cache option: x\n!qemu-io: Invalid discard option: x\n!qemu-io: Invalid aio option: x\n", 1},
	})
	check(t, "qemu-2.4", []dialogue{
		{"open twice", 1024, "open other", "!file open already, try 'help close'\n", 0},
	})
}

// TestReopen changes what may be done with an open image.
func TestReopen(t *testing.T) {
	check(t, "qemu", []dialogue{
		{"access", 1024, "reopen -r\nwrite 0 1\nreopen -w\nwrite -q 0 1", "!qemu-io: Block node is read-only\n", 1},
		{"contradictions", 1024, "reopen -rw\nreopen -r -o read-only=on\nreopen -c none -o cache.direct=on\nreopen -c x\nreopen -o nosuch=1", "!qemu-io: Only one -r/-w option may be given\n!qemu-io: Cannot set both -r/-w and 'read-only'\n!qemu-io: Cannot set both -c and the cache options\n!qemu-io: Invalid cache option: x\n!qemu-io: Cannot change the option 'nosuch'\n", 1},
		{"operands", 1024, "reopen x", "reopen [(-r|-w)] [-c cache] [-o options] -- reopens an image with new options\n", 1},
	})
}

// TestSignals wants output written out before a signal, and not before abort.
func TestSignals(t *testing.T) {
	var raised []string
	s := newShell(t, "qemu", func(c *session.Config) {
		c.Raise = func(n int) { raised = append(raised, "raise") }
		c.Abort = func() { raised = append(raised, "abort") }
	})
	s.dialogue(t, "open -o driver=null-co,size=1M")
	for _, line := range []string{"length", "abort", "sigraise 0", "sigraise 15"} {
		before := s.out.Len()
		_ = s.Run(t.Context(), session.Line{Text: line})
		if line == "abort" && s.out.Len() != before {
			t.Error("abort writes out what is buffered")
		}
	}
	if !slices.Equal(raised, []string{"abort", "raise"}) {
		t.Errorf("raised %q", raised)
	}
	if !strings.HasPrefix(s.out.String(), "1 MiB\n") {
		t.Errorf("written before the signal: %q", s.out.String())
	}
}

// TestOpenEnds wants 2.4 to end when the command open fails, and not when it was called in a wrong
// way.
func TestOpenEnds(t *testing.T) {
	for _, test := range []struct {
		dialect, line string
		ended         bool
	}{
		{"qemu-2.4", "open /nonexistent/x", true},
		{"qemu-2.4", "open -x y", false},
		{"qemu", "open /nonexistent/x", false},
		{"native", "open /nonexistent/x", true},
		{"qemu", "quit now please", true},
	} {
		s := newShell(t, test.dialect)
		s.dialogue(t, test.line)
		if s.Ended() != test.ended {
			t.Errorf("%s: %s: ended %v", test.dialect, test.line, s.Ended())
		}
	}
}

// TestCompareRanges: a range that lies in neither image is not the same, and one that begins
// somewhere goes to the end of the longer one.
func TestCompareRanges(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create short.raw 1M", "create long.raw 2M", "open -f raw long.raw",
		"write -q -P 1 1536k 4k")
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"compare -f raw long.raw 0 9223372036854775807": {2, "out of range: the image ends at 2097152"},
		"compare -f raw long.raw 3M":                    {2, "out of range"},
		"compare -f raw long.raw 2M 1":                  {2, "out of range"},
		"compare -f raw long.raw 512k":                  {1, "different at 1572864"},
		"compare -f raw long.raw 2M":                    {0, "the same: 0 bytes"},
		"compare -f raw long.raw 0..1M":                 {0, "the same: 1 MiB"},
	} {
		said, status := in(t, dir, nil, "open -r -f raw short.raw", line)
		if status != want.status || !strings.Contains(said, want.says) {
			t.Errorf("%s: status %d, %s", line, status, said)
		}
	}
}
