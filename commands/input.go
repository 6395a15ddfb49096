package commands

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/session"
)

// source is the file of write -s: its bytes, and from its end on again from its start. A regular
// file is read where needed. Of anything else (a pipe, a device) the first bytes are kept, since it
// can be read only once.
type source struct {
	file *target.Input
	size int64 // 0 while it is not known
	kept []byte
	read int64 // bytes read so far, of what is no regular file
}

// maxKept is how much of a pipe is remembered for being repeated, in bytes.
const maxKept = 64 << 20

var (
	errEmptySource = errors.New("file is empty")
	errLongSource  = errors.New(
		"ends before the length is reached and is too long to be repeated, as it can be read only once")
)

// openSource opens a file to write from; "-" is stdin, which must be there. Its errors are bare:
// the caller knows the name.
func openSource(ctx context.Context, name string, stdin *os.File) (*source, error) {
	if name == "-" {
		return &source{file: target.InputOf(ctx, stdin)}, nil
	}
	f, err := target.OpenInput(ctx, name)
	if err != nil {
		return nil, bare(err)
	}
	return &source{file: f}, nil
}

// length is the length of a regular file, -1 of anything else.
func (s *source) length() int64 {
	if info, err := s.file.Stat(); err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return -1
}

// toEnd reads what comes next, once, and gives io.EOF at the end.
func (s *source) toEnd(p []byte) (int, error) {
	n, err := io.ReadFull(s.file, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// prepare finds out whether there is anything to read.
func (s *source) prepare(n int64) error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return syscall.EISDIR
	}
	if info.Mode().IsRegular() {
		s.size = info.Size()
		if s.size == 0 || n == 0 {
			return errEmptySource
		}
		return nil
	}
	first := make([]byte, min(n, 4096))
	_, err = s.some(first, 0)
	return err
}

// bare takes the error number out of an error that tells of a path, unless a person ended what was
// waited for.
func bare(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && !errors.Is(err, session.ErrInterrupted) {
		return no
	}
	return err
}

// Close closes the file.
func (s *source) Close() { s.file.Close() }

// fill reads what belongs at offset at of the data. Offsets grow from call to call without gaps.
func (s *source) fill(p []byte, at int64) error {
	for len(p) > 0 {
		n, err := s.some(p, at)
		if err != nil {
			return bare(err)
		}
		p, at = p[n:], at+int64(n)
	}
	return nil
}

func (s *source) some(p []byte, at int64) (int, error) {
	switch {
	case s.size > 0 && s.kept != nil:
		return copy(p, s.kept[at%s.size:]), nil
	case s.size > 0:
		n, err := s.file.ReadAt(p[:min(int64(len(p)), s.size-at%s.size)], at%s.size)
		if n > 0 {
			err = nil
		}
		return n, err
	}
	if at < s.read { // what prepare has read
		return copy(p, s.kept[at:]), nil
	}
	n, err := s.file.Read(p)
	s.kept = append(s.kept, p[:max(0, min(n, maxKept-len(s.kept)))]...)
	s.read += int64(n)
	if err != io.EOF {
		return n, err
	}
	switch {
	case s.read == 0:
		return 0, errEmptySource
	case s.read > int64(len(s.kept)):
		return 0, errLongSource
	}
	s.size = s.read
	return n, nil
}
