package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/fio"
	"github.com/blksh/blksh/verify/job"
)

// journalFile is the file of a journal. What an earlier job noted there is gone with the first
// thing that this one notes.
type journalFile struct {
	*target.File
	begun bool
}

// Write appends to the journal.
func (j *journalFile) Write(p []byte) (int, error) {
	if !j.begun && j.Regular {
		if err := j.Truncate(0); err != nil {
			return 0, err
		}
	}
	j.begun = true
	return j.File.Write(p)
}

// end closes the journal. A new one in which nothing was noted is removed.
func (j *journalFile) end() error {
	err := j.File.Close
	if j.begun {
		err = j.Commit
	}
	return event.FailFile(j.Name(), bare(err()))
}

// openJournal makes the file of a journal, or opens the one that a job goes on with which was
// stopped.
func (b *blockJob) openJournal(ctx context.Context, s *session.Session, name string) error {
	resumes := b.resume.from > 0
	file, err := s.ChangeFile(ctx,
		session.Target{Name: name, Existing: resumes, Over: func(head []byte, _ int64) error {
			return session.Only(job.IsJournal(head), "is there already and no journal")
		}})
	if err != nil {
		return err
	}
	b.journal = &journalFile{File: file, begun: resumes}
	if !resumes {
		return nil
	}
	if err := b.resumeJournal(ctx); err != nil {
		file.Close()
		return event.FailFile(name, bare(err))
	}
	return nil
}

// resumeJournal reads the journal and cuts off what was being written when the job was stopped.
func (b *blockJob) resumeJournal(ctx context.Context) (err error) {
	if b.before, err = job.ReadJournal(ctx, b.journal); err != nil {
		return err
	}
	if err := b.journal.Truncate(b.before.Size); err != nil {
		return err
	}
	_, err = b.journal.Seek(b.before.Size, io.SeekStart)
	return err
}

// openState makes the file that fio's state of a job goes to when it ends. It takes the place of
// another state, and of nothing else.
func openState(ctx context.Context, s *session.Session, name string) (*target.File, error) {
	return s.ReplaceFile(ctx,
		session.Target{Name: name, Durable: true, Over: func(head []byte, size int64) error {
			return session.Only(fio.IsState(head, size), "is there already and no state file")
		}})
}

// saveState writes the state of a job and ends the file.
func saveState(state *fio.State, file *target.File) error {
	_, err := file.Write(state.Append(nil))
	if err == nil {
		err = file.Commit()
	}
	return event.FailFile(file.Name(), bare(err))
}

// dumpInto makes the files of bad blocks in a directory.
func dumpInto(ctx context.Context, s *session.Session,
	dir string,
) func(file string, data []byte) error {
	return func(name string, data []byte) error {
		path := filepath.Join(dir, filepath.Base(name))
		file, err := s.ReplaceFile(ctx, session.Target{Name: path, NoLinks: true})
		var told *event.Failure
		if errors.As(err, &told) { // which is told of when the job ends
			err = fmt.Errorf("%s: %w", path, told.Event.(event.FileError).Err)
		}
		if err != nil {
			return err
		}
		if _, err := file.Write(data); err != nil {
			return errors.Join(err, file.Close())
		}
		return file.Commit()
	}
}
