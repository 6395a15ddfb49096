package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

// blockJob is a verification job on an image: blocks that tell whether they are intact, written or
// verified.
type blockJob struct {
	op      string // the command
	section string // of a job file, "" without one
	image   *session.Image
	file    string // name of the image where there are several, otherwise ""
	sized   bool   // the length of blocks was given
	options fio.Options
	resume  resumption
	shard   session.Shard
	// neighbouring requests are one of up to so many bytes; 0: they are not merged
	merge   int64
	history *job.History // nil: the job was completed
	// scan: each block is judged by its own header, not by the job.
	scan bool
	tell findings
	// journal gets that of a run that writes, nil for none.
	journal *journalFile
	// before is the journal that it goes on with, nil for a new one.
	before *job.Journal
	// notes are on options that change nothing.
	notes []fio.Note
	// others are jobs that wrote to the image as well; see job.VerifyOptions.
	others []fio.Options
	// figures gets how fast the job was; nil: nobody wants to know.
	figures *figures
	// drawing is of the blocks, if anybody wants one.
	drawing drawing
}

// write writes the blocks and says so. state is how far that came, unless the options are wrong.
func (b *blockJob) write(ctx context.Context, s *session.Session) (state *fio.State, err error) {
	for _, n := range b.notes {
		s.Emit(event.JobNote{Note: n})
	}
	began := s.Now()
	run, err := b.prepare(ctx, s, "writing")
	if err != nil {
		return nil, err
	}
	result, err := run.do(ctx, s, func(ctx context.Context, open job.Opener) (*job.Result, error) {
		return run.job.Write(ctx, open, b.writing())
	})
	if result != nil {
		state = run.job.State(result)
		b.measure(writePhase, s.Now().Sub(began), result.WriteTraffic)
	}
	if err != nil {
		return state, b.stopped(ctx, run, result, err)
	}
	if result.Writes == 0 && b.resume.from == 0 {
		return state, event.BadValuef("%s: nothing was written: %s", b.op, b.whyNothing(run))
	}
	s.Emit(event.BlocksWritten{
		Blocks: b.blocks(run), Fio: run.job.Workload().Fio, Bytes: result.Written,
		Writes: result.Made, Requests: result.Requests, Trimmed: result.Trimmed,
		Seed: run.job.Workload().RandSeed, Elapsed: s.Now().Sub(began),
	})
	b.history = result.History()
	return state, nil
}

// writing says where writing begins and what it notes.
func (b *blockJob) writing() job.WriteOptions {
	o := job.WriteOptions{From: b.resume.from}
	if b.journal != nil {
		o.Journal, o.Before = b.journal, b.before
	}
	return o
}

// whyNothing says why a job wrote nothing.
func (b *blockJob) whyNothing(run *blockRun) string {
	if block := int64(run.job.Workload().MinBlock); b.length() < block {
		return fmt.Sprintf("a range of %s has no room for a block of %s",
			units.Size(b.length()), units.Size(block))
	}
	return "the job ended before its first write"
}

// verify reads the blocks and says what became of them. It fails if any is damaged, or could not be
// read.
func (b *blockJob) verify(ctx context.Context, s *session.Session) error {
	began := s.Now()
	run, err := b.prepare(ctx, s, "verifying")
	if err != nil {
		return err
	}
	result, err := run.do(ctx, s, func(ctx context.Context, open job.Opener) (*job.Result, error) {
		if b.scan {
			return run.job.Scan(ctx, readOnly(open), b.resume.from)
		}
		return run.job.Verify(ctx, readOnly(open),
			job.VerifyOptions{From: b.resume.from, History: b.history, Others: b.others})
	})
	b.measure(verifyPhase, s.Now().Sub(began), result.ReadTraffic)
	b.drawRest(result)
	if b.sized && result.BlockLen > 0 {
		s.Emit(event.JobNote{Note: fio.Note{Job: b.op, Option: "-b", Why: "the blocks have " +
			units.Size(result.BlockLen)}})
	}
	verdict := event.Verdict{
		Blocks: b.blocks(run), Result: *result, Doubt: b.doubt(result), Elapsed: s.Now().Sub(began),
	}
	failed := b.judge(s, verdict, err == nil)
	b.tell.emitDump(s)
	if err != nil {
		return b.stopped(ctx, run, result, err)
	}
	return failed
}

