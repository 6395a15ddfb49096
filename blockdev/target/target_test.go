package target_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
)

// holds checks the contents of a file, nil for none.
func holds(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if want == nil && !errors.Is(err, os.ErrNotExist) || want != nil &&
		(err != nil || string(got) != string(want)) {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

// alone checks that a folder has files of these names and no others.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(names) {
		t.Errorf("%s has %v, want %v", dir, got, names)
	}
}

func put(t *testing.T, name, text string, perm os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), perm); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, perm); err != nil { // whatever umask says
		t.Fatal(err)
	}
}

func inode(t *testing.T, name string) (uint64, os.FileMode) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, info.Mode()
}

// Until Commit nothing changes: what was there stays there, and nothing new is to be seen.
func TestReplace(t *testing.T) {
	for _, commit := range []bool{false, true} {
		dir := t.TempDir()
		old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
		put(t, old, "before", 0o640)
		for _, name := range []string{old, fresh} {
			f, err := target.Replace(name, target.Rule{Perm: 0o666})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("after"); err != nil {
				t.Fatal(err)
			}
			holds(t, old, []byte("before"))
			holds(t, fresh, nil)
			alone(t, dir, "old")
			if !commit {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := errors.Join(f.Commit(), f.Close()); err != nil {
				t.Fatal(err)
			}
			holds(t, name, []byte("after"))
			if name == old {
				if _, mode := inode(t, old); mode.Perm() != 0o640 {
					t.Errorf("the new file has mode %v", mode)
				}
				put(t, old, "before", 0o640)
			}
		}
		if !commit {
			alone(t, dir, "old")
			holds(t, old, []byte("before"))
		}
	}
}

// Where a file cannot be without a name, its first one is hidden, says what made it, and does not
// stay.
func TestReplaceWithTemporaryName(t *testing.T) {
	target.NameAll(t)
	for _, before := range []string{"", "before"} {
		for _, end := range []string{"commit", "close", "lost race"} {
			dir := t.TempDir()
			name := filepath.Join(dir, "file")
			if before != "" {
				put(t, name, before, 0o600)
			}
			f, err := target.Replace(name, target.Rule{Perm: 0o600})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("after"); err != nil {
				t.Fatal(err)
			}
			if temp, err := filepath.Glob(filepath.Join(dir, ".file.blksh-*")); err != nil ||
				len(temp) != 1 {
				t.Errorf("temporary: %v, %v", temp, err)
			}
			want := before
			switch end {
			case "commit":
				want = "after"
				err = f.Commit()
			case "close":
				err = f.Close()
			default:
				want = "theirs"
				_ = os.Remove(name)
				put(t, name, want, 0o600)
				if f.Commit() == nil {
					t.Error("what somebody else made is overwritten")
				}
			}
			if err != nil {
				t.Error(err)
			}
			if want == "" {
				holds(t, name, nil)
				alone(t, dir)
				continue
			}
			holds(t, name, []byte(want))
			alone(t, dir, "file")
		}
	}
}

// A link leads to the file that is replaced, or to the one that is made; it stays a link.
func TestReplaceThroughLinks(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "real"), "before", 0o600)
	for link, to := range map[string]string{"link": "real", "dangling": "new"} {
		name := filepath.Join(dir, link)
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
		f, err := target.Replace(name, target.Rule{Perm: 0o666})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("after"); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(); err != nil {
			t.Fatal(err)
		}
		holds(t, filepath.Join(dir, to), []byte("after"))
		if got, err := os.Readlink(name); err != nil || got != to {
			t.Errorf("%s leads to %q, %v", name, got, err)
		}
	}
}

