package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/fio"
)

// jobFiles are the files that the jobs of a job file are on: images that are open, and those that
// are opened for it.
type jobFiles struct {
	s       *session.Session
	current *session.Image
	opened  []*session.Image
	// hinted are the images of which it was said that they cannot be as a job wants them.
	hinted []*session.Image
}

// open finds the files of a job, and opens those that are not open. alone says that no clones of it
// have other files.
func (f *jobFiles) open(ctx context.Context, job *placedJob, alone bool) error {
	names := job.options.Files()
	for _, name := range names {
		im := f.present(name, &job.options, alone)
		if im == nil {
			var err error
			if im, err = f.openFile(ctx, name, job, len(names)); err != nil {
				return err
			}
		}
		job.images = append(job.images, im)
	}
	return f.extend(ctx, job)
}

// find is open for a job that is not run: it matters only if its files are open.
func (f *jobFiles) find(job *placedJob, alone bool) {
	for _, name := range job.options.Files() {
		im := f.present(name, &job.options, alone)
		if im == nil {
			job.images = nil
			return
		}
		job.images = append(job.images, im)
	}
}

// present is the open image that a job means by a name: the current one if the job names no file.
func (f *jobFiles) present(name string, o *fio.Options, alone bool) *session.Image {
	if im := f.named(name); im != nil {
		return im
	}
	if alone && o.NrFiles <= 1 && len(o.Filenames) == 0 && o.Directory == "" {
		return f.current
	}
	return nil
}

// named is the open image of that name, or on that file.
func (f *jobFiles) named(name string) *session.Image {
	at, _ := os.Stat(name)
	list := f.s.Images()
	i := slices.IndexFunc(list, func(im *session.Image) bool {
		path := im.Describe().Path
		if im.Name == name || path == name {
			return true
		}
		st, err := os.Stat(path)
		return at != nil && err == nil && os.SameFile(at, st)
	})
	if i < 0 {
		return nil
	}
	return list[i]
}

// openFile opens a file for a job, one of n, and makes it first if the job writes and it is not
// there.
func (f *jobFiles) openFile(ctx context.Context, name string, job *placedJob,
	n int,
) (*session.Image, error) {
	o := &job.options
	// Where what is open may not be written, nothing else is.
	readOnly := !job.writes || f.current != nil && f.current.Dev.ReadOnly()
	if _, err := os.Stat(name); os.IsNotExist(err) && !readOnly {
		if err := f.create(ctx, name, o, n); err != nil {
			return nil, err
		}
		job.made = true
	}
	path := name
	if !filepath.IsAbs(path) {
		path = "./" + path // what stands before a colon is no protocol
	}
	err := f.s.Open(ctx, session.Opening{
		Name: path, As: f.imageName(name), Format: "raw", Certain: true, ReadOnly: readOnly,
		Cache: session.Cache{Direct: o.Direct, WriteThrough: o.Sync},
	})
	if err != nil {
		return nil, err
	}
	im := f.s.Image()
	f.s.Use(f.current)
	f.opened = append(f.opened, im)
	return im, nil
}

// imageName is what a file is called while it is open: like itself, where that makes a name.
func (f *jobFiles) imageName(file string) string {
	name := file
	for n := len(f.opened) + 1; !session.Nameable(name) || name != file &&
		f.s.Named(name) != nil; n++ {
		name = fmt.Sprintf("file%d", n)
	}
	return name
}

// create makes a file of the size that the job needs.
func (f *jobFiles) create(ctx context.Context, name string, o *fio.Options, n int) error {
	lengths := slices.Repeat([]int64{-1}, n)
	on, err := o.On(lengths)
	if err != nil {
		return event.BadValuef("verify_job: %v", err)
	}
	if err := makeDirectories(name, o.Directory); err != nil {
		return err
	}
	file, err := f.s.ReplaceFile(ctx,
		session.Target{Name: name, Over: func([]byte, int64) error { return os.ErrExist }})
	if err != nil {
		return err
	}
	if err = file.Truncate(on.Offset + on.Part); err == nil {
		err = file.Commit()
	}
	if err != nil {
		_ = file.Close()
		return event.FailFile(name, bare(err))
	}
	return nil
}

// makeDirectories makes those that a file is in, as fio does: not the one that directory= names.
func makeDirectories(name, root string) error {
	if _, err := os.Stat(root); root != "" && err != nil {
		return nil // which making the file tells
	}
	dir := filepath.Dir(name)
	return event.FailFile(dir, bare(os.MkdirAll(dir, 0o700)))
}

// extend makes the files that were opened for the jobs long enough for one that writes.
func (f *jobFiles) extend(ctx context.Context, job *placedJob) error {
	if !job.writes {
		return nil
	}
	on, err := job.placed()
	if err != nil {
		return err
	}
	for _, im := range job.images {
		if !slices.Contains(f.opened, im) || im.Dev.ReadOnly() ||
			im.Dev.Size() >= on.Offset+on.Part {
			continue
		}
		if err := im.Dev.Truncate(ctx, on.Offset+on.Part, blockdev.PreallocOff); err != nil {
			return event.FailOp("verify_job", err)
		}
	}
	return nil
}

// mayWrite refuses to write to what was opened for a job, where nobody asked for that.
func (f *jobFiles) mayWrite(im *session.Image) error {
	switch {
	case !slices.Contains(f.opened, im) || !im.Dev.ReadOnly():
		return nil
	case f.current != nil && f.current.Dev.ReadOnly():
		return event.BadValuef("%s: no job writes while %s is open for reading only",
			im.Name, f.current.Name)
	}
	return event.BadValuef("%s is a device, which a job writes to only if it is open with -w",
		im.Name)
}

// cache gives an image the caching that a job asks for while it writes. restore puts it back, and
// writes out what an image that writes through would have.
func (f *jobFiles) cache(im *session.Image, o *fio.Options) (restore func(context.Context) error) {
	if o.Direct && !slices.Contains(f.opened, im) && !slices.Contains(f.hinted, im) &&
		throughCache(im) {
		f.hinted = append(f.hinted, im)
		why := "the image " + im.Name +
			" is open through the page cache; -n or -t none opens it as direct=1 asks"
		f.s.Emit(event.JobNotes{Notes: []fio.Note{{Job: o.Name, Option: "direct", Why: why}}})
	}
	before := im.Dev.WriteThrough()
	im.Dev.SetWriteThrough(o.Sync)
	return func(ctx context.Context) error {
		im.Dev.SetWriteThrough(before)
		if !before || o.Sync {
			return nil
		}
		return event.FailOp("verify_job", im.Dev.Flush(ctx))
	}
}

// throughCache says whether an image is a file or device that is not opened for direct access.
func throughCache(im *session.Image) bool {
	file, ok := driver.Find[driver.Hosted](im.Dev.Top())
	return ok && file.Info().RequestAlign <= 1
}

// close closes what was opened.
func (f *jobFiles) close(ctx context.Context) (err error) {
	for _, im := range f.opened {
		err = f.s.Also(err, f.s.Close(ctx, im))
	}
	f.s.Use(f.current)
	return err
}
