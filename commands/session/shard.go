package session

import (
	"os"
	"slices"
	"strings"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// Shard is the part of its work that a command is to do, and what it was asked for besides.
type Shard struct {
	args.Shard
	// Asked is the command as it was called, but for those flags that are each shard's own. Shards
	// of one run were asked for the same.
	Asked string
}

// Shard declares --shard. Own are the long names of flags that may be others for each shard: files
// of its own, and how much is told.
func (f *Flags) Shard(p *Shard, own ...string) {
	f.own = append(own, "shard", "report")
	f.Flag(0, "shard", args.ShardValue, "only part K of N, as 'help shards' says: K/N",
		func(word string) (err error) {
			if p.Shard, err = args.ParseShard(word, os.LookupEnv); err != nil {
				return event.BadValuef("--shard %s: %v", word, err)
			}
			return nil
		})
	f.Check("shard", func() error {
		p.Asked = f.asked()
		return nil
	})
}

// note keeps a flag that was given for asked.
func (f *Flags) note(o *option, word string) {
	if f.own == nil || slices.Contains(f.own, o.long) {
		return
	}
	given := o.name()
	if o.value.Name != "" {
		given += " " + word
	}
	f.given = append(f.given, given)
}

// Again is the command as it was typed, with another value of a flag that has a long name only, and
// with further flags before the other words.
func (f *Flags) Again(long, value string, further ...string) string {
	words := []string{f.command, "--" + long, value}
	for _, word := range further {
		words = append(words, Quoted(word))
	}
	for i := 0; i < len(f.words); i++ {
		word := f.words[i]
		if word == "--"+long {
			i++ // its value
		} else if !strings.HasPrefix(word, "--"+long+"=") {
			words = append(words, Quoted(word))
		}
	}
	return strings.Join(words, " ")
}

// Quoted is a word as a line of the shell's own dialect has it.
func Quoted(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\n\"'\\#$;{}") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// asked is the command with its flags, sorted, and its operands.
func (f *Flags) asked() string {
	slices.Sort(f.given)
	words := append([]string{f.command}, f.given...)
	return strings.Join(append(words, f.operandWords...), " ")
}
