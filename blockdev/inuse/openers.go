package inuse

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// openers lists the processes besides this one that have the device open, as far as their
// descriptors may be seen.
func (h Host) openers(path, dev string) []Use {
	// the pattern is well-formed
	descriptors, _ := filepath.Glob(filepath.Join(h.Proc, "[0-9]*/fd/*"))
	var uses []Use
	seen := map[string]bool{fmt.Sprint(os.Getpid()): true}
	for _, fd := range descriptors {
		pid := filepath.Base(filepath.Dir(filepath.Dir(fd)))
		if seen[pid] {
			continue
		}
		if target, err := os.Readlink(fd); err != nil || !strings.HasPrefix(target, "/dev/") {
			continue
		}
		if num, ok := h.Identify(fd); ok && num == dev {
			seen[pid] = true
			// without a name it is still one
			comm, _ := wordIn(filepath.Join(h.Proc, pid, "comm"))
			uses = append(uses, Use{path, fmt.Sprintf("open in %s (pid %s)", comm, pid)})
		}
	}
	return uses
}
