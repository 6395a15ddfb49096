package repl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/target"
)

const (
	// remembered is how many lines a history gives back.
	remembered = 1000
	// historyTail is how many bytes at the end of the file are looked at.
	historyTail = 1 << 20
	// longestRemembered is the longest line that is stored, in bytes.
	longestRemembered = 4096
)

// History is the lines that were typed in this and in earlier runs: a file of one line each that is
// appended to, so that several shells may share it.
type History struct {
	path  string
	lines []string
}

// HistoryPath is where the history belongs, "" if it has no place.
func HistoryPath(getenv func(string) string) string { return StatePath(getenv, "history") }

// StatePath is where a file belongs that the shell keeps: in the folder blksh of XDG_STATE_HOME, or
// of .local/state in the home directory. It is "" if HOME is not set, or if it is needed and not
// there: whoever has none wants nothing stored.
func StatePath(getenv func(string) string, name string) string {
	home, state := getenv("HOME"), getenv("XDG_STATE_HOME")
	if home == "" {
		return ""
	}
	if !filepath.IsAbs(state) { // the XDG specification ignores relative ones
		if info, err := os.Stat(home); err != nil || !info.IsDir() {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "blksh", name)
}

// OpenHistory reads the history at path, whose last lines it gives back. A path of "" remembers
// nothing beyond this run. With an error the history works, but for what could not be read.
func OpenHistory(path string) (*History, error) {
	h := &History{path: path}
	if path == "" {
		return h, nil
	}
	if err := h.read(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, fmt.Errorf("history: %w", err)
	}
	return h, nil
}

// read reads the file, and makes it shorter if it has become long.
func (h *History) read() error {
	f, err := openHistory(h.path, os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	stored, whole, err := readTail(f)
	if err != nil {
		return err
	}
	h.lines = stored[max(0, len(stored)-remembered):]
	if !whole || len(stored) > 2*remembered {
		return h.rewrite()
	}
	return nil
}

// openHistory opens a regular file that nobody else may read, and makes it if flags say so.
// Anything else, such as a device or a pipe that would block, is an error and is not opened.
func openHistory(path string, flags int) (*os.File, error) {
	pin, err := target.Find(path)
	if errors.Is(err, unix.ENOENT) && flags&os.O_CREATE != 0 {
		return os.OpenFile(path, flags|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer pin.Close()
	if pin.Kind() != unix.S_IFREG {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	fd, err := pin.Open(flags &^ os.O_CREATE)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if pin.Stat.Mode&0o777 != 0o600 {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// readTail reads the lines in the last bytes of f. whole: there are no others.
func readTail(f *os.File) (lines []string, whole bool, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false, err
	}
	from := max(0, size-historyTail)
	text, err := io.ReadAll(io.NewSectionReader(f, from, historyTail))
	if err != nil {
		return nil, false, err
	}
	if from > 0 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); storable(line) {
			lines = append(lines, line)
		}
	}
	return lines, from == 0, nil
}

// storable leaves out what would not come back as it was typed.
func storable(line string) bool {
	return strings.Trim(line, blanks) != "" && len(line) <= longestRemembered && printable(line)
}

// Lines are the lines, oldest first.
func (h *History) Lines() []string { return h.lines }

// Add stores a line, unless it is blank or that of before.
func (h *History) Add(line string) error {
	if !storable(line) || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return nil
	}
	h.lines = append(h.lines, line)
	if h.path == "" {
		return nil
	}
	if err := h.store(line); err != nil {
		h.path = "" // once told is enough
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

func (h *History) store(line string) error {
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return err
	}
	f, err := openHistory(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// rewrite replaces the file by one with only the lines that are given back.
func (h *History) rewrite() error {
	f, err := os.CreateTemp(filepath.Dir(h.path), "history.*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
