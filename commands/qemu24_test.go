package commands_test

import (
	"path/filepath"
	"testing"
)

// TestReadOnlyIn24 is what QEMU 2.4 answered to requests on images that were opened read-only: the
// block layer looked at some things before it looked at permission.
func TestReadOnlyIn24(t *testing.T) {
	dir := t.TempDir()
	qcow2 := filepath.Join(dir, "q")
	newShell(t, "native").dialogue(t, "create -f qcow2 "+qcow2+" 1M")
	for _, test := range []struct{ image, line, want string }{
		{raw(t, 1<<20), "truncate 2M", "truncate: Permission denied\n"},
		{raw(t, 1<<20), "write -c 0 64k", "write failed: Operation not supported\n"},
		{raw(t, 1<<20), "write -b 0 512", "write failed: Operation not supported\n"},
		{raw(t, 1<<20), "write 0 512", "write failed: Operation not permitted\n"},
		{qcow2, "truncate 2M", "truncate: Permission denied\n"},
		{qcow2, "truncate 512k", "truncate: Permission denied\n"},
		{qcow2, "write -b 0 512", "write failed: Operation not permitted\n"},
	} {
		format := "raw"
		if test.image == qcow2 {
			format = "qcow2"
		}
		s := newShell(t, "qemu-2.4")
		if got := s.dialogue(t, "open -r -o driver="+format+" "+test.image,
			test.line); got != test.want {
			t.Errorf("%s: %s: %q, want %q", format, test.line, got, test.want)
		}
	}
}

// TestLeftoverIn24: a letter that getopt knew and nothing else.
func TestLeftoverIn24(t *testing.T) {
	s := newShell(t, "qemu-2.4")
	if got, want := s.dialogue(t, "open -g "+
		raw(t, 512)),
		"open [-Crsn] [-o options] [path] -- open the file specified by path\n"; got != want ||
		s.Image() != nil {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRemoveHeld: who removes a breakpoint lets go what is held there, which 2.4 calls a success
// and later versions do not.
func TestRemoveHeld(t *testing.T) {
	for dialect, complaint := range map[string]string{
		"qemu-2.4": "", "qemu-7.2": "Could not remove breakpoint A: No such file or directory\n",
	} {
		s := newShell(t, dialect)
		got := s.dialogue(t,
			"open -o driver=raw,file.driver=blkdebug,file.image.driver=null-co,file.image.size=1M,file.image.read-zeroes=on",
			"break read_aio A", "aio_read -q 0 512", "remove_break A", "aio_flush")
		if want := "blkdebug: Suspended request 'A'\nblkdebug: Resuming request 'A'\n" +
			complaint; got != want {
			t.Errorf("%s: %q, want %q", dialect, got, want)
		}
	}
}
