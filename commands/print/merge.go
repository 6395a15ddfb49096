package print

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// mergedName says which run is meant.
func mergedName(e *event.Merged) string {
	said := e.Op
	if e.Job != "" {
		said += " of " + e.Job
	}
	if e.File != "" {
		said += " in " + e.File
	}
	return said + " by " + units.Count(e.N, "shard")
}

// mergeWords says in a sentence what is wrong with a run, or that nothing is.
func mergeWords(e *event.Merged) string {
	name := mergedName(e)
	switch {
	case e.MissingCount > 0:
		return fmt.Sprintf("%s: incomplete: %s missing", name,
			units.Count(e.MissingCount, "is", "are"))
	case e.Bad > 0:
		return fmt.Sprintf("%s: damaged: %d of %s", name, e.Bad,
			units.Count(e.Blocks, "block"))
	case e.Wrong > 0 && e.Op == "iszero":
		return name + ": not zero"
	case e.Wrong > 0:
		return name + ": different"
	case e.Op == "find" && e.Matches == 0:
		return name + ": not found"
	case e.Verified && e.Blocks == 0 && e.Others == 0:
		return name + ": nothing was verified"
	case len(e.Overlaps) > 0:
		return fmt.Sprintf("%s: %s done more than once", name,
			units.Count(len(e.Overlaps), "was", "were"))
	case len(e.Foreign) > 0:
		return fmt.Sprintf("%s: %s of another run", name,
			units.Count(len(e.Foreign), "file is", "files are"))
	case e.Status != 0:
		return fmt.Sprintf("%s: complete, and one ended with status %d", name, e.Status)
	}
	return name + ": complete"
}

// merged tells of a run.
func (n *Native) merged(e *event.Merged) {
	n.say("%s: %s at offset %d\n", mergeWords(e), units.Exact(e.Len), e.Off)
	for _, m := range e.Missing {
		n.missing(m)
	}
	if more := e.MissingCount - int64(len(e.Missing)); more > 0 {
		n.say("  and %s more\n", units.Count(more, "shard"))
	}
	for _, o := range e.Overlaps {
		alike := ""
		if o.Differ {
			alike = ", with other results"
		}
		n.say("  shard %d was done more than once%s: %s\n", o.K, alike, strings.Join(o.Files, ", "))
	}
	for _, f := range e.Foreign {
		n.say("  %s is of another run: %s is %s, not %s\n", f.Name, foreignField(f.Field),
			f.Theirs, f.Ours)
	}
	n.mergedFigures(e)
	for _, r := range e.Ranges {
		what := units.Exact(r.Len)
		if r.Class != "" {
			what += " " + r.Class
		}
		n.say("  %s: %s\n", placeWords(r.Off), what)
	}
	if more := e.RangeCount - int64(len(e.Ranges)); more > 0 {
		n.say("  and %s more\n", units.Count(more, "range"))
	}
	switch {
	case len(e.Sum) == 0 && e.Op == "sum" && e.Complete && e.Len > 0 && !e.Disputed():
		n.say("  there is no sum of all: only those of sum --tree can be joined\n")
	case len(e.Sum) > 0:
		n.say("%x  %s of %s at offset %d\n", []byte(e.Sum), e.Algorithm, units.Exact(e.Len), e.Off)
	}
}

// missing tells of a shard that nobody has done.
func (n *Native) missing(m event.MergeMissing) {
	n.say("  shard %d is missing: %s at offset %d", m.K, units.Exact(m.Len), m.Off)
	if m.Name != "" {
		n.say(": %s: %s", m.Name, m.Why)
	}
	n.say("\n")
}

// foreignField is what tells runs apart.
func foreignField(name string) string {
	switch name {
	case "asked":
		return "the call"
	case "image_size":
		return "the size of the image"
	case "shards":
		return "the number of shards"
	case "whole_offset":
		return "the offset of the range"
	case "whole_length":
		return "the length of the range"
	case "block":
		return "the size of blocks"
	case "digest":
		return "what the blocks are made from"
	}
	return name
}

// mergedFigures tells what the shards counted.
func (n *Native) mergedFigures(e *event.Merged) {
	if e.Verified {
		n.say("  %s verified, %s", units.Count(e.Blocks, "block"), units.Exact(e.Checked))
		if e.Bad > 0 {
			n.say("; %s bad: %s", units.Count(e.Bad, "is", "are"), mergedClasses(e.Classes))
		}
		n.say("\n")
	}
	matches := units.Count(e.Matches, "match", "matches")
	if e.More {
		matches += ", and perhaps more"
	}
	for _, f := range []struct {
		count int64
		said  string
	}{
		{e.Written, units.Exact(e.Written) + " written"},
		{e.Matches, matches},
		{e.Wrong, units.Bytes(e.Wrong) + " in " +
			units.Count(e.RangeCount, "range")},
		{e.Unreadable, units.Exact(e.Unreadable) + " could not be read"},
		{e.Others, units.Size(e.Others) + " are those of other jobs"},
	} {
		if f.count > 0 {
			n.say("  %s\n", f.said)
		}
	}
}

// mergedClasses counts bad blocks by what happened to them.
func mergedClasses(classes map[string]int64) string {
	var said []string
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		said = append(said, fmt.Sprintf("%d %s", classes[name], name))
	}
	return strings.Join(said, ", ")
}

// idleWords says why a program began no shard.
func idleWords(e event.MergeIdle) string {
	said := e.Name + ": no shard was begun"
	if e.Status >= 0 {
		said += fmt.Sprintf(", and the status is %d", e.Status)
	}
	if e.Why != "" {
		said += ": " + e.Why
	}
	return said
}