// doubt is what may be the matter with the call, and not with the data, where no block at all is as
// it should be; "" for nothing.
func (b *blockJob) doubt(r *job.Result) string {
	only := func(classes ...verify.Class) bool {
		var n int64
		for _, c := range classes {
			n += r.Classes[c.String()]
		}
		return n > 0 && n == r.Blocks
	}
	switch {
	case b.scan && b.options.Verify == fio.TypeAny && only(verify.Foreign, verify.Filled):
		return "there is no header at all: what was written with -t pattern is verified with -t pattern and its -P, and -t null leaves nothing to verify"
	case len(r.Ranges) > 0 && only(verify.OtherType):
		return "all of them are whole blocks of " + r.Ranges[0].First.Type + ": -t " +
			r.Ranges[0].First.Type + " verifies those"
	case b.options.Fio != fio.FioAny && only(verify.Stale, verify.ContentMismatch):
		return "all of them are whole blocks: without --fio it is found out which fio makes such"
	}
	return ""
}

// judge tells the verdict. It fails unless blocks were verified and all are good; a run that came
// to no end may have verified none.
func (b *blockJob) judge(s *session.Session, v event.Verdict, ended bool) error {
	var e event.Reason
	switch {
	case !v.Good():
		e = event.Damaged{Verdict: v, Listed: b.tell.emit(s, v)}
	case v.Result.Blocks > 0 || v.Others > 0:
		s.Emit(v)
		return nil
	case !ended:
		return nil
	case b.shard.N > 0: // another may have verified some
		s.Emit(v)
		return nil
	default:
		e = event.NothingVerified{Verdict: v}
	}
	s.Emit(e)
	return session.Shown(event.Fail(e))
}

func (b *blockJob) blocks(run *blockRun) event.Blocks {
	return event.Blocks{
		Range: b.span(), File: b.file,
		Job: b.section, Type: run.job.Workload().Verify, Merge: b.merge,
	}
}

// span is what of the image this run is about.
func (b *blockJob) span() event.Range {
	if only := b.options.Only; only != (fio.Slice{}) {
		return event.Range{Off: only.From, Len: only.To - only.From}
	}
	return event.Range{Off: b.options.Offset, Len: b.length()}
}

// length is how many bytes of the image the job is about: each of its files has an equal part.
func (b *blockJob) length() int64 {
	if b.options.Part > 0 {
		return b.options.Part
	}
	return b.options.Size / int64(b.options.FileCount())
}

// stopped is why a run ended early, and where it goes on.
func (b *blockJob) stopped(ctx context.Context, run *blockRun, r *job.Result, err error) error {
	if ctx.Err() == nil {
		if refused(err) {
			return event.BadValuef("%s: %v", b.op, err)
		}
		return event.FailOp(b.op, err)
	}
	stop := event.Interrupted{
		Op: b.op, Range: b.blocks(run).Range, Done: run.progress.Done,
		Err: context.Cause(ctx),
	}
	if r.Unreadable == 0 && b.resume.again != nil { // otherwise what was under way is not done
		stop.Resume, stop.Call = r.Position, b.resume.again(r.Position)
	}
	return event.Fail(stop)
}

// refused says whether a job ended because of what was asked, and not because of the device or of a
// file.
func refused(err error) bool {
	var device *blockdev.Error
	var errno syscall.Errno
	return !errors.As(err, &device) && !errors.As(err, &errno)
}

// prepare makes the job. What is wrong with its options is a wrong use of the command.
func (b *blockJob) prepare(ctx context.Context, s *session.Session,
	phase string,
) (*blockRun, error) {
	o, n := b.options, b.length()
	switch {
	case b.merge > 0:
		o.MaxRequest = int(b.merge)
	case b.scan && o.MaxBlock == 0: // nobody asked for requests of a size
		o.MaxRequest = job.ScanRequest
	}
	if o.Offset < 0 || n < 0 || o.Offset > b.image.Dev.Size()-n {
		return nil, event.FailOp(b.op, &blockdev.Error{
			Op: b.op, Node: b.image.Dev.Info().Driver, Off: o.Offset, Len: n,
			Err: &blockdev.RangeError{Size: b.image.Dev.Size()},
		})
	}
	b.settleFile(s)
	run := &blockRun{blockJob: b, phase: phase}
	hooks := job.Hooks{
		Progress: run.note, Now: s.Now, Bad: b.drawBad,
		Extent: func(off, n int64) (int64, bool) { return extent(ctx, b.image.Dev, off, n) },
	}
	if b.figures != nil {
		hooks.Clock = stopwatch()
	}
	if b.tell.dump != "" {
		if err := b.tell.openDump(ctx, s, b.image.Name); err != nil {
			return nil, err
		}
		hooks.Dump = b.tell.dumped.Put
	}
	var err error
	if run.job, err = job.New(o, hooks); err != nil {
		return nil, event.BadValuef("%s: %v", b.op, err)
	}
	return run, nil
}

