package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

// ownFlags are those of verifications that each shard may have of its own.
var ownFlags = []string{"journal", "state", "dump", "resume", "all"}

// shardFlag declares --shard; own are further flags that each shard may have of its own.
func (b *blockJob) shardFlag(f *session.Flags, own ...string) {
	f.Shard(&b.shard, append(own, ownFlags...)...)
}

// share makes the job the part of it that --shard says, and is false if nothing is left for it.
// What a job writes is cut between its blocks, of which numbers and contents are those of the whole
// job. A scan does not know them, see cutScan.
func (b *blockJob) share(ctx context.Context, s *session.Session) (some bool, err error) {
	if b.shard.N == 0 {
		return true, nil
	}
	b.settleFile(s)
	o := &b.options
	e := event.Shard{
		Op: b.op, Block: blockOf(o), Size: b.image.Dev.Size(), Job: b.section, File: b.file,
		Digest: digest(o.Workload),
	}
	if o.NumJobs > 1 || o.Clone > 0 {
		e.Job = fmt.Sprintf("%s.%d", b.section, o.Clone)
	}
	if b.scan {
		if e.Block, err = b.cutScan(ctx, s); err != nil {
			return false, err
		}
	}
	c := span(o.Offset, b.length())
	some = takeShard(s, &b.shard, &c, e)
	part := fio.Slice{From: c.Off, To: c.Off + c.Len}
	switch {
	case !some:
	case o.Only != fio.Slice{} && o.Only != part:
		return false, event.BadValuef("%s: the journal is that of another part, from %d to %d",
			b.op, o.Only.From, o.Only.To)
	case b.scan:
		if err := b.whole(ctx, s, part); err != nil {
			return false, err
		}
		o.Offset, o.Size = c.Off, c.Len
	default:
		o.Only = part
	}
	return some, nil
}

// cutScan is by what a scan is cut: what -b says, or else whole blocks of the length that headers
// tell, at least shardBlock.
func (b *blockJob) cutScan(ctx context.Context, s *session.Session) (block int64, err error) {
	o := &b.options
	if b.sized && o.MaxBlock > o.MinBlock {
		return 0, b.uncut(errors.New("-b has several sizes"))
	}
	if b.sized {
		return blockOf(o), nil
	}
	err = b.look(ctx, s, func(ctx context.Context, j *job.Job, open job.Opener) error {
		unit, err := j.Unit(ctx, open)
		block = max(unit, 1)
		return err
	})
	if err != nil {
		return 0, b.uncut(err)
	}
	return (shardBlock + block - 1) / block * block, nil
}

// whole makes sure that no block goes over an end of a part.
func (b *blockJob) whole(ctx context.Context, s *session.Session, part fio.Slice) error {
	from, to := b.options.Offset, b.options.Offset+b.length()
	err := b.look(ctx, s, func(ctx context.Context, j *job.Job, open job.Opener) error {
		for _, border := range []int64{part.From, part.To} {
			if border == from || border == to {
				continue
			}
			at, n, err := j.Across(ctx, open, border)
			if err == nil && n > 0 {
				err = fmt.Errorf("the block of %s at %d goes over %d", units.Size(n), at,
					border)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return b.uncut(err)
	}
	return nil
}

// look has a job look at the image.
func (b *blockJob) look(
	ctx context.Context, s *session.Session,
	at func(ctx context.Context, j *job.Job, open job.Opener) error,
) error {
	j, err := job.New(b.options, job.Hooks{})
	if err != nil {
		return err
	}
	return s.Do(ctx, func(ctx context.Context) error {
		return at(ctx, j, readOnly(opener(ctx, b.image.Dev)))
	})
}

// uncut is why a scan cannot be cut.
func (b *blockJob) uncut(err error) error {
	if !refused(err) || errors.Is(err, session.ErrInterrupted) {
		return event.FailOp(b.op, err)
	}
	return event.BadValuef("%s: --shard: %v; "+
		"-b says how long blocks are, --exact of which job", b.op, err)
}

// blockOf is the longest block of a job, in bytes.
func blockOf(o *fio.Options) int64 { return int64(max(o.MinBlock, o.MaxBlock, 1)) }

// digest tells workloads apart.
func digest(w fio.Workload) string {
	w.Only = fio.Slice{}
	text, _ := json.Marshal(w) // it has nothing that JSON has not
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// stateName is the name of the state file of a job, or of what a shard does of it.
func (b *blockJob) stateName() string {
	name := fio.StateName(&b.options)
	if b.shard.N > 0 {
		name += fmt.Sprintf(".shard-%d-of-%d", b.shard.K, b.shard.N)
	}
	return name
}

// shareable refuses to share jobs of which one writes over what another wrote, unless all of them
// are cut in the same places: otherwise nobody knows which shard is the last at a block.
func (j *jobFile) shareable(jobs []placedJob) error {
	if j.shard.N == 0 {
		return nil
	}
	var writers []*placedJob
	for i := range jobs {
		w := &jobs[i]
		if !j.chooses(&w.options) || !w.writes {
			continue
		}
		for _, other := range writers {
			shared := slices.ContainsFunc(w.images, func(im *session.Image) bool {
				return slices.Contains(other.images, im)
			})
			if shared && !cutAlike(&other.options, &w.options) {
				return event.BadValuef("verify_job: --shard: jobs %s and %s write to the same blocks, and are not of "+
					"one range and block size, so that they are cut in other places", other.options.Name, w.options.Name)
			}
		}
		writers = append(writers, w)
	}
	return nil
}

// cutAlike says whether no byte is in different shards of two jobs.
func cutAlike(a, b *fio.Options) bool {
	n, m := (&blockJob{options: *a}).length(), (&blockJob{options: *b}).length()
	if a.Offset >= b.Offset+m || b.Offset >= a.Offset+n {
		return true
	}
	even := a.MaxBlock <= a.MinBlock && b.MaxBlock <= b.MinBlock
	return even && a.Offset == b.Offset && n == m && blockOf(a) == blockOf(b)
}
