package main

import (
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/commands/event"
)

// warnOfInput warns a person who meant to write what comes from standard input, and wrote a
// pattern.
func (p *program) warnOfInput() {
	if p.session.Stdin != nil && p.session.Filled() && unread(p.session.Stdin) {
		p.printer.Print(event.Where{}, event.InputIgnored{})
	}
}

// unread says whether bytes wait in a pipe, or follow where a file was read to.
func unread(f *os.File) bool {
	info, err := f.Stat()
	switch {
	case err != nil:
		return false
	case info.Mode().IsRegular():
		at, err := f.Seek(0, io.SeekCurrent)
		return err == nil && at < info.Size()
	case info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
		return err == nil && n > 0
	}
	return false
}