// extent is how far it holds that the bytes at off are known to be zero, or that they are not. What
// the image does not tell has to be read.
func extent(ctx context.Context, dev *blockdev.Device, off, n int64) (length int64, zero bool) {
	e, err := dev.Status(ctx, off, n)
	if err != nil {
		return n, false
	}
	return e.Len, e.Zero
}

// settleFile names the image where there are several.
func (b *blockJob) settleFile(s *session.Session) {
	if len(s.Images()) > 1 {
		b.file = b.image.Name
	}
}

// blockRun is one pass of a job, writing or verifying.
type blockRun struct {
	*blockJob
	job      *job.Job
	phase    string
	progress job.Progress
	add      func(n int64)
}

// note passes progress on.
func (r *blockRun) note(p job.Progress) {
	r.add(p.Done - r.progress.Done)
	r.progress = p
}

// do runs a pass.
func (r *blockRun) do(
	ctx context.Context, s *session.Session,
	pass func(context.Context, job.Opener) (*job.Result, error),
) (result *job.Result, err error) {
	total := r.span().Len
	if r.options.TimeBased {
		total = 0
	}
	var end func()
	r.add, end = s.Track(r.phase, total)
	defer end()
	err = s.Do(ctx, func(ctx context.Context) (err error) {
		patient, release := unhurried(ctx)
		defer release()
		result, err = pass(ctx, opener(patient, r.image.Dev))
		return err
	})
	return result, err
}

// opener makes the batch queues of a device that a job asks for.
func opener(ctx context.Context, d *blockdev.Device) job.Opener {
	return func(_ context.Context, depth, size int) (
		job.Queue, error,
	) {
		return d.Queue(ctx, depth, size)
	}
}

// lastWait is how long requests that are under way when a person stops a job may take to end by
// themselves.
const lastWait = time.Second

// unhurried is ctx for the requests of a job. When a person stops the job, those that are under way
// end by themselves, so that it is known how far the job came. One that stands still for ever is
// given up after a while.
func unhurried(ctx context.Context) (_ context.Context, release func()) {
	requests, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if !errors.Is(cause, session.ErrInterrupted) {
			cancel(cause)
			return
		}
		timer := time.AfterFunc(lastWait, func() { cancel(cause) })
		context.AfterFunc(requests, func() { timer.Stop() })
	})
	return requests, func() {
		stop()
		cancel(nil)
	}
}

// readOnly makes queues that cannot write: a verification must not change what it looks at,
// whatever it is asked to do.
func readOnly(open job.Opener) job.Opener {
	return func(ctx context.Context, depth, size int) (job.Queue, error) {
		q, err := open(ctx, depth, size)
		if err != nil {
			return nil, err
		}
		return &readingQueue{Queue: q}, nil
	}
}

// readingQueue refuses everything but reads, and with it the whole batch.
type readingQueue struct {
	job.Queue
	refused error
}

// Stage lets reads and flushes through. What changes something is refused by Submit.
func (q *readingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op != job.OpRead && op != job.OpFlush {
		q.refused = fmt.Errorf("a verification was about to change %s at %d: %w", units.Bytes(n), off,
			syscall.EROFS)
		return
	}
	q.Queue.Stage(slot, op, off, n, flags)
}

// Submit starts what is staged, unless something was refused.
func (q *readingQueue) Submit() error {
	if q.refused != nil {
		return q.refused
	}
	return q.Queue.Submit()
}

// SubmitAndReap is Submit and then Reap.
func (q *readingQueue) SubmitAndReap(least int, done []int) (int, error) {
	if q.refused != nil {
		return 0, q.refused
	}
	return q.Queue.SubmitAndReap(least, done)
}

