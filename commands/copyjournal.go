package commands

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
)

// copyRecord is the first line of the journal of a copy: what is copied to what. Behind it stands a
// line for each time that the copy was made durable, of which the last one counts.
type copyRecord struct {
	Version int    `json:"blksh_copy"`
	Source  string `json:"source"`
	Size    int64  `json:"size"` // of the source, in bytes
	Target  string `json:"target"`
	// Device and Inode tell the file or device apart that is filled; 0 if it is neither.
	Device     uint64 `json:"device"`
	Inode      uint64 `json:"inode"`
	Format     string `json:"format,omitempty"`
	Options    string `json:"options,omitempty"`
	Bitmap     string `json:"bitmap,omitempty"`
	Compressed bool   `json:"compressed,omitempty"`
	// K and N are the part of the source that is copied, 0 if it is all.
	K int64 `json:"shard,omitempty"`
	N int64 `json:"shards,omitempty"`
	// End is where that part ends, which follows from them.
	End int64 `json:"-"`
}

// copyMark is a later line.
type copyMark struct {
	Done int64 `json:"done"` // the offset behind what is durable
}

const (
	copyVersion = 1
	// copyMagic is how the journal of a copy begins.
	copyMagic = `{"blksh_copy":`
	// longestLine bounds a line of a journal, in bytes: names can be long.
	longestLine = 64 << 10
)

// copyJournal is the journal of a copy on its way. nil notes nothing.
type copyJournal struct{ file *target.File }

// copyNoted says whether a copy has begun the journal of that name: one that was killed early has
// left none, or an empty one.
func copyNoted(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Size() > 0
}

// openCopyJournal makes a journal, or opens that of a copy which was stopped and reads how far it
// came.
func openCopyJournal(
	ctx context.Context, s *session.Session, name string, r copyRecord, resume bool,
) (j *copyJournal, done int64, err error) {
	over := func(head []byte, _ int64) error {
		if strings.HasPrefix(string(head), copyMagic) {
			return nil
		}
		return &session.RefusedError{
			Why:    "is there already and is no journal of a copy",
			Advice: "--journal names another file",
		}
	}
	file, err := s.ChangeFile(ctx,
		session.Target{Name: name, Existing: resume, NoLinks: true, Over: over})
	if err != nil {
		return nil, 0, err
	}
	j = &copyJournal{file}
	if resume {
		done, err = j.read(r)
	} else if err = file.Truncate(0); err == nil {
		err = j.note(r)
	}
	if !event.IsFailure(err) {
		err = event.FailFile(name, bare(err))
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close()) // which removes one that was made
	}
	return j, done, nil
}

// read reads the journal of a copy of the same kind. What was being written when that was stopped
// is cut off.
func (j *copyJournal) read(want copyRecord) (done int64, err error) {
	size, done, err := readCopy(j.file, want)
	if err != nil {
		return 0, err
	}
	if err := j.file.Truncate(size); err != nil {
		return 0, err
	}
	_, err = j.file.Seek(size, io.SeekStart)
	return done, err
}

// readCopy reads how far a copy came. Size is how much of the journal, in bytes, is made of whole
// lines.
func readCopy(r io.Reader, want copyRecord) (size, done int64, err error) {
	lines := bufio.NewReaderSize(io.LimitReader(r, 1<<30), longestLine)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && size == 0:
			return 0, 0, errors.New("nothing is recorded in it")
		case err == io.EOF:
			return size, done, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return 0, 0, errors.New("a line of it is longer than any that a copy writes")
		case err != nil:
			return 0, 0, err
		}
		var had copyRecord
		var mark copyMark
		switch {
		case size > 0 && (json.Unmarshal(line, &mark) != nil || mark.Done < done ||
			mark.Done > want.End):
			return 0, 0, errors.New("a line of it is no record of how far a copy came")
		case size > 0:
			done = mark.Done
		case json.Unmarshal(line, &had) != nil:
			return 0, 0, errors.New("its first line is no record of a copy")
		default:
			if err := had.differs(want); err != nil {
				return 0, 0, err
			}
		}
		size += int64(len(line))
	}
}

// differs says what keeps a copy from going on as another one.
func (r copyRecord) differs(want copyRecord) error {
	what := ""
	switch {
	case r.Version != copyVersion:
		what = "another version of blksh wrote the journal"
	case r.Size != want.Size:
		what = fmt.Sprintf("the source was %s long, and is %d now", units.Bytes(r.Size),
			want.Size)
	case r.Device != want.Device || r.Inode != want.Inode:
		what = "it was begun with another file or device than " + want.Target + " is now"
	case r.K != want.K || r.N != want.N:
		what = fmt.Sprintf("it was begun as %s, not as %s", r.shard(), want.shard())
	case r.Format != want.Format || r.Options != want.Options || r.Bitmap != want.Bitmap ||
		r.Compressed != want.Compressed:
		what = "it was begun with other options: " + r.flags()
	default:
		return nil
	}
	return event.Conflictf("the copy cannot go on: %s", what)
}

// shard is which part of the source is copied.
func (r copyRecord) shard() string {
	if r.K == 0 && r.N == 0 {
		return "a copy of all of the source"
	}
	return fmt.Sprintf("shard %d of %d", r.K, r.N)
}

// flags are the options of a copy as they are written.
func (r copyRecord) flags() string {
	words := []string{"-f " + r.Format}
	if r.Options != "" {
		words = append(words, "-o "+r.Options)
	}
	if r.Bitmap != "" {
		words = append(words, "--bitmap "+r.Bitmap)
	}
	if r.Compressed {
		words = append(words, "-c")
	}
	return strings.Join(words, " ")
}

// saved notes how far the copy is durable.
func (j *copyJournal) saved(done int64) error {
	if j == nil {
		return nil
	}
	return j.note(copyMark{done})
}

// note appends a line and makes it durable.
func (j *copyJournal) note(line any) error {
	text, err := json.Marshal(line)
	if err == nil {
		_, err = j.file.Write(append(text, '\n'))
	}
	if err == nil && j.file.Regular {
		err = j.file.Sync()
	}
	return err
}

// end closes the journal, and removes it if the copy is whole.
func (j *copyJournal) end(whole bool) error {
	if j == nil {
		return nil
	}
	err := j.file.Commit()
	if whole && j.file.Regular {
		err = errors.Join(err, os.Remove(j.file.Name()))
	}
	return err
}
