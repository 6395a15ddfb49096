package hostfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// Only what says "not supported" is remembered as missing.
func TestAbility(t *testing.T) {
	for _, c := range []struct {
		err     error
		want    error
		missing bool
	}{
		{nil, nil, false},
		{unix.EIO, unix.EIO, false},
		{unix.EINVAL, unix.EINVAL, false},
		{unix.EOPNOTSUPP, blockdev.ErrNotSupported, true},
		{unix.ENOSYS, blockdev.ErrNotSupported, true},
		{unix.ENODEV, blockdev.ErrNotSupported, true},
		{unix.ENOTTY, blockdev.ErrNotSupported, true},
	} {
		var a Ability
		calls := 0
		for range 2 {
			err := a.Try(func() error { calls++; return c.err })
			if !errors.Is(err, c.want) {
				t.Errorf("%v became %v", c.err, err)
			}
		}
		if (calls == 1) != c.missing {
			t.Errorf("%v: tried %d times", c.err, calls)
		}
	}
}

func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{unix.ENOENT, "Could not do it: No such file or directory"},
		{errors.New("it is raining"), "Could not do it: it is raining"},
	} {
		err := Refuse("Could not do it", c.err)
		if err.Error() != c.want || !errors.Is(err, c.err) {
			t.Errorf("got %q", err)
		}
	}
}

// direct opens a file with O_DIRECT on some file system.
func direct(t *testing.T, dir string) int {
	t.Helper()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no O_DIRECT here: ", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// What is found out about a descriptor lets it be read, by whatever way it was found out.
func TestAlignment(t *testing.T) {
	dirs := map[string]string{"temporary files": t.TempDir()}
	if os.Geteuid() == 0 {
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
			blockdevtest.Need(t, "a tmpfs: "+err.Error())
		}
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		dirs["tmpfs"] = dir
	}
	for name, dir := range dirs {
		t.Run(name, func(t *testing.T) {
			fd := direct(t, dir)
			offset, memory := alignment(fd)
			probed := probeOffsetAlign(fd, 4096)
			for what, n := range map[string]int64{"offsets": offset, "memory": memory, "offsets, probed": probed} {
				if n <= 0 || n > 4096 || n&(n-1) != 0 {
					t.Errorf("%s aligned to %d", what, n)
				}
			}
			buf, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(buf)
			for _, align := range []int64{offset, probed} {
				if n, err := unix.Pread(fd, buf[memory:memory+align], align); err != nil || int64(n) != align {
					t.Errorf("read of %d bytes at %d: %d, %v", align, align, n, err)
				}
			}
		})
	}
}
