package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
)

var verifyJob = session.Command{
	Name: "verify_job", Min: 1, Max: -1, Needs: session.File,
	Args:  "[--section name] [--read | --write] [--fio version] [--all] [--dump dir] file",
	Short: "runs the verification jobs of a file in the form of fio's job files",
	Long: ` Example:
 verify_job disk.fio             writes and verifies what all its sections say
 verify_job --read --section a disk.fio
                                 verifies what the section [a] wrote, whoever
                                 ran it

 The file is that of fio: sections in brackets, options as name=value, [global]
 for all. Options that have nothing to do with verification are named and left
 out where they change nothing, and refused where they would. A job without
 filename works on the current image; others need images of these names or paths
 to be open. Jobs run one after the other. Requests are those that a job names;
 with --merge neighbours are sent as one.
`,
	New: func(f *session.Flags) session.Run {
		j := &jobFile{options: verify.DefaultOptions()}
		j.options.ReadFile = args.ReadFile
		f.Text(&j.section, nil, 0, "section", "NAME", "only the jobs of this name")
		f.Bool(&j.read, 0, "read", "only verify; nothing is written")
		f.Bool(&j.written, 0, "write", "only write")
		f.Flag(0, "fio", "VERSION", "which fio makes such blocks: 2.2, 3.33 or 3.42", func(word string) (err error) {
			if j.options.Fio, err = verify.ParseRelease(word); err != nil {
				return event.Fail(event.BadValue{Message: err.Error()})
			}
			return nil
		})
		mergeFlag(f, &j.merge)
		f.Size(&j.from, new(bool), 0, "resume", "N", "go on where the only job was stopped in that phase")
		j.tell.flags(f)
		f.Word("file", word(&j.name))
		f.Conflict("read-write", "--read and --write do not go together", func() bool { return j.read && j.written })
		f.Check("jobs", func(int) error { return j.load(f) })
		return j.run
	},
}

// jobFile is the jobs of a file and what is to be done with them.
type jobFile struct {
	name, section string
	read, written bool // only that
	from, merge   int64
	options       verify.Options // that jobs begin with
	tell          findings

	jobs  []verify.Options
	notes []verify.Note
}

// load reads the file, whose jobs say whether the command is going to write.
func (j *jobFile) load(f *session.Flags) error {
	file, err := os.Open(j.name)
	if err != nil {
		return event.Fail(event.FileError{Name: j.name, Err: bare(err)})
	}
	defer file.Close()
	jobs, notes, err := verify.ParseJobFile(file, j.options)
	if err != nil {
		return event.Fail(event.BadValue{Message: j.name + ": " + err.Error()})
	}
	j.notes = notes
	for _, o := range jobs {
		if j.section != "" && o.Name != j.section {
			continue
		}
		o.VerifyOnly = o.VerifyOnly || j.read
		o.DoVerify = o.DoVerify && !j.written
		if writes(&o) {
			f.Need(session.Write)
		}
		j.jobs = append(j.jobs, o)
	}
	switch {
	case len(j.jobs) == 0:
		return event.Fail(event.BadValue{Message: fmt.Sprintf("%s: no section is called %s", j.name, j.section)})
	case j.from > 0 && (len(j.jobs) > 1 || j.jobs[0].NrFiles > 1):
		return event.Fail(event.BadValue{Message: "--resume is for one job on one file; --section chooses one"})
	case j.from > 0 && !j.read && !j.written:
		return event.Fail(event.BadValue{Message: "--resume requires --read or --write, as what was stopped was the one or the other"})
	}
	return nil
}

// writes says whether a job writes at all.
func writes(o *verify.Options) bool {
	return !o.VerifyOnly && o.Direction != verify.Read && o.Direction != verify.RandRead
}

func (j *jobFile) run(ctx context.Context, s *session.Session, im *session.Image) error {
	for _, n := range j.notes {
		s.Emit(event.JobNote{Note: n})
	}
	var damaged error
	for _, o := range j.jobs {
		images, err := imagesOf(&o, s, im)
		if err != nil {
			return err
		}
		for i, of := range images {
			o.File = i
			err := j.one(ctx, s, of, o, len(images))
			if err != nil && !isDamage(err) {
				return err
			}
			damaged = firstError(damaged, err)
		}
	}
	return damaged
}

// isDamage says whether all of a job was done and its blocks are not what they should be.
func isDamage(err error) bool {
	var told *event.Failure
	if !errors.As(err, &told) {
		return false
	}
	kind := told.Event.Kind()
	return kind == event.Damaged{}.Kind() || kind == event.NothingVerified{}.Kind()
}

// one does what a job says, on one of its files.
func (j *jobFile) one(ctx context.Context, s *session.Session, im *session.Image, o verify.Options, files int) error {
	if o.Size == 0 {
		o.Size = max(0, im.Dev.Info().Size-o.Offset) * int64(files)
	}
	b := &blockJob{op: "verify_job", section: o.Name, image: im, options: o, from: j.from, merge: j.merge, tell: j.tell}
	if o.Dump && b.tell.dump == "" {
		if b.tell.dump = o.AuxPath; b.tell.dump == "" {
			b.tell.dump = "."
		}
	}
	if o.StateLoad {
		if err := b.readState(verify.StateName(&o)); err != nil {
			return err
		}
	}
	if writes(&o) {
		if err := s.Claim(ctx, im); err != nil {
			return err
		}
		job, err := b.write(ctx, s)
		if err != nil && job != nil && o.StateSave {
			err = firstError(err, saveStateAs(ctx, s, job, verify.StateName(&o)))
		}
		if err != nil || !o.DoVerify {
			return err
		}
	}
	return b.verify(ctx, s)
}

// imagesOf finds the images that a job works on.
func imagesOf(o *verify.Options, s *session.Session, current *session.Image) ([]*session.Image, error) {
	var list []*session.Image
	for _, name := range o.Files() {
		at := slices.IndexFunc(s.Images(), func(im *session.Image) bool { return im.Name == name || im.Describe().Path == name })
		switch {
		case at >= 0:
			list = append(list, s.Images()[at])
		case len(o.Filenames) == 0 && o.NrFiles <= 1:
			list = append(list, current)
		default:
			return nil, event.Fail(event.NoImage{Name: name})
		}
	}
	return list, nil
}
