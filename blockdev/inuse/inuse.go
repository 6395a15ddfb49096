// Package inuse tells who uses a block device or a file of this host, so that a program can refuse
// to write to a disk that lives.
//
// The kernel has several places for it, and no one of them knows all: mounts are in
// /proc/self/mountinfo, swap areas in /proc/swaps, device mapper and md in the holders directories
// of sysfs, what a loop device stands on in its directory there, and whoever opened the device
// exclusively is only noticed by trying the same. A disk is also in use when one of its partitions
// is, a partition when the whole disk is, and a file or device when a loop device that stands on it
// is.
//
// What is asked about is an open descriptor and not a path, which may lead to another device a
// moment later.
package inuse

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Use is one use of a file or device.
type Use struct {
	Device string // what is used: the one asked for, a partition of it, or the disk it is on
	How    string // such as "mounted on /home", "swap", "held by md0"
}

func (u Use) String() string { return u.Device + " is " + u.How }

// Host is where to look. Its zero value is the running system.
type Host struct {
	Proc, Sys string
	// Identify tells block devices and regular files apart, whatever path leads to them: a block
	// device is its number, such as "8:1", and a file anything else. ok is false for all that is
	// neither.
	Identify func(path string) (id string, ok bool)
	// Backing asks a loop device what it stands on; ok is false if it does not say.
	Backing func(device string) (id string, ok bool)
	// Exclusive tries to open a device for itself alone and says whether somebody else has it so.
	Exclusive func(path string) (taken bool)
}

// Of lists the uses of the block device or regular file behind a descriptor, which may be one of
// O_PATH; none for anything else. The name is what the uses call it.
func Of(name string, fd int) ([]Use, error) {
	looking.Lock()
	defer looking.Unlock()
	return system.Of(name, descriptor(fd))
}

// Known is Of for a device that the caller has for itself alone: it does not try to have it.
func Known(name string, fd int) ([]Use, error) {
	looking.Lock()
	defer looking.Unlock()
	h := system
	h.Exclusive = func(string) bool { return false }
	return h.Of(name, descriptor(fd))
}

// looking is held while devices may be open for being looked at alone, for which Here would take
// them otherwise.
var looking sync.Mutex

var system = Host{
	Proc: "/proc", Sys: "/sys", Identify: identify, Backing: backing,
	Exclusive: taken,
}

func descriptor(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// Of is the function of the same name, for this host and what path leads to.
func (h Host) Of(name, path string) ([]Use, error) {
	id, ok := h.Identify(path)
	if !ok {
		return nil, nil
	}
	uses, err := h.uses(name, id, nil)
	if err != nil {
		return nil, fmt.Errorf("who uses %s: %w", name, err)
	}
	if len(uses) > 0 || !isDevice(id) || !h.Exclusive(path) {
		return uses, nil
	}
	if uses = h.openers(name, id); len(uses) == 0 {
		uses = append(uses, Use{name, "in use by the system"})
	}
	return uses, nil
}

// uses is what the tables of the system say of id. below is what stands on it already, which ends
// circles.
func (h Host) uses(name, id string, below []string) ([]Use, error) {
	family, err := h.family(name, id)
	if err != nil {
		return nil, err
	}
	var uses []Use
	for _, find := range []func(map[string]string) ([]Use, error){h.mounts, h.swaps, h.holders} {
		found, err := find(family)
		if err != nil {
			return nil, err
		}
		uses = append(uses, found...)
	}
	loops, err := h.loops()
	if err != nil {
		return nil, err
	}
	below = append(below, id)
	for _, l := range loops {
		of, ok := family[l.backing]
		if !ok || slices.Contains(below, l.id) {
			continue
		}
		above, err := h.uses(l.name, l.id, below)
		if err != nil {
			return nil, err
		}
		if len(above) == 0 && h.Exclusive(l.name) {
			above = []Use{{l.name, "in use by the system"}}
		}
		for _, u := range above {
			uses = append(uses, Use{of, "behind " + l.name + ", and " + u.String()})
		}
	}
	return uses, nil
}

// identify is Host.Identify of the running system.
func identify(path string) (string, bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		return deviceID(st.Rdev), true
	case unix.S_IFREG:
		return fileID(uint64(st.Dev), st.Ino), true
	}
	return "", false
}

