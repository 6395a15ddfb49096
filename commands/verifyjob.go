package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/fio"
)

var verifyJob = session.Command{
	Name: "verify_job", Reports: true,
	Group: session.GroupVerify,
	Args:  "[--section name] [--read | --write] [--fio version] [--all] [--dump dir] [--shard k/n] file",
	Short: "runs the verification jobs of a file in the form of fio's job files",
	Long: ` Example:
 verify_job disk.fio             writes and verifies what all its sections say
 verify_job --read --section a disk.fio
                                 verifies what the section [a] wrote, whoever
                                 ran it

 The file is that of fio: sections in brackets, options as name=value, [global]
 for all. Options that change no block are named and left out; what would make
 other blocks than fio does is refused. A section without verify= is written and
 not verified.

 A job works on the images that are open under the names of its files, or on the
 current one if it names none. Other files it opens itself, and makes those that
 it is to write; devices have to be open before. Jobs run one after the other. A
 block that another job wrote after, or may have written at the same time as fio
 runs them, is judged as that job's. Requests are those that a job names, unless
 neighbours are merged.

 What is only verified says itself which fio wrote it. The version can be any
 from 2.2 on; blocks are written as 3.42 does if none is given. What a job with
 time_based wrote is only known to the run itself, or from the state file that
 it left, with verify_state_load=1.

 At the end it says how fast each job and each group was, writing and verifying:
 requests and bytes a second, and how long requests took.

 With --shard several runs do of each job what one would, see 'help shards'.
 State files of shards have names of their own.
`,
	New: func(f *session.Flags) session.Run {
		j := &jobFile{options: fio.DefaultOptions()}
		j.options.ReadFile = f.ReadFile
		j.options.Direction, j.options.IODepth = fio.Read, 1 // as fio has it
		f.Text(&j.section, 0, "section", args.Text("NAME"), "only the jobs of this name")
		f.Bool(&j.read, 0, "read", "only verify; nothing is written")
		f.Bool(&j.written, 0, "write", "only write")
		setFio := session.ReadValue(&j.options.Fio, fio.ParseRelease)
		f.Flag(0, "fio", args.Usually("VERSION", fio.Releases), "which fio makes such blocks",
			func(word string) error {
				j.given = true
				return setFio(word)
			})
		mergeFlag(f, &j.merge)
		f.Size(&j.from, nil, 0, "resume", "N",
			"go on where the only job was stopped in that phase")
		j.call = func(from int64, flags ...string) string {
			return f.Again("resume", strconv.FormatInt(from, 10), flags...)
		}
		j.tell.flags(f)
		f.Shard(&j.shard, ownFlags...)
		f.Word("file", args.File, word(&j.name))
		f.Conflict("read-write", "--read and --write do not go together",
			func() bool { return j.read && j.written })
		f.Check("jobs", func() error { return j.load(f.Context()) })
		return j.run
	},
}

// jobFile is the jobs of a file and what is to be done with them.
type jobFile struct {
	name, section string
	read, written bool // only that
	given         bool // somebody said which fio
	from, merge   int64
	shard         session.Shard
	options       fio.Options // that jobs begin with
	tell          findings
	call          func(from int64, flags ...string) string // that goes on there

	jobs    []fio.Options
	notes   []fio.Note
	files   jobFiles
	figures figures
	asked   map[*session.Image]bool // whether they may be overwritten, or need not be asked about
}

// load reads the file.
func (j *jobFile) load(ctx context.Context) error {
	file, err := target.OpenInput(ctx, j.name)
	if err != nil {
		return event.FailFile(j.name, bare(err))
	}
	defer file.Close()
	j.jobs, j.notes, err = fio.ParseJobFile(file, j.options, fio.Surroundings{
		Include: func(name string, limit int) ([]byte, error) {
			return j.include(ctx, name, limit)
		},
		Getenv: os.Getenv, Keywords: keywords(),
	})
	if err != nil {
		return event.BadValuef("%s: %v", j.name, err)
	}
	chosen, files := 0, 0
	j.jobs = slices.DeleteFunc(j.jobs, func(o fio.Options) bool { return o.NoData })
	if len(j.jobs) == 0 {
		return event.BadValuef("%s: no job has an ioengine that moves data", j.name)
	}
	for i := range j.jobs {
		o := &j.jobs[i]
		o.DoVerify = o.DoVerify && !j.written
		if j.chooses(o) {
			chosen, files = chosen+1, len(o.Files())
		}
	}
	switch {
	case chosen == 0:
		return event.BadValuef("%s: no section is called %s", j.name, j.section)
	case j.from > 0 && (chosen > 1 || files > 1):
		return event.BadValuef("--resume is for one job on one file; --section chooses one")
	case j.from > 0 && !j.read && !j.written:
		return event.BadValuef("--resume requires --read or --write, as what was stopped was the one or the other")
	}
	return nil
}

