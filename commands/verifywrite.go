package commands

import (
	"context"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/fio"
)

// usualType is the checksum of blocks if nobody says which.
const usualType = "crc32c"

var verifyWrite = session.Command{
	Name: "verify_write", Needs: session.File | session.Write, Reports: true,
	Group:     session.GroupVerify,
	Elsewhere: []string{"badblocks"},
	Args:      "[-t type] [-b size] [--fio version] [--check] [--shard k/n] [off [len]]",
	Short:     "fills a range with blocks that tell whether they are intact",
	Long: ` Example:
 verify_write                    the whole image, in 4 KiB blocks with a CRC-32C
 verify_read                     later, or elsewhere: what became of them
 verify_write -t sha256 -b 64k --order random 0..1G
                                 as fio --verify=sha256 --bs=64k --rw=randwrite

 The blocks are those of fio, byte for byte: fio --verify_only with the same
 options finds them right, and verify_read finds right what fio wrote. They are
 those of fio 3.42 unless --fio names another: 3.33 is the one of Debian 12, and
 fio --version tells which there is.

 Each block has its offset, a seed and a number in its header, so that blocks
 that are intact in themselves are found as well if they are old or lie in the
 wrong place.

 Requests are those of the job: one a block, -d of them under way. With --merge
 neighbours are sent as one, which is faster and no test of small requests.

 The usual checksum is crc32c. The seed is 137 if none is given, as in fio.
 After a crash, verify_read can tell from the file of --journal what must be
 there; a job that was stopped goes on with it when --resume says where. A file
 that is there is replaced only if it is a journal, or a state. At the end the
 image is flushed, unless -o end_fsync=0 is given. An image waits for the disk
 at each write unless it was opened with -t writeback or -t none.

 With --shard several runs write what one would, see 'help shards'.
`,
	New: func(f *session.Flags) session.Run {
		var c scope
		var check bool
		var journal, state string
		b := &blockJob{op: "verify_write", options: fio.DefaultOptions()}
		b.options.Verify, b.options.EndFsync = usualType, true
		b.flags(f)
		b.tell.flags(f)
		b.shardFlag(f, "check")
		f.Bool(&check, 0, "check", "read everything back afterwards, as verify_read does")
		f.Text(&journal, 0, "journal", args.File,
			"note there what was begun, written and flushed")
		f.Text(&state, 0, "state", args.File,
			"write there how far it came, as verify_state_save")
		c.operands(f)
		f.Conflict("any", "-t any is for reading: what is written has one type, such as "+usualType,
			func() bool {
				return b.options.Verify == fio.TypeAny
			})
		f.Conflict("reads", "-o rw: verify_write takes write, randwrite, rw and randrw",
			func() bool {
				return b.options.Direction == fio.Read || b.options.Direction == fio.RandRead
			})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if c.all(im) {
				if err := s.Overwrite(ctx, im, "verify_write", c.Off, c.Len); err != nil {
					return err
				}
			}
			b.image, b.options.Offset, b.options.Size = im, c.Off, c.Len
			if some, err := b.share(ctx, s); err != nil || !some {
				return err
			}
			if err := b.writeNoted(ctx, s, journal, state); err != nil || !check {
				return err
			}
			b.resume.from, b.notes = 0, nil
			return b.verify(ctx, s)
		}
	},
}

// writeNoted writes the blocks with a journal and a state file, if they are named.
func (b *blockJob) writeNoted(ctx context.Context, s *session.Session, journal,
	state string,
) (err error) {
	if journal != "" {
		if err := b.openJournal(ctx, s, journal); err != nil {
			return err
		}
		defer func() {
			err = s.Also(err, b.journal.end())
			b.journal, b.before = nil, nil
		}()
	}
	var saved *target.File
	if state != "" {
		if saved, err = openState(ctx, s, state); err != nil {
			return err
		}
		defer saved.Close() // which does nothing to what was saved
	}
	reached, err := b.write(ctx, s)
	if reached == nil || state == "" {
		return err
	}
	return s.Also(err, saveState(reached, saved))
}
