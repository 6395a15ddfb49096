package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// shardWords says which part of what is done.
func shardWords(e event.Shard) string {
	said := fmt.Sprintf("shard %d of %d", e.K, e.N)
	if e.Source != "" {
		said += " (" + e.Source + ")"
	}
	if e.Job != "" {
		said += " of " + e.Job
	}
	if e.File != "" {
		said += " in " + e.File
	}
	of := fmt.Sprintf("of %s at offset %d, by blocks of %s", units.Exact(e.Whole.Len), e.Whole.Off,
		units.Size(e.Block))
	if e.Len == 0 {
		return said + ": nothing is left for it " + of
	}
	return fmt.Sprintf("%s: %s at offset %d, %s", said, units.Exact(e.Len), e.Off, of)
}