// include reads a file that the job file includes: relative to the folder of the job file, if it is
// not here.
func (j *jobFile) include(ctx context.Context, name string, limit int) ([]byte, error) {
	text, err := target.ReadInput(ctx, name, limit)
	if errors.Is(err, os.ErrNotExist) && !filepath.IsAbs(name) {
		text, err = target.ReadInput(ctx, filepath.Join(filepath.Dir(j.name), name), limit)
	}
	return text, bare(err)
}

// keywords are what fio puts into job files for some words.
func keywords() map[string]string {
	list := map[string]string{
		"$pagesize": strconv.Itoa(os.Getpagesize()),
		"$ncpus":    strconv.Itoa(runtime.NumCPU()),
	}
	var host syscall.Sysinfo_t
	if syscall.Sysinfo(&host) == nil {
		list["$mb_memory"] = strconv.FormatUint(uint64(host.Totalram)*uint64(host.Unit)>>20, 10)
	}
	return list
}

// chooses says whether a job is one of those that are to be run.
func (j *jobFile) chooses(o *fio.Options) bool { return j.section == "" || o.Name == j.section }

// writes says whether a job is going to write.
func (j *jobFile) writes(o *fio.Options) bool {
	return !j.read && !o.VerifyOnly && o.Direction.Writes()
}

// verifies says whether a job says how it is verified.
func verifies(o *fio.Options) bool { return o.Verify != "" || o.Pattern != "" }

func (j *jobFile) run(ctx context.Context, s *session.Session, im *session.Image) (err error) {
	if len(j.notes) > 0 {
		s.Emit(event.JobNotes{Notes: j.notes})
	}
	j.files = jobFiles{s: s, current: im}
	defer func() { err = s.Also(err, j.files.close(ctx)) }()
	jobs, err := j.place(ctx)
	if err != nil {
		return err
	}
	defer j.figures.emit(s)
	var damaged error
	idle := true
	for i := range jobs {
		job := &jobs[i]
		if !j.chooses(&job.options) {
			continue
		}
		if !verifies(&job.options) {
			s.Emit(event.NotVerified{Job: job.options.Name, Written: job.writes})
		}
		idle = idle && !verifies(&job.options) && !job.writes
		err := j.one(ctx, s, job, jobs)
		if err != nil && !isDamage(err) {
			return err
		}
		damaged = cmp.Or(damaged, err)
	}
	if idle {
		return event.BadValuef("%s: no job says with verify= what to verify, and none writes",
			j.name)
	}
	return damaged
}

// A placedJob is a job of which it is known where its blocks lie.
type placedJob struct {
	options fio.Options
	writes  bool
	images  []*session.Image // nil if it is not to be run
	made    bool             // its files were not there before
	// lengths are those of its files before the job, nil if nobody asked: percentages are of them.
	lengths []int64
}

// place finds the files of all jobs. Those that are not to be run count as far as they are on the
// files of others.
func (j *jobFile) place(ctx context.Context) ([]placedJob, error) {
	jobs := make([]placedJob, len(j.jobs))
	for i, o := range j.jobs {
		job := &jobs[i]
		job.options, job.writes = o, j.writes(&o)
		if !j.chooses(&o) {
			j.files.find(job, j.alone(&o))
		} else if err := j.files.open(ctx, job, j.alone(&o)); err != nil {
			return nil, err
		}
		if job.images == nil {
			continue
		}
		var err error
		job.options, err = job.placed()
		switch {
		case err != nil && j.chooses(&o):
			return nil, err
		case err != nil:
			job.images = nil // fio does not run it either
		}
	}
	return jobs, j.shareable(jobs)
}

// alone says whether a job has no clones, whose files would be others.
func (j *jobFile) alone(o *fio.Options) bool {
	for i := range j.jobs {
		if other := &j.jobs[i]; other.Name == o.Name && other.Clone != o.Clone {
			return false
		}
	}
	return true
}

// placed is the job on its images.
func (job *placedJob) placed() (fio.Options, error) {
	for _, im := range job.images[len(job.lengths):] {
		n := im.Dev.Size()
		if job.made {
			n = -1
		}
		job.lengths = append(job.lengths, n)
	}
	on, err := job.options.On(job.lengths)
	if err == nil && !job.writes && job.mayHaveMade(&on) {
		err = fmt.Errorf("job %s: offsets in percent are of the length that a file had before the "+
			"job, which may have made this one; offsets in bytes say where its blocks are", on.Name)
	}
	if err != nil {
		return on, event.BadValuef("verify_job: %v", err)
	}
	return on, nil
}

