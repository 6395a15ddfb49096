package commands

import (
	"context"
	"fmt"
	"strings"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

var verifyRead = session.Command{
	Name: "verify_read", Needs: session.File, Reports: true,
	Group:     session.GroupVerify,
	Elsewhere: []string{"scan", "verify: read -P or verify_read"},
	Args:      "[-t type] [--exact] [--content] [--all] [--draw] [--svg file] [--dump dir] [--journal file] [--shard k/n] [off [len]]",
	Short:     "checks blocks that tell whether they are intact, and says what happened to those that are not",
	Long: ` Example:
 verify_read                     what verify_write or fio wrote: each header
                                 says what its block must be
 verify_read --all --dump bad    all bad ranges, and their blocks as files
 verify_read -t crc32c -b 8k --order random --exact
                                 each block must be the one that this very job
                                 wrote there, down to its seed and number

 It reads 256 KiB at once, or what -b or --merge say, or where the job is known
 the requests of the job, and more where it has to look for blocks.

 It never writes. It fails if any block is damaged, or if there was no block to
 verify at all.

 Types without a checksum, meta and pattern_hdr, need to know what the data are:
 content is made again from the seed in the header, or is what -P says. Where
 neither tells, only headers are checked, and the verdict says so.

 With --journal, what was flushed must be there, and what was under way may be
 old or new; with --acknowledged only the program died and not the machine, so
 that all writes that had ended must be there as well. The journal says what
 the blocks are: what this line says of them counts for nothing.

 With --shard several runs share the work, see 'help shards'.
`,
	More: classesHelp,
	New: func(f *session.Flags) session.Run {
		var c scope
		var exact, content, acknowledged bool
		var journal, state string
		b := &blockJob{op: "verify_read", options: fio.DefaultOptions()}
		b.options.Verify, b.options.Fio = fio.TypeAny, fio.FioAny
		b.flags(f)
		b.tell.flags(f)
		b.shardFlag(f, "draw", "svg", "force")
		f.Bool(&exact, 0, "exact", "they must be those of the very job that the flags tell, of verify_write without them")
		f.Bool(&content, 0, "content", "make the content of all blocks again and compare it")
		f.Bool(&b.options.Holes, 0, "holes", "blocks of zeroes were never written and are fine")
		f.Bool(&b.options.StopAtFirst, 0, "fatal", "stop at the first bad block")
		f.Text(&journal, 0, "journal", args.File,
			"what verify_write noted there says what must be there")
		f.Bool(&acknowledged, 0, "acknowledged",
			"with --journal: writes count that no flush followed")
		f.Text(&state, 0, "state", args.File,
			"as --exact, for a job that fio's state file tells of")
		b.drawing.declare(f, "what is damaged")
		c.operands(f)
		f.Conflict("journal-state", "--journal and --state do not go together",
			func() bool { return journal != "" && state != "" })
		f.Conflict("acknowledged-journal", "--acknowledged requires --journal to be specified",
			func() bool { return acknowledged && journal == "" })
		f.Check("journal-range", func() error {
			if journal != "" && f.Operands() > 0 {
				return event.Conflictf("--journal says which range it is about, so none can be given")
			}
			return nil
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) (err error) {
			b.image, b.options.Offset, b.options.Size = im, c.Off, c.Len
			b.scan = !exact
			if (exact || state != "") && b.options.Verify == fio.TypeAny {
				b.options.Verify = usualType
			}
			switch {
			case journal != "":
				err = b.readJournal(ctx, journal, acknowledged)
			case state != "":
				err = b.readState(ctx, state)
			}
			if err != nil {
				return err
			}
			if some, err := b.share(ctx, s); err != nil || !some {
				return err
			}
			if content {
				b.options.Content = fio.ContentOn
			}
			for _, n := range b.notes {
				s.Emit(event.JobNote{Note: n})
			}
			return b.verifyDrawn(ctx, s)
		}
	},
}

// classesHelp lists what may have happened to a block.
func classesHelp() string {
	var b strings.Builder
	b.WriteString(" What may have happened to a block:\n\n")
	for _, c := range verify.Classes() {
		fmt.Fprintf(&b, " %-15s  %s\n", c, c.Phrase())
	}
	return b.String()
}

// readJournal makes the job the one of a journal.
func (b *blockJob) readJournal(ctx context.Context, name string, acknowledged bool) error {
	f, err := target.OpenInput(ctx, name)
	if err != nil {
		return event.FailFile(name, bare(err))
	}
	defer f.Close()
	journal, err := job.ReadJournal(ctx, f)
	if err != nil {
		return event.FailFile(name, err)
	}
	b.options = journal.Options(b.options)
	b.history, b.scan = journal.History(acknowledged), false
	return nil
}

// longestState bounds the state files that are read, in bytes.
const longestState = 64 << 20

// readState makes the job one that ended where a state file says.
func (b *blockJob) readState(ctx context.Context, name string) error {
	data, err := target.ReadInput(ctx, name, longestState)
	if err != nil {
		return event.FailFile(name, bare(err))
	}
	state, err := fio.ReadState(data)
	if err != nil {
		return event.FailFile(name, err)
	}
	b.history, b.scan = job.StateHistory(state), false
	return nil
}
