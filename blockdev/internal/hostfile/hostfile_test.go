package hostfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
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
		{unix.EOPNOTSUPP, driver.ErrNotSupported, true},
		{unix.ENOSYS, driver.ErrNotSupported, true},
		{unix.ENODEV, driver.ErrNotSupported, true},
		{unix.ENOTTY, driver.ErrNotSupported, true},
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
		err := driver.Because(c.err, "Could not do it")
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
			for what, n := range map[string]int64{
				"offsets": offset, "memory": memory,
				"offsets, probed": probed,
			} {
				if n <= 0 || n > 4096 || n&(n-1) != 0 {
					t.Errorf("%s aligned to %d", what, n)
				}
			}
			buf, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE,
				unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(buf)
			for _, align := range []int64{offset, probed} {
				if n, err := unix.Pread(fd, buf[memory:memory+align], align); err != nil ||
					int64(n) != align {
					t.Errorf("read of %d bytes at %d: %d, %v", align, align, n, err)
				}
			}
		})
	}
}

// openPlain opens a file as the driver does.
func openPlain(t *testing.T, name string) *File {
	t.Helper()
	var f *File
	plain := driver.Driver{
		Name: "plain", Kind: driver.Protocol, Config: Options{},
		Open: func(_ context.Context, o *driver.Opening) (_ driver.Node, err error) {
			f, err = Open(o, Config{Accept: func(*unix.Stat_t) error { return nil }})
			return f, err
		},
	}
	var o driver.Options
	o.Set("filename", name)
	d, err := blockdev.Open(t.Context(), "",
		blockdev.OpenConfig{Drivers: []driver.Driver{plain}, Options: &o, Format: "plain"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // some tests close the file below it
	return f
}

// A closed file leaves descriptors of others alone, however often it is closed.
func TestClosed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"own", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := openPlain(t, filepath.Join(dir, "own"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := os.Open(filepath.Join(dir, "other")) // gets the number that is free now
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := make([]byte, 3)
	for name, err := range map[string]error{
		"read":  f.ReadVec(t.Context(), driver.Vec{p}, 0, 0),
		"write": f.WriteVec(t.Context(), driver.Vec{p}, 0, 0),
		"flush": f.Flush(t.Context()),
		"close": f.Close(),
		"size":  f.Measure(),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := other.ReadAt(p, 0); err != nil || string(p) != "oth" {
		t.Errorf("the other file: %q, %v", p, err)
	}
}

// A sync that failed stays failed, with O_DIRECT and without.
func TestFailedSyncStays(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, direct := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(name, make([]byte, 512), 0o600); err != nil {
			t.Fatal(err)
		}
		f := openPlain(t, name)
		good := f.cur.Load()
		bad := *good
		bad.fd, bad.direct = int(w.Fd()), direct // a pipe cannot be synced
		f.cur.Store(&bad)
		first := f.Flush(t.Context())
		f.cur.Store(good)
		if second := f.Flush(t.Context()); first == nil || !errors.Is(second, first) {
			t.Errorf("direct %t: %v, then %v", direct, first, second)
		}
	}
}