// mayHaveMade says whether the files are as long as the job would have made them, and its blocks
// then lay elsewhere.
func (job *placedJob) mayHaveMade(on *fio.Options) bool {
	made, err := job.options.On(slices.Repeat([]int64{-1}, len(job.lengths)))
	if err != nil || made.Offset == on.Offset {
		return false
	}
	return slices.ContainsFunc(job.images, func(im *session.Image) bool {
		st, err := os.Stat(im.Describe().Path)
		return err == nil && st.Mode().IsRegular() && st.Size() == im.Dev.Size() &&
			st.Size() == made.Offset+made.Part
	})
}

// isDamage says whether all of a job was done and its blocks are not what they should be.
func isDamage(err error) bool {
	var told *event.Failure
	return errors.As(err, &told) && told.Event.Class() == event.ClassData
}

// one does what a job says, on each of its files.
func (j *jobFile) one(ctx context.Context, s *session.Session, job *placedJob,
	all []placedJob,
) error {
	var damaged error
	for i, im := range job.images {
		o := job.options
		o.File = i
		err := j.onFile(ctx, s, im, o, job.writes, others(all, job, im))
		if err != nil && !isDamage(err) {
			return err
		}
		damaged = cmp.Or(damaged, err)
	}
	return damaged
}

// others are the other jobs on an image.
func others(all []placedJob, job *placedJob, im *session.Image) (list []fio.Options) {
	for i := range all {
		other := &all[i]
		if other == job {
			continue
		}
		for file, on := range other.images {
			if on == im {
				o := other.options
				o.File = file
				list = append(list, o)
			}
		}
	}
	return list
}

// onFile does what a job says, on one of its files. others wrote there as well, if nothing is
// written now.
func (j *jobFile) onFile(
	ctx context.Context, s *session.Session, im *session.Image, o fio.Options, write bool,
	others []fio.Options,
) error {
	if !write && !j.given {
		o.Fio = fio.FioAny
	}
	b := &blockJob{
		op: "verify_job", section: o.Name, image: im, options: o, resume: resumption{from: j.from},
		merge: j.merge, tell: j.tell, shard: j.shard, figures: &j.figures,
	}
	if some, err := b.share(ctx, s); err != nil || !some {
		return err
	}
	if o.Dump && b.tell.dump == "" {
		if b.tell.dump = o.AuxPath; b.tell.dump == "" {
			b.tell.dump = "."
		}
	}
	if o.StateLoad {
		if err := b.readState(ctx, b.stateName()); err != nil {
			return err
		}
	}
	if write {
		if err := j.ask(ctx, s, b); err != nil {
			return err
		}
		b.resume.again = j.again(&o, "--write")
		if err := j.write(ctx, s, b); err != nil || !o.DoVerify {
			return err
		}
	} else {
		b.others = others
	}
	if !verifies(&o) {
		return nil
	}
	b.resume.again = j.again(&o, "--read")
	return b.verify(ctx, s)
}

// again is the call that goes on where a phase of a job was stopped, nil if it is not the only one
// of its name, or of several files.
func (j *jobFile) again(o *fio.Options, phase string) func(from int64) string {
	named := 0
	for i := range j.jobs {
		if j.jobs[i].Name == o.Name {
			named++
		}
	}
	if named > 1 || len(o.Files()) > 1 {
		return nil
	}
	var flags []string
	if !j.read && !j.written {
		flags = append(flags, phase)
	}
	if j.section == "" && len(j.jobs) > 1 {
		flags = append(flags, "--section", o.Name)
	}
	return func(from int64) string { return j.call(from, flags...) }
}

// ask asks whether data may be overwritten, once an image.
func (j *jobFile) ask(ctx context.Context, s *session.Session, b *blockJob) error {
	if j.asked[b.image] {
		return nil
	}
	if j.asked == nil {
		j.asked = map[*session.Image]bool{}
	}
	j.asked[b.image] = true
	return s.Overwrite(ctx, b.image, b.op, b.options.Offset, b.length())
}

// write writes the blocks of a job with the caching that it asks for, and leaves the state that
// says so.
func (j *jobFile) write(ctx context.Context, s *session.Session, b *blockJob) (err error) {
	if err := j.files.mayWrite(b.image); err != nil {
		return err
	}
	if err := s.Claim(ctx, b.image); err != nil {
		return err
	}
	state := ""
	if b.options.StateSave && verifies(&b.options) {
		state = b.stateName()
	}
	restore := j.files.cache(b.image, &b.options)
	defer func() { err = s.Also(err, restore(ctx)) }()
	return b.writeNoted(ctx, s, "", state)
}