func deviceID(number uint64) string {
	return fmt.Sprintf("%d:%d", unix.Major(number), unix.Minor(number))
}

func fileID(device, inode uint64) string { return fmt.Sprintf("file %d:%d", device, inode) }

// isDevice says whether an id is that of a block device.
func isDevice(id string) bool { return id != "" && id[0] >= '0' && id[0] <= '9' }

func taken(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err == nil {
		unix.Close(fd)
	}
	return errors.Is(err, unix.EBUSY)
}

// family is the device, its partitions, and the disk that it is a partition of: numbers with a name
// for each. A file has no relatives.
func (h Host) family(path, dev string) (map[string]string, error) {
	family := map[string]string{dev: path}
	if !isDevice(dev) {
		return family, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(h.Sys, "dev/block", dev))
	if errors.Is(err, fs.ErrNotExist) {
		return family, nil
	}
	if err != nil {
		return nil, err
	}
	add := func(dir string) {
		if num, err := wordIn(filepath.Join(dir, "dev")); err == nil && family[num] == "" {
			family[num] = "/dev/" + filepath.Base(dir)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		add(filepath.Dir(dir))
		return family, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		sub := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(sub, "partition")); err == nil {
			add(sub)
		}
	}
	return family, nil
}

// mounts reads mountinfo. Some file systems (btrfs) have a device number of their own there, so the
// source counts too.
func (h Host) mounts(family map[string]string) ([]Use, error) {
	var uses []Use
	err := eachLine(filepath.Join(h.Proc, "self/mountinfo"), func(fields []string) {
		dash := slices.Index(fields, "-")
		if len(fields) < 5 || dash < 0 || dash+2 >= len(fields) {
			return
		}
		name, ok := family[fields[2]]
		if !ok {
			name, ok = h.named(family, fields[dash+2])
		}
		if ok {
			uses = append(uses, Use{name, "mounted on " + unescape(fields[4])})
		}
	})
	return uses, err
}

func (h Host) swaps(family map[string]string) ([]Use, error) {
	var uses []Use
	err := eachLine(filepath.Join(h.Proc, "swaps"), func(fields []string) {
		if len(fields) == 0 {
			return
		}
		if name, ok := h.named(family, fields[0]); ok {
			uses = append(uses, Use{name, "swap"})
		}
	})
	return uses, err
}

// named finds which of a family a path in a table of the kernel means. Such paths are absolute;
// other words are none.
func (h Host) named(family map[string]string, word string) (name string, ok bool) {
	path := unescape(word)
	if !filepath.IsAbs(path) {
		return "", false
	}
	id, ok := h.Identify(path)
	if !ok {
		return "", false
	}
	name, ok = family[id]
	return name, ok
}

// holders lists the devices that are made of these ones, by the name a person knows.
func (h Host) holders(family map[string]string) ([]Use, error) {
	var uses []Use
	for dev, name := range family {
		if !isDevice(dev) {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(h.Sys, "dev/block", dev, "holders"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			holder := e.Name()
			if name, err := wordIn(filepath.Join(h.Sys, "block", holder, "dm/name")); err == nil {
				holder = "/dev/mapper/" + name
			}
			uses = append(uses, Use{name, "held by " + holder})
		}
	}
	slices.SortFunc(uses, func(a, b Use) int { return strings.Compare(a.String(), b.String()) })
	return uses, nil
}

// wordIn is what a file holds, without the blanks around it.
func wordIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// eachLine calls do with the words of each line. A file that is not there has no lines.
func eachLine(path string, do func(fields []string)) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		do(strings.Fields(lines.Text()))
	}
	return lines.Err()
}

// unescape undoes the octal escapes (\040) that the kernel writes for blanks in names.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1]) && isOctal(s[i+2]) && isOctal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }
