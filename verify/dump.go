package verify

import (
	"fmt"
	"os"
)

// DumpDir makes a Hooks.Dump that writes files called NAME.OFFSET.KIND into a
// directory, where kind is received, expected or diff (the exclusive or of
// both), of at most limit blocks.
func DumpDir(dir *os.Root, name string, limit int) func(kind string, off int64, data []byte) error {
	last, count := int64(-1), 0
	return func(kind string, off int64, data []byte) error {
		if off != last {
			last = off
			count++
		}
		if count > limit {
			return nil
		}
		file := fmt.Sprintf("%s.%d.%s", name, off, kind)
		if err := dir.WriteFile(file, data, 0o644); err != nil {
			return fmt.Errorf("dump block at %d: %w", off, err)
		}
		return nil
	}
}
