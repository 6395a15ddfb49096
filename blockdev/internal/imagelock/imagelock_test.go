package imagelock

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

const (
	r  = driver.PermRead
	w  = driver.PermWrite
	rs = driver.PermResize
)

// opener gives locks on one file, each on a descriptor of its own as another program would have.
func opener(t *testing.T) (open func() *Lock, name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() *Lock {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if !Supported(int(f.Fd())) {
			t.Skip("the file system of temporary files has no OFD locks")
		}
		var l Lock
		l.Attach(int(f.Fd()), "the image")
		return &l
	}, name
}

func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, then driver.Claim
		want        string
	}{
		{"both share all", driver.Claim{Use: r | w, Share: driver.PermAll}, driver.Claim{Use: r | w, Share: driver.PermAll}, ""},
		{"a reader beside one who shares reading", driver.Claim{Use: r | w, Share: r}, driver.Claim{Use: r, Share: driver.PermAll}, ""},
		{"two who want to write alone", driver.Claim{Use: r | w, Share: r}, driver.Claim{Use: r | w, Share: r}, `Failed to get "write" lock`},
		{"a reader who shares only reading", driver.Claim{Use: r | w, Share: r}, driver.Claim{Use: r, Share: r}, `Failed to get shared "write" lock`},
		{"resize", driver.Claim{Use: r, Share: driver.PermAll &^ rs}, driver.Claim{Use: rs, Share: driver.PermAll}, `Failed to get "resize" lock`},
		{"nothing shared", driver.Claim{Use: r}, driver.Claim{Use: r, Share: driver.PermAll}, `Failed to get "consistent read" lock`},
		{"nothing used", driver.Claim{}, driver.Claim{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			open, _ := opener(t)
			if err := open().Claim(c.first); err != nil {
				t.Fatal(err)
			}
			err := open().Claim(c.then)
			if got := text(err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var in *InUseError
			if c.want != "" &&
				(!errors.As(err, &in) ||
					in.Hint() != "Is another process using the image [the image]?\n") {
				t.Errorf("%#v", err)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A claim that is refused leaves the one before in force, and nothing more.
func TestClaimIsTransaction(t *testing.T) {
	open, _ := opener(t)
	first, second := open(), open()
	claim := func(l *Lock, use, share driver.Perm) error {
		return l.Claim(driver.Claim{Use: use, Share: share})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(claim(first, r, driver.PermAll&^w))
	must(claim(second, r, driver.PermAll))
	if claim(second, r|w|rs, r) == nil {
		t.Fatal("wrote beside one who does not share writing")
	}
	must(claim(first, r, driver.PermAll&^rs)) // would fail if second had kept its byte for resize
	if claim(second, rs, driver.PermAll) == nil {
		t.Fatal("resized beside one who does not share it")
	}
	must(claim(second, r|w, driver.PermAll)) // first gave that up
	if claim(first, r, driver.PermAll&^w) == nil {
		t.Fatal("denied writing to one who writes")
	}
	must(claim(second, 0, driver.PermAll))
	must(claim(first, r|w, 0))
}

// What is held is on both descriptors until a move is over, and then on the one that stays.
func TestMove(t *testing.T) {
	open, _ := opener(t)
	alone := driver.Claim{Use: r | w, Share: r}
	for _, c := range []struct {
		name  string
		end   func(*Lock)
		stays func(old, fresh int) (kept, gone int)
		want  driver.Claim // in force afterwards
	}{
		{"moved", (*Lock).Moved, func(old, fresh int) (int, int) { return fresh, old }, driver.Claim{Use: r | w | rs, Share: r}},
		{"stays", (*Lock).Stay, func(old, fresh int) (int, int) { return old, fresh }, alone},
	} {
		t.Run(c.name, func(t *testing.T) {
			lock, fresh, other := open(), open(), open()
			if err := lock.Claim(alone); err != nil {
				t.Fatal(err)
			}
			old := lock.fd
			if err := lock.Move(fresh.fd); err != nil {
				t.Fatal(err)
			}
			if err := lock.Claim(driver.Claim{Use: r | w | rs, Share: r}); err != nil {
				t.Fatalf("its own locks stand in the way: %v", err)
			}
			c.end(lock)
			kept, gone := c.stays(old, fresh.fd)
			Drop(gone)
			if lock.fd != kept || lock.held != bytesOf(c.want) {
				t.Errorf("on descriptor %d, not %d: %+v", lock.fd, kept, lock.held)
			}
			if other.Claim(driver.Claim{Use: w, Share: driver.PermAll}) == nil {
				t.Error("the locks went with the other descriptor")
			}
			err := other.Claim(driver.Claim{Share: driver.PermAll &^ rs})
			if resizes := c.want.Use&rs != 0; (err != nil) != resizes {
				t.Errorf("resizing is claimed: %v, but %v", resizes, err)
			}
			Drop(kept)
		})
	}
}

// A claim that is refused on the way leaves everything as it was.
func TestMoveRefused(t *testing.T) {
	open, _ := opener(t)
	lock, fresh, other := open(), open(), open()
	reads := driver.Claim{Use: r, Share: driver.PermAll &^ w}
	for _, l := range []*Lock{lock, other} {
		if err := l.Claim(reads); err != nil {
			t.Fatal(err)
		}
	}
	if err := lock.Move(fresh.fd); err != nil {
		t.Fatal(err)
	}
	if err := lock.Claim(
		driver.Claim{Use: r | w, Share: r}); text(err) != `Failed to get "write" lock` {
		t.Fatalf("got %v", err)
	}
	lock.Stay()
	Drop(fresh.fd)
	if lock.held != bytesOf(reads) {
		t.Errorf("holds %+v", lock.held)
	}
	if err := open().Claim(reads); err != nil {
		t.Errorf("something is left: %v", err)
	}
}

func TestUnattached(t *testing.T) {
	var l Lock
	if err := l.Claim(driver.Claim{Use: driver.PermAll}); err != nil {
		t.Error(err)
	}
}

// The same process is named only when nobody else is there to be.
func TestHolder(t *testing.T) {
	open, _ := opener(t)
	if err := open().Claim(driver.Claim{Use: r | w, Share: r}); err != nil {
		t.Fatal(err)
	}
	err := open().Claim(driver.Claim{Use: w, Share: driver.PermAll})
	var in *InUseError
	if !errors.As(err, &in) {
		t.Fatal(err)
	}
	p, err := in.Holder()
	if err != nil || p.PID != os.Getpid() || p.Command == "" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestHoldsLock(t *testing.T) {
	const info = "pos:\t0\nflags:\t02100002\n" +
		"lock:\t1: POSIX  ADVISORY  READ 44 fe:00:1234 100 100\n" +
		"lock:\t2: OFDLCK ADVISORY  READ -1 fe:00:1234 100 101\n" +
		"lock:\t3: OFDLCK ADVISORY  READ -1 fe:00:1234 300 EOF\n" +
		"lock:\tx: OFDLCK ADVISORY  READ -1 fe:00:1234 x y\n"
	for _, c := range []struct {
		file string
		at   int64
		want bool
	}{
		{"fe:00:1234", 100, true},
		{"fe:00:1234", 101, true},
		{"fe:00:1234", 102, false},
		{"fe:00:1234", 299, false},
		{"fe:00:1234", 1 << 40, true},
		{"fe:01:1234", 100, false},
	} {
		if got := holdsLock([]byte(info), c.file, c.at); got != c.want {
			t.Errorf("%s at %d: %v", c.file, c.at, got)
		}
	}
}

// QEMU's own program and ours keep each other out, and qemu-io is the one named.
func TestWithQEMU(t *testing.T) {
	qemuIO := blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	qemuImg := blockdevtest.Peer(t, "qemu-img", "qemu-utils")
	open, name := opener(t)
	if out, err := exec.Command(qemuImg, "create", "-q", "-f", "qcow2", name,
		"1M").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	alone := driver.Claim{Use: r | w | rs, Share: driver.PermAll &^ (w | rs)}

	mine := open()
	if err := mine.Claim(alone); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(qemuIO, "-f", "qcow2", "-c", "quit", name).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `Failed to get "write" lock`) {
		t.Errorf("qemu-io opened: %s", out)
	}
	if err := mine.Claim(driver.Claim{Share: driver.PermAll}); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(qemuIO, "-f", "qcow2", name)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := prompt.Read(make([]byte, 16)); err != nil { // it prompts once the image is open
		t.Fatal(err)
	}
	var used *InUseError
	if err := mine.Claim(alone); !errors.As(err, &used) {
		t.Fatalf("got %v", err)
	}
	if p, err := used.Holder(); err != nil || p.PID != cmd.Process.Pid || p.Command != "qemu-io" {
		t.Errorf("got %+v, %v; qemu-io is %d", p, err, cmd.Process.Pid)
	}
}
