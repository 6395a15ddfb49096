package session

import "github.com/blksh/blksh/blockdev/driver"

// pageSize is what buffers are aligned to: enough for O_DIRECT on every device.
const pageSize = 4096

// misalignment is how far behind a page buffers begin with -m, as in qemu-io.
const misalignment = 16

// Buffer is n bytes of memory at the start of a page (or behind it, with -m). Its content is
// arbitrary. A command that gives it back by Recycle saves the next one the work of getting it.
func (s *Session) Buffer(n int) []byte {
	if n <= len(s.spare) {
		b := s.spare[:n]
		s.spare = nil
		return b
	}
	skip := 0
	if s.Misalign {
		skip = misalignment
	}
	return driver.Aligned(int64(n+misalignment), pageSize)[skip : skip+n]
}

// Recycle takes a buffer back.
func (s *Session) Recycle(b []byte) {
	if cap(b) > cap(s.spare) {
		s.spare = b[:cap(b)]
	}
}
