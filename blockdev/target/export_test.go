package target

import (
	"testing"

	"golang.org/x/sys/unix"
)

// NameAll has all files made with a name, as on file systems that cannot do without, until the test
// ends.
func NameAll(t *testing.T) {
	before := openUnnamed
	openUnnamed = func(string, uint32) (int, error) { return -1, unix.EOPNOTSUPP }
	t.Cleanup(func() { openUnnamed = before })
}
