package target

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Destination is the path that a name leads to, also where nothing is yet: links are followed.
func Destination(name string) string { return destination(name) }

// Rename gives a finished file the name to, in one step and durably, by the rule. A file that had
// that name keeps it after an error, and its owner and permissions are those of the new one.
func Rename(from, to string, r Rule) error {
	f, err := os.OpenFile(from, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close() // it was synced
	m := &made{path: destination(to), temp: from, durable: true}
	old, err := r.open(m.path)
	switch {
	case errors.Is(err, unix.ENOENT):
	case err != nil:
		return pathError(to, err)
	default:
		defer old.end()
		if err := m.succeed(f, old); err != nil {
			return err
		}
		defer m.over.Close()
	}
	return m.publish(f)
}

// succeed has a file take the place of another one, with its owner and permissions.
func (m *made) succeed(f *os.File, old *File) error {
	p, _, err := old.replaceable()
	if err != nil {
		return err
	}
	if err := inherit(f, &p.Stat); err != nil {
		p.Close()
		return err
	}
	m.over = p
	return nil
}

// CheckRename says why Rename would fail for that name.
func CheckRename(to string, r Rule) error {
	old, err := r.open(destination(to))
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return pathError(to, err)
	}
	p, _, err := old.replaceable()
	if err == nil {
		p.Close()
	}
	return errors.Join(pathError(to, err), old.end())
}

// replaceable is the file as it stands under its only name, which is path.
func (f *File) replaceable() (p *Pin, path string, err error) {
	if !f.Regular {
		return nil, "", unix.EEXIST
	}
	if p, err = Find(descriptorPath(int(f.Fd()))); err != nil {
		return nil, "", err
	}
	if path = p.place(); path == "" {
		p.Close()
		return nil, "", unix.EMLINK
	}
	return p, path, nil
}
