// Package inuse tells who uses a block device of this host, so that a program can refuse to write to a disk that lives.
//
// The kernel has several places for it, and no one of them knows all: mounts are in /proc/self/mountinfo, swap areas in
// /proc/swaps, device mapper and md in the holders directories of sysfs, and whoever opened the device exclusively is only
// noticed by trying the same. A disk is also in use when one of its partitions is, and a partition when the
// whole disk is.
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

	"golang.org/x/sys/unix"
)

// Use is one use of a device.
type Use struct {
	Device string // the device that is used: the one asked for, a partition of it, or the disk it is on
	How    string // such as "mounted on /home", "swap", "held by md0"
}

func (u Use) String() string { return u.Device + " is " + u.How }

// Host is where to look. Its zero value is the running system.
type Host struct {
	Proc, Sys string
	// Number finds the device number of a block device by its path; ok is false for anything else.
	Number func(path string) (number string, ok bool)
	// Exclusive tries to open a device for itself alone and says whether somebody else has it so.
	Exclusive func(path string) (taken bool)
}

// Of lists the uses of the block device at path; none for anything that is no block device.
func Of(path string) ([]Use, error) {
	return system.Of(path)
}

// Known is Of for a device that the caller has for itself alone: it does not try to have it.
func Known(path string) ([]Use, error) {
	h := system
	h.Exclusive = func(string) bool { return false }
	return h.Of(path)
}

var system = Host{Proc: "/proc", Sys: "/sys", Number: number, Exclusive: taken}

// Of is the function of the same name, for this host.
func (h Host) Of(path string) ([]Use, error) {
	dev, ok := h.Number(path)
	if !ok {
		return nil, nil
	}
	family, err := h.family(path, dev)
	if err != nil {
		return nil, fmt.Errorf("who uses %s: %w", path, err)
	}
	var uses []Use
	for _, find := range []func(map[string]string) ([]Use, error){h.mounts, h.swaps, h.holders} {
		found, err := find(family)
		if err != nil {
			return nil, fmt.Errorf("who uses %s: %w", path, err)
		}
		uses = append(uses, found...)
	}
	if len(uses) > 0 || !h.Exclusive(path) {
		return uses, nil
	}
	if uses = h.openers(path, dev); len(uses) == 0 {
		uses = append(uses, Use{path, "in use by the system"})
	}
	return uses, nil
}

func number(path string) (string, bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", false
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), true
}

func taken(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err == nil {
		unix.Close(fd)
	}
	return errors.Is(err, unix.EBUSY)
}

// family is the device, its partitions, and the disk that it is a partition of: numbers with a name for each.
func (h Host) family(path, dev string) (map[string]string, error) {
	family := map[string]string{dev: path}
	dir, err := filepath.EvalSymlinks(filepath.Join(h.Sys, "dev/block", dev))
	if errors.Is(err, fs.ErrNotExist) {
		return family, nil
	}
	if err != nil {
		return nil, err
	}
	add := func(dir string) {
		if text, err := os.ReadFile(filepath.Join(dir, "dev")); err == nil {
			if num := strings.TrimSpace(string(text)); family[num] == "" {
				family[num] = "/dev/" + filepath.Base(dir)
			}
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

// mounts reads mountinfo. Some file systems (btrfs) have a device number of their own there, so the source counts too.
func (h Host) mounts(family map[string]string) ([]Use, error) {
	var uses []Use
	err := eachLine(filepath.Join(h.Proc, "self/mountinfo"), func(fields []string) {
		dash := slices.Index(fields, "-")
		if len(fields) < 5 || dash < 0 || dash+2 >= len(fields) {
			return
		}
		name, ok := family[fields[2]]
		if !ok {
			if dev, isDev := h.Number(unescape(fields[dash+2])); isDev {
				name, ok = family[dev]
			}
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
		dev, ok := h.Number(unescape(fields[0]))
		if name := family[dev]; ok && name != "" {
			uses = append(uses, Use{name, "swap"})
		}
	})
	return uses, err
}

// holders lists the devices that are made of these ones, by the name a person knows.
func (h Host) holders(family map[string]string) ([]Use, error) {
	var uses []Use
	for dev, name := range family {
		entries, err := os.ReadDir(filepath.Join(h.Sys, "dev/block", dev, "holders"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			holder := e.Name()
			if text, err := os.ReadFile(filepath.Join(h.Sys, "block", holder, "dm/name")); err == nil {
				holder = "/dev/mapper/" + strings.TrimSpace(string(text))
			}
			uses = append(uses, Use{name, "held by " + holder})
		}
	}
	slices.SortFunc(uses, func(a, b Use) int { return strings.Compare(a.String(), b.String()) })
	return uses, nil
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
