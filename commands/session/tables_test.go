package session_test

import (
	"testing"

	"github.com/blksh/blksh/commands/dialect"
)

// TestTables builds the table of every dialect and has it check itself.
func TestTables(t *testing.T) {
	for _, name := range dialect.Names() {
		d, _ := dialect.Find(name)
		t.Run(d.Name, func(t *testing.T) {
			table := d.Table()
			if err := table.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}
