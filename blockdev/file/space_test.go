package file_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// used is how many bytes of space a file takes.
func used(t *testing.T, name string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// The words are those of qemu-io 7.2.22.
func TestTruncate(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		size int64
		p    driver.Prealloc
		want string
		full bool // what is added has its space
	}{
		{2 * mib, driver.PreallocOff, "", false},
		{2 * mib, driver.PreallocFalloc, "", true},
		{2*mib + 1000, driver.PreallocFull, "", true},
		{mib + 100, driver.PreallocFalloc, "", false},
		{mib / 2, driver.PreallocOff, "", false},
		{mib / 2, driver.PreallocFalloc, "Cannot use preallocation for shrinking files", false},
		{mib / 2, driver.PreallocMetadata, "Cannot use preallocation for shrinking files", false},
		{2 * mib, driver.PreallocMetadata, "Unsupported preallocation mode: metadata", false},
		{7 << 60, driver.PreallocOff, "Could not resize file: File too large", false},
		{7 << 60, driver.PreallocFalloc, "Could not preallocate new data: File too large", false},
		{7 << 60, driver.PreallocFull, "Could not resize file: File too large", false},
	} {
		for _, direct := range []bool{false, true} {
			name := temp(t, mib+100)
			d := openDevice(t, driver.Mode{Direct: direct}, options("filename", name))
			err := d.Top().Truncate(t.Context(), c.size, c.p, 0)
			size := c.size
			if c.want != "" {
				size = mib + 100
				if err == nil || err.Error() != c.want {
					t.Errorf("to %d, %v: got %v, want %s", c.size, c.p, err, c.want)
				}
			} else if err != nil {
				t.Errorf("to %d, %v: %v", c.size, c.p, err)
			}
			if st, _ := os.Stat(name); st.Size() != size || d.Info().Size != size {
				t.Errorf("to %d, %v: the file has %d bytes, the node says %d", c.size, c.p,
					st.Size(), d.Info().Size)
			}
			if c.full && used(t, name) < c.size-mib-8192 {
				t.Errorf("to %d, %v: %d bytes of space", c.size, c.p, used(t, name))
			}
		}
	}
}

// A zero request gives the space back only if it may, and a discard does.
func TestSpace(t *testing.T) {
	ctx := context.Background()
	const size = 1 << 20
	name := temp(t, 0)
	d := openDevice(t, driver.Mode{Unmap: true}, options("filename", name))
	fill := func() {
		if err := d.Top().WriteVec(ctx, driver.Vec{bytes.Repeat([]byte{1}, size)}, 0,
			0); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		do    func() error
		frees bool
	}{
		{"zero", func() error { return d.Zero(ctx, 0, size, 0) }, false},
		{"zero and unmap", func() error { return d.Zero(ctx, 0, size, driver.MayUnmap) }, true},
		{"discard", func() error { return d.Discard(ctx, 0, size) }, true},
	} {
		fill()
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := used(t, name); (got < size/2) != c.frees {
			t.Errorf("%s leaves %d bytes of space", c.name, got)
		}
		e, err := d.Status(ctx, 0, size)
		if err != nil || !e.Zero || e.Len != size || !e.Allocated || e.HostOff != 0 {
			t.Errorf("%s: status %+v, %v", c.name, e, err)
		}
	}
}

// Zeroing behind the end of a file makes it longer, in whatever way it is zeroed.
func TestZeroGrows(t *testing.T) {
	ctx := context.Background()
	for _, f := range []driver.Flags{0, driver.MayUnmap} {
		for _, old := range []int64{0, 1000, 70_000, 200_000} {
			name := temp(t, old)
			d := openDevice(t, driver.Mode{Unmap: true}, options("filename", name))
			if err := d.Top().Zero(ctx, 65536, 65536, f); err != nil {
				t.Fatal(err)
			}
			want := max(old, 131072)
			if st, _ := os.Stat(name); st.Size() != want || d.Info().Size != want {
				t.Errorf("from %d, flags %d: %d bytes, the node says %d", old, f, st.Size(),
					d.Info().Size)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	ctx := context.Background()
	d := openDevice(t, driver.Mode{Unmap: true}, options("filename", temp(t, 1<<20)))
	if err := d.Write(ctx, driver.Vec{bytes.Repeat([]byte{1}, 65536)}, 131072, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []driver.Extent{
		{Off: 0, Len: 131072, Zero: true},
		{Off: 131072, Len: 65536, Data: true},
		{Off: 196608, Len: 1<<20 - 196608, Zero: true},
	} {
		want.Allocated, want.HostOff, want.Node = true, want.Off, "file"
		got, err := d.Status(ctx, want.Off, 1<<20)
		if err != nil || got != want {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
	}
}

// A full disk is ENOSPC, not an end of file.
func TestNoSpace(t *testing.T) {
	if os.Geteuid() != 0 {
		blockdevtest.Need(t, "root, for a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		blockdevtest.Need(t, "a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	name := dir + "/disk.img"
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 1<<20)); err != nil {
		t.Fatal(err)
	}
	d := openDevice(t, driver.Mode{}, options("filename", name))
	if err := d.Write(t.Context(), driver.Vec{make([]byte, 1<<20)}, 0,
		0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	// This file system cannot zero a range in place; that it must be done otherwise is found out
	// once.
	for range 2 {
		if err := d.Zero(t.Context(), 0, 8192, 0); err != nil {
			t.Error(err)
		}
	}
}

// Syncs are counted as the system sees them. What asks for none must not make one.
func TestSyncs(t *testing.T) {
	strace := blockdevtest.Peer(t, "strace", "strace")
	if name := os.Getenv("FILE_TEST_SYNC"); name != "" {
		mode, through, _ := strings.Cut(os.Getenv("FILE_TEST_MODE"), " ")
		d, err := blockdev.Open(t.Context(), "", blockdev.OpenConfig{
			Drivers: drivers(), Options: options("driver", "file", "filename", name),
			Mode:         driver.Mode{NoFlush: mode == "unsafe"},
			WriteThrough: through == "through",
		})
		if err != nil {
			t.Fatal(err)
		}
		for off := range int64(2) {
			if err := d.Write(t.Context(), driver.Vec{make([]byte, 512)}, off*512, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	// As qemu-io 7.2.22 does for two writes and a close.
	for _, c := range []struct {
		mode string
		want int
	}{{"back through", 2}, {"back", 1}, {"unsafe", 0}, {"unsafe through", 0}} {
		cmd := exec.Command(strace, "-f", "-qq", "-e", "trace=fdatasync,fsync,sync_file_range",
			os.Args[0], "-test.run=^TestSyncs$")
		cmd.Env = append(os.Environ(), "FILE_TEST_SYNC="+temp(t, 4096), "FILE_TEST_MODE="+c.mode)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := bytes.Count(out, []byte("sync(")); got != c.want {
			t.Errorf("%s: %d syncs, want %d\n%s", c.mode, got, c.want, out)
		}
	}
}
