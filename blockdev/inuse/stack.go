package inuse

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loop is a loop device with what it stands on.
type loop struct{ name, id, backing string }

// loops lists the loop devices of this host that stand on something.
func (h Host) loops() ([]loop, error) {
	block := filepath.Join(h.Sys, "block")
	entries, err := os.ReadDir(block)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []loop
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "loop") {
			continue
		}
		dir := block + "/" + e.Name()
		if err := unix.Access(dir+"/loop", unix.F_OK); err != nil {
			continue // not set up
		}
		l := loop{name: "/dev/" + e.Name()}
		l.id, err = wordIn(dir + "/dev")
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		if l.backing, err = h.backing(l.name, dir); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// backing is the id of what a loop device stands on, "" if it cannot be found out. The device
// itself knows best: the path in sysfs may be that of another mount namespace, or of a file that
// has another name by now.
func (h Host) backing(device, dir string) (string, error) {
	if id, ok := h.Backing(device); ok {
		return id, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "loop/backing_file"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	id, _ := h.Identify(strings.TrimSuffix(string(text), "\n"))
	return id, nil
}

// backing is Host.Backing of the running system.
func backing(device string) (string, bool) {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	info, err := unix.IoctlLoopGetStatus64(fd)
	switch {
	case err != nil:
		return "", false
	case info.Rdevice != 0:
		return deviceID(info.Rdevice), true
	}
	return fileID(info.Device, info.Inode), true
}

// Here says whether this program has the file or device behind fd open besides, by whatever name,
// or one that stands on it or that it stands on: a loop device and its file, a disk and its
// partitions, what device mapper makes of others.
func Here(fd int) (bool, error) {
	looking.Lock()
	defer looking.Unlock()
	return system.here(descriptor(fd))
}

func (h Host) here(path string) (bool, error) {
	id, ok := h.Identify(path)
	if !ok {
		return false, nil
	}
	related, err := h.related(id)
	if err != nil {
		return false, err
	}
	descriptors, err := os.ReadDir(filepath.Join(h.Proc, "self/fd"))
	if err != nil {
		return false, fmt.Errorf("what is open here: %w", err)
	}
	for _, d := range descriptors {
		other := filepath.Join(h.Proc, "self/fd", d.Name())
		if id, ok := h.Identify(other); ok && related[id] && other != path {
			return true, nil
		}
	}
	return false, nil
}

// related is id with all that it stands on and all that stands on it.
func (h Host) related(id string) (map[string]bool, error) {
	loops, err := h.loops()
	if err != nil {
		return nil, err
	}
	all := map[string]bool{id: true}
	for _, next := range []func(loops []loop, id string) []string{h.below, h.above} {
		for todo := []string{id}; len(todo) > 0; {
			for _, more := range next(loops, todo[0]) {
				if !all[more] {
					all[more] = true
					todo = append(todo, more)
				}
			}
			todo = todo[1:]
		}
	}
	return all, nil
}

// below is what id stands on immediately.
func (h Host) below(loops []loop, id string) []string {
	var list []string
	for _, l := range loops {
		if l.id == id {
			list = append(list, l.backing)
		}
	}
	if dir, err := filepath.EvalSymlinks(filepath.Join(h.Sys, "dev/block", id)); isDevice(id) &&
		err == nil {
		if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
			list = append(list, numbers(filepath.Join(dir, "../dev"))...)
		}
		list = append(list, numbers(filepath.Join(dir, "slaves/*/dev"))...)
	}
	return list
}

// above is what stands on id immediately.
func (h Host) above(loops []loop, id string) []string {
	var list []string
	for _, l := range loops {
		if l.backing == id {
			list = append(list, l.id)
		}
	}
	if !isDevice(id) {
		return list
	}
	dir := filepath.Join(h.Sys, "dev/block", id)
	list = append(list, numbers(filepath.Join(dir, "holders/*/dev"))...)
	partitions, _ := filepath.Glob(filepath.Join(dir, "*/partition")) // the pattern is well-formed
	for _, p := range partitions {
		list = append(list, numbers(filepath.Join(filepath.Dir(p), "dev"))...)
	}
	return list
}

// numbers reads the device numbers in the files of a pattern.
func numbers(pattern string) []string {
	files, _ := filepath.Glob(pattern) // the pattern is well-formed
	var list []string
	for _, f := range files {
		if number, err := wordIn(f); err == nil {
			list = append(list, number)
		}
	}
	return list
}
