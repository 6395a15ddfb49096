package commands

import (
	"context"
	"hash"
	"strings"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/merge"
	"github.com/blksh/blksh/commands/session"
)

var mergeCommand = session.Command{
	Name: "merge", Group: session.GroupVerify,
	Args:  "[--all] file...",
	Short: "adds up what shards said with --json",
	Long: ` Example:
 merge 1.json 2.json 3.json 4.json
                       what became of a run that four shards made

 Each file is what a program wrote with --json of commands with --shard, or what
 several did, one behind the other. It says whether all shards came to their
 end, which are missing, which were done more than once and which files are of
 another run: another call, size of the image, range or number of shards. It
 adds up blocks, matches and what is damaged or differs, and joins the parts of
 sum --tree to the sum of the whole. Its status is that of the whole.

 A shard counts if its program ended with an exit status. One that was killed is
 run again, and both files may be given. See 'help shards'.
`,
	New: func(f *session.Flags) session.Run {
		var all bool
		var names []string
		f.Bool(&all, 0, "all", "list all ranges that are bad or differ, not only the first ones")
		f.Words(&names, "file", 1)
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			m := &merge.Merger{Hash: treeHash}
			for _, name := range names {
				if err := mergeFile(ctx, m, name); err != nil {
					return err
				}
			}
			return tellMerged(s, m, limitOf(all))
		}
	},
}

// mergeFile adds up a file.
func mergeFile(ctx context.Context, m *merge.Merger, name string) error {
	f, err := target.OpenInput(ctx, name)
	if err != nil {
		return event.FailFile(name, bare(err))
	}
	defer f.Close()
	return event.FailFile(name, bare(m.Read(ctx, name, f)))
}

// treeHash is what the tree of a sum is made with, nil if there is none of that name.
func treeHash(algorithm string) func() hash.Hash {
	name, ok := strings.CutPrefix(algorithm, event.TreeSum)
	for _, kind := range sums {
		if ok && kind.tree && kind.name == name {
			return kind.make
		}
	}
	return nil
}

// tellMerged tells of all runs, and fails as the gravest.
func tellMerged(s *session.Session, m *merge.Merger, limit int) error {
	list, err := m.Verdicts()
	if err != nil {
		return event.BadValuef("merge: %v", err)
	}
	worst := 0
	for _, idle := range m.Idle() {
		s.Emit(idle)
		worst = max(worst, idle.Status)
	}
	if len(list) == 0 {
		return event.Fail(event.NothingMerged{Status: worst})
	}
	var failed *event.MergeFailed
	for _, v := range list {
		v.Ranges = v.Ranges[:min(len(v.Ranges), limit)]
		if v.Status == 0 {
			s.Emit(v)
			continue
		}
		e := event.MergeFailed{Merged: v}
		s.Emit(e)
		if failed == nil || v.Status > failed.Status {
			failed = &e
		}
	}
	if failed == nil {
		return nil
	}
	return session.Shown(event.Fail(*failed))
}
