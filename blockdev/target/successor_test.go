package target

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that cannot be given the permissions of the one before is given up, and closes what it
// has once: a second close would hit a file that somebody else has opened meanwhile.
func TestSuccessorClosesOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(name, Rule{Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := openUnnamed
	defer func() { openUnnamed = before }()
	openUnnamed = func(dir string, _ uint32) (int, error) {
		return unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0) // takes no permissions
	}
	var others sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err == nil {
					err = unix.Close(fd)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2000 {
		if _, err := f.successor(); !errors.Is(err, unix.EBADF) {
			t.Errorf("permissions were given to what takes none: %v", err)
			break
		}
	}
	close(stop)
	others.Wait()
}