// A file whose place no other can take is written itself: one with two names, so that both mean the
// same afterwards, and one with attributes, which it keeps. Given up, it is empty and not half
// made.
func TestReplaceInPlace(t *testing.T) {
	for what, keep := range map[string]func(name string) error{
		"two names": func(name string) error { return os.Link(name, name+"2") },
		"attribute": func(name string) error { return unix.Setxattr(name, "user.blksh", []byte("x"), 0) },
	} {
		for _, commit := range []bool{false, true} {
			name := filepath.Join(t.TempDir(), "file")
			put(t, name, "before", 0o600)
			if err := keep(name); errors.Is(err, unix.EOPNOTSUPP) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			was, _ := inode(t, name)
			f, err := target.Replace(name, target.Rule{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("after"); err != nil {
				t.Fatal(err)
			}
			want := ""
			if commit {
				want = "after"
				err = f.Commit()
			} else {
				err = f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			holds(t, name, []byte(want))
			if is, _ := inode(t, name); is != was {
				t.Errorf("%s: it is another file now", what)
			}
		}
	}
}

// What somebody else has made meanwhile is not overwritten.
func TestReplaceLosesARace(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	put(t, old, "before", 0o600)
	for _, name := range []string{old, fresh} {
		f, err := target.Replace(name, target.Rule{Perm: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(name)
		put(t, name, "theirs", 0o600)
		if err := f.Commit(); err == nil {
			t.Errorf("%s was overwritten", name)
		}
		holds(t, name, []byte("theirs"))
	}
	alone(t, dir, "old", "fresh")
}

// What is refused is left alone, whoever refuses and however it was to be opened.
func TestRefusedStays(t *testing.T) {
	refused := errors.New("refused")
	rules := map[string]target.Rule{
		"admit": {Admit: func(driver.HostFile) (func(), error) { return nil, refused }},
		"over":  {Over: func([]byte, int64) error { return refused }},
	}
	ways := map[string]func(string, target.Rule) (*target.File, error){
		"open": target.Open, "create": target.Create, "replace": target.Replace,
	}
	for rule, r := range rules {
		for way, open := range ways {
			name := filepath.Join(t.TempDir(), "file")
			put(t, name, "before", 0o600)
			if _, err := open(name, r); !errors.Is(err, refused) {
				t.Errorf("%s, %s: %v", rule, way, err)
			}
			holds(t, name, []byte("before"))
		}
	}
}

// Locked by another descriptor as QEMU does it, a file is not written by any way.
func TestImageLocks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	put(t, name, "before", 0o600)
	holder, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	const writeByte = 101
	lock := unix.Flock_t{Type: unix.F_RDLCK, Start: writeByte, Len: 1}
	if err := unix.FcntlFlock(holder.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(string, target.Rule) (
		*target.File, error){target.Open, target.Create, target.Replace} {
		if _, err := open(name, target.Rule{}); !errors.As(err, new(driver.Held)) {
			t.Errorf("error %v", err)
		}
		holds(t, name, []byte("before"))
	}
}

// What was judged is what is opened, though its name means another file by then.
func TestJudgedIsOpened(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "name"), filepath.Join(dir, "other")
	put(t, other, "other", 0o600)
	put(t, filepath.Join(dir, "judged"), "judged", 0o600)
	if err := os.Symlink("judged", name); err != nil {
		t.Fatal(err)
	}
	f, err := target.Create(name, target.Rule{Admit: func(driver.HostFile) (func(), error) {
		return nil, errors.Join(os.Remove(name), os.Symlink("other", name))
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, other, []byte("other"))
	holds(t, filepath.Join(dir, "judged"), []byte(""))
}

// What is opened as it is stays so; what was made for that is gone again if it was not wanted, and
// else kept.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	put(t, old, "before", 0o600)
	if _, err := target.Open(fresh, target.Rule{Existing: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
	for _, commit := range []bool{false, true} {
		for _, name := range []string{old, fresh} {
			f, err := target.Open(name, target.Rule{Perm: 0o600})
			if err != nil {
				t.Fatal(err)
			}
			if commit {
				err = f.Commit()
			} else {
				err = f.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
		holds(t, old, []byte("before"))
		if commit {
			holds(t, fresh, []byte(""))
		} else {
			holds(t, fresh, nil)
		}
	}
}