// jobFlags are the flags that stand for options of fio.
var jobFlags = []struct {
	letter       byte
	long         string
	value        args.Value
	option, help string
}{
	{'t', "type", args.Enum("TYPE", fio.Types), "verify", "the checksum of blocks"},
	{'b', "block", args.Text("SIZE"), "bs", "size of blocks, or two sizes as in 4k-64k; usually 4k"},
	{'P', "pattern", args.Text("PATTERN"), "verify_pattern", "content of blocks, in place of random data"},
	{0, "pattern-interval", args.Text("SIZE"), "verify_pattern_interval", "where the pattern begins anew"},
	{0, "interval", args.Text("SIZE"), "verify_interval", "one header each so many bytes, and not one a block"},
	{0, "header-offset", args.Text("SIZE"), "verify_offset", "where in its block the header lies; usually 0"},
	{0, "seed", args.Text("N"), "randseed", "what content and order are made from; usually 137"},
	{'d', "depth", args.Text("N"), "iodepth", "requests under way"},
}

// flags declares what describes the blocks of a job.
func (b *blockJob) flags(f *session.Flags) {
	b.options.ReadFile = f.ReadFile
	for _, j := range jobFlags {
		f.Flag(j.letter, j.long, j.value, j.help, func(word string) error {
			option := j.option
			if option == "bs" {
				b.sized = true
				// to bs, those are sizes of reads and of writes
				if strings.ContainsAny(word, "-:") {
					option = "bsrange"
				}
			}
			return b.set(option, word)
		})
	}
	f.Enum(0, "order", "ORDER", []string{"seq", "random"},
		"which block comes next, random as fio draws it, each once",
		func(i int) { b.options.Direction = [...]fio.Direction{fio.Write, fio.RandWrite}[i] })
	f.Flag(0, "fio", args.Usually("VERSION", fio.Releases), "which fio has such blocks",
		session.ReadValue(&b.options.Fio, fio.ParseRelease))
	f.Flag(0, "generation", args.Text("N"),
		"a number in each header that tells old blocks from new", func(word string) error {
			n, err := f.Number("generation", word)
			if err == nil && (n < 1 || n > 1<<32-1) {
				err = event.BadValuef("--generation takes a number from 1 to 4294967295")
			}
			b.options.Generation = uint32(n)
			return err
		})
	f.Flag('o', "option", args.Text("NAME=VALUE"),
		"any other option of a fio job, such as norandommap=1", func(word string) error {
			name, value, _ := strings.Cut(word, "=")
			if elsewhere(name) {
				return event.BadValuef("-o %s has a place in job files only", name)
			}
			return b.set(name, value)
		})
	mergeFlag(f, &b.merge)
	b.resume.declare(f)
}

// mergeFlag declares the flag that allows a job to send other requests than those that it names.
func mergeFlag(f *session.Flags, merge *int64) {
	f.Flag(0, "merge", args.Value{Name: "SIZE", Type: args.TypeSize},
		"send neighbouring requests as one of up to SIZE bytes", func(word string) (err error) {
			*merge, err = f.Number("merge", word)
			if err == nil && (*merge < 0 || *merge > fio.MaxMerge) {
				err = event.BadValuef("--merge takes up to %s", units.Size(fio.MaxMerge))
			}
			return err
		})
}

// elsewhere says whether operands and flags stand for an option, or it is about several jobs.
func elsewhere(option string) bool {
	switch option {
	case "filename", "nrfiles", "numjobs", "offset", "size", "name", "verify_only", "verify_dump",
		"verify_state_save", "verify_state_load", "aux-path", "directory", "filename_format",
		"nr_files",
		"openfiles", "file_service_type", "stonewall", "wait_for_previous", "filesize",
		"fill_device",
		"fill_fs", "fileoffset", "offset_align", "offset_increment", "kb_base":
		return true
	}
	return false
}

// caching says whether an option says how a job file's files are opened.
func caching(option string) bool {
	switch option {
	case "direct", "odirect", "buffered", "atomic", "sync":
		return true
	}
	return false
}

// set sets an option by fio's name.
func (b *blockJob) set(name, value string) error {
	why, err := b.options.Set(name, value)
	if err != nil {
		return event.BadValuef("%v", err)
	}
	if caching(name) {
		why = "caching is the image's; -t and -n say how it is opened"
	}
	if why != "" {
		b.notes = append(b.notes, fio.Note{Job: b.op, Option: name, Why: why})
	}
	return nil
}
