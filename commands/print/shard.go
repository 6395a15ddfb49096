package print

import (
	"fmt"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
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
	of := fmt.Sprintf("of %s at offset %d, by blocks of %s", sizeWords(e.Whole.Len), e.Whole.Off,
		args.Size(float64(e.Block)))
	if e.Len == 0 {
		return said + ": nothing is left for it " + of
	}
	return fmt.Sprintf("%s: %s at offset %d, %s", said, sizeWords(e.Len), e.Off, of)
}
