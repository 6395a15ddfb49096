package commands

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/target"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/copier"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/stream"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
)

var copyCommand = session.Command{
	Name:      "copy",
	Group:     session.GroupImages,
	Args:      "[-cnU] [-f format] [-o options] [--bitmap name [-b backing -F format]] [--verify] [--resume] [--shard k/n] [source] target",
	Elsewhere: []string{"convert", "dd", "clone"},
	Short:     "copies an image into another one of any format",
	Long: ` Examples:
 copy disk.qcow2 disk.raw
 copy -c -f qcow2 -o compression_type=zstd disk.raw small.qcow2
 copy --verify small.qcow2           the current image, read back in the end
 copy -n disk.qcow2 other.raw        into what is there already
 copy --bitmap sunday -b full.qcow2 -F qcow2 disk.qcow2 monday.qcow2
 copy --bitmap sunday -n nbd://host/disk full.raw

 What the source knows to be zero is not read, and no zeroes are written where
 there are some. A new image is filled under the name TARGET.part and gets its
 own name when all of it is on stable storage; until then TARGET is as it was.
 What a copy that was stopped has done stands in TARGET.part.json, and --resume
 goes on there when it has found both images to agree that far.

 With --force a file that is there is replaced, and a device is written to. -n
 writes into an image or a device as it is, or into an open image by its name;
 what it has behind the end of the source stays. Then --journal FILE makes it
 possible to go on. With --shard several runs fill one target, which has to be
 there, each with a journal of its own; see 'help shards'.
`,
	New: func(f *session.Flags) session.Run {
		c := &copyJob{cfg: blockdev.CreateConfig{Options: &blockdev.Options{}}}
		c.source = session.Opening{ReadOnly: true}
		formatFlags(f, &c.cfg, &c.options)
		f.Text(&c.bitmap, 0, "bitmap", args.Text("NAME"),
			"copy only what is dirty in this bitmap of the source")
		f.Text(&c.cfg.Backing, 'b', "backing", args.File,
			"with --bitmap: what holds the rest, relative to the target")
		f.Text(&c.cfg.BackingFormat, 'F', "backing-format", args.Format, "format of that")
		f.Bool(&c.compressed, 'c', "compress", "store the data compressed")
		f.Bool(&c.existing, 'n', "existing", "make no new image, write into one that is there")
		f.Text(&c.source.Format, 0, "source-format", args.Format,
			"format of the source, which is guessed otherwise")
		f.Bool(&c.source.ForceShare, 'U', "force-share",
			"share the source with programs that write it")
		f.Bool(&c.cfg.Force, 0, "force",
			"also over a file that is there, or onto a device; never if that is in use")
		f.Bool(&c.verify, 0, "verify", "read the copy back and compare it with the source")
		f.Bool(&c.resume, 0, "resume", "go on with a copy that was stopped")
		f.Text(&c.journal, 0, "journal", args.File, "note there how far the copy is")
		f.Shard(&c.shard, "resume", "journal")
		f.Word("source", args.ImageFile, word(&c.source.Name))
		f.OptWord("target", args.ImageFile, word(&c.name))
		f.Check("current", func() error {
			if f.Operands() == 1 {
				c.name, c.source.Name = c.source.Name, ""
			}
			switch {
			case c.name == stdout:
				return event.BadValuef("copy makes an image, which - is not: 'read -o -' writes the bytes to standard output, ./- is a file of that name")
			case f.Operands() == 1 && f.Image() == nil:
				return event.Fail(event.NoFile{})
			}
			return nil
		})
		f.Conflict("o-n", "-o is for new images; -n takes one that is there as it is", func() bool {
			return c.existing && c.cfg.Options.Len() > 0
		})
		f.Conflict("b-F", backingNeedsFormat, func() bool {
			return (c.cfg.Backing == "") != (c.cfg.BackingFormat == "")
		})
		f.Conflict("bitmap-b", "-b is for --bitmap: a whole copy stands on nothing", func() bool {
			return c.cfg.Backing != "" && (c.bitmap == "" || c.existing)
		})
		const rest = "--bitmap copies what has changed: -b says what holds the rest, or -n writes into it"
		f.Conflict("bitmap", rest, func() bool {
			return c.bitmap != "" && c.cfg.Backing == "" && !c.existing
		})
		return c.run
	},
}

// copyJob is one call of copy.
type copyJob struct {
	source                       session.Opening
	name                         string // of the target
	cfg                          blockdev.CreateConfig
	options                      string // as they were given
	compressed, existing, verify bool
	resume                       bool
	journal                      string
	bitmap                       string // "" for all of the source
	shard                        session.Shard

	path   string // of the file that is to be made; "" if the copy is made in place
	part   string // where it is made
	span   scope  // what of both images is copied
	from   *blockdev.Device
	to     *blockdev.Device
	notes  *copyJournal
	result event.Copied
}

func (c *copyJob) run(ctx context.Context, s *session.Session, im *session.Image) (err error) {
	var free func() error
	if c.from, free, err = sourceOf(ctx, s, im, c.source); err != nil {
		return err
	}
	if c.source.Name == "" {
		c.source.Name = im.Describe().Path
	}
	defer func() { err = s.Also(err, free()) }()
	c.cfg.Size = c.from.Size()
	if c.bitmap != "" { // it is there, and true
		if _, _, err := c.from.DirtyRun(ctx, c.bitmap, 0, min(1, c.cfg.Size)); err != nil {
			return bitmapFailed("copy", err)
		}
	}
	c.span.Len = c.cfg.Size
	c.result.Name = c.name
	if err := c.prepare(ctx, s); err != nil {
		return err
	}
	if c.shard.N > 0 && !takeShard(s, &c.shard, &c.span,
		event.Shard{Op: "copy", Block: shardBlock, Size: c.from.Size()}) {
		return nil
	}
	c.result.Range = c.span.Range
	from, err := c.begin(ctx, s)
	if err != nil {
		c.giveUp(s)
		return err
	}
	if err := c.fill(ctx, s, from); err != nil {
		return err
	}
	return c.finish(ctx, s)
}

// prepare settles where the copy is made, and makes the new image there.
func (c *copyJob) prepare(ctx context.Context, s *session.Session) error {
	c.part = c.name
	if c.existing {
		return nil
	}
	if err := settleFormat(s, "copy", c.name, &c.cfg); err != nil {
		return err
	}
	path := strings.TrimPrefix(pathIn(c.name), "file:")
	_, elsewhere := driver.SplitPrefix(path)
	if d := blockdev.ProtocolOf(path, s.Drivers); elsewhere || d == nil || d.Place == nil {
		path = ""
	}
	st, err := os.Stat(path)
	switch {
	case err == nil && !st.Mode().IsRegular():
		// A raw image on a device is the device as it is.
		if c.cfg.Force && c.cfg.Format == "raw" && c.cfg.Options.Len() == 0 {
			c.existing = true
			return nil
		}
	case c.shard.N > 0:
		return event.Conflictf("--shard fills a part of an image that is there: " +
			"make it with create, and copy with -n")
	case path != "":
		c.path = target.Destination(path)
		c.part = plainName(c.path + partSuffix)
		c.journal = cmp.Or(c.journal, c.path+partSuffix+journalSuffix)
		if err := s.MayRename(ctx, c.path, c.cfg.Force); err != nil {
			return createFailed("copy", c.name, err)
		}
	}
	if c.resume {
		if c.path != "" && !copyNoted(c.journal) {
			return event.Conflictf("there is no copy to go on with: %s does not say how far one into %s came; "+
				"without --resume it begins, and with --force anew", c.journal, c.part)
		}
		return nil
	}
	_, err = s.MakeImage(ctx, c.part, c.cfg)
	switch there := c.path != "" && errors.Is(err, fs.ErrExist); {
	case there && !copyNoted(c.journal):
		return event.Conflictf("%s is there already, and no %s says how far a copy into it came; "+
			"--force begins anew", c.part, c.journal)
	case there:
		return event.Conflictf("%s is there already, from a copy that was not finished; "+
			"--resume goes on with that, --force begins anew", c.part)
	case err != nil:
		return createFailed("copy", c.name, err)
	}
	return nil
}

const (
	// partSuffix is behind the name of an image that is not whole yet, journalSuffix behind that in
	// the name of its journal.
	partSuffix    = ".part"
	journalSuffix = ".json"
)

// plainName is a path as the name of an image: a colon in it names no protocol.
func plainName(path string) string {
	if before, _, ok := strings.Cut(path, ":"); ok && !strings.Contains(before, "/") {
		return "./" + path
	}
	return path
}

// begin opens the journal and the target, and says from where on to copy.
func (c *copyJob) begin(ctx context.Context, s *session.Session) (from int64, err error) {
	if c.resume { // the journal knows as what the target can be opened
		if c.journal == "" {
			return 0, event.Conflictf("--resume needs the --journal of the copy that was stopped")
		}
		if from, err = c.openJournal(ctx, s); err != nil {
			return 0, err
		}
	}
	if err := c.openTarget(ctx, s); err != nil {
		return 0, err
	}
	info, there := c.to.Info(), c.to.Size()
	switch {
	case there < c.cfg.Size:
		return 0, event.Conflictf("%s is too short: it has %s, the source %d", c.name,
			units.Bytes(there),
			c.cfg.Size)
	case c.compressed && info.WriteTakes&driver.Compressed == 0:
		return 0, event.Conflictf("-c: images of the format %s are not compressed", info.Driver)
	}
	if !c.resume && c.journal != "" { // that of an earlier copy is kept until this one can begin
		if from, err = c.openJournal(ctx, s); err != nil {
			return 0, err
		}
	}
	from = max(from, c.span.Off)
	return from, c.compare(ctx, s, c.to, from-c.span.Off)
}

// openJournal opens the journal, and says how far the copy came that it is of.
func (c *copyJob) openJournal(ctx context.Context, s *session.Session) (from int64, err error) {
	c.notes, from, err = openCopyJournal(ctx, s, c.journal, c.record(), c.resume)
	return from, err
}

// giveUp ends a copy that has changed nothing. What was made for it is removed again.
func (c *copyJob) giveUp(s *session.Session) {
	_ = c.closeTarget(s) // nothing was written
	_ = c.notes.end(!c.resume)
	if c.path != "" && !c.resume {
		_ = os.Remove(c.part)
	}
}

// openTarget opens what is to be written.
func (c *copyJob) openTarget(ctx context.Context, s *session.Session) (err error) {
	if im := s.Named(c.name); im != nil && c.existing {
		if c.to = im.Dev; c.to == c.from {
			return intoItself()
		}
		return event.FailOp("copy", c.to.NeedWrite(ctx, false))
	}
	c.to, err = s.OpenToWrite(ctx, c.opening(false), false)
	if err == nil && c.to.SameStorage(c.from) {
		return intoItself()
	}
	return err
}

func intoItself() error { return event.Conflictf("an image cannot be copied into itself") }

func (c *copyJob) opening(readOnly bool) session.Opening {
	return session.Opening{
		Name: c.part, Format: c.cfg.Format, ReadOnly: readOnly, Options: keySecrets(c.cfg.Options),
	}
}

// keySecrets are those options of a new image that say which secret opens it once it is made.
func keySecrets(made *blockdev.Options) *blockdev.Options {
	o := &blockdev.Options{}
	for _, key := range made.Keys() {
		if key == "key-secret" || strings.HasSuffix(key, ".key-secret") {
			o.Set(key, made.String(key))
		}
	}
	return o
}

// closeTarget closes the target if the copy has opened it.
func (c *copyJob) closeTarget(s *session.Session) error {
	if c.to == nil || c.existing && s.Named(c.name) != nil {
		return nil
	}
	return s.CloseBeside(c.to)
}

// record describes the copy for its journal.
func (c *copyJob) record() copyRecord {
	r := copyRecord{
		Version: copyVersion, Source: event.WithoutPasswords(c.source.Name), Size: c.cfg.Size,
		Target: event.WithoutPasswords(c.name),
		Format: c.cfg.Format, Options: c.options, Bitmap: c.bitmap, Compressed: c.compressed,
		K: c.shard.K, N: c.shard.N, End: c.result.Range.End(),
	}
	st, err := os.Stat(strings.TrimPrefix(pathIn(c.part), "file:"))
	if err != nil {
		return r // a target that is no file of this host
	}
	if own, ok := st.Sys().(*syscall.Stat_t); ok && st.Mode().IsRegular() {
		r.Device, r.Inode = own.Dev, own.Ino
	} else if ok {
		r.Device = own.Rdev
	}
	return r
}

// compare makes sure that n bytes from where the copy begins are in a device as they are in the
// source.
func (c *copyJob) compare(
	ctx context.Context, s *session.Session, with *blockdev.Device, n int64,
) error {
	if n == 0 {
		return nil
	}
	part := span(c.span.Off, n)
	found := verify.NewDiff(fewPlaces)
	if err := part.compare(ctx, s, c.from, with, found); err != nil {
		return err
	}
	if found.Count > 0 {
		return event.Fail(event.Different{Range: part.Range, Name: c.part, Places: *found})
	}
	return nil
}

// fill copies what lies behind from, and closes the target.
func (c *copyJob) fill(ctx context.Context, s *session.Session, from int64) error {
	if s.Workers != nil {
		defer s.Workers(copier.Workers)()
	}
	add, end := s.Track("copy", c.span.Len)
	add(from - c.span.Off)
	var result copier.Result
	err := s.Do(ctx, func(ctx context.Context) (err error) {
		result, err = copier.Copy{
			From: c.from, To: c.to, Off: from, Len: c.result.Range.End() - from,
			Compressed: c.compressed,
			Zeroed:     c.makesZeroes(), Only: c.pick(),
			Saved: c.notes.saved, Progress: add,
		}.Run(ctx)
		return err
	})
	end()
	c.result.Format, c.result.Written = c.to.Info().Driver, result.Written
	if c.existing && c.result.Range.End() == c.cfg.Size {
		c.result.Behind = c.to.Size() - c.cfg.Size
	}
	done := from + result.Done - c.span.Off
	err = stopped(ctx, "copy", c.result.Range, done, err)
	if err = s.Also(err, c.closeTarget(s)); err != nil {
		c.leave(s, from+result.Durable-c.span.Off)
	}
	return err
}

// makesZeroes says whether the target is new and reads as zeroes.
func (c *copyJob) makesZeroes() bool {
	return !c.existing && !c.resume && c.cfg.Backing == "" && !c.to.Info().NeedsZeroInit
}

// pick is what of the source is to be copied.
func (c *copyJob) pick() stream.Pick {
	if c.bitmap == "" {
		return nil
	}
	return func(ctx context.Context, off, n int64) (end int64, wanted bool, err error) {
		return c.from.DirtyRun(ctx, c.bitmap, off, n)
	}
}

// leave says what stands where, after a failure.
func (c *copyJob) leave(s *session.Session, done int64) {
	resumes := c.notes.end(false) == nil && c.notes != nil
	s.Emit(event.Unfinished{
		Name: c.name, Part: c.part, InPlace: c.path == "", Resumes: resumes,
		Range: c.result.Range, Done: done,
	})
}

// finish reads the copy back if that was asked for, and gives it its name.
func (c *copyJob) finish(ctx context.Context, s *session.Session) error {
	if c.verify {
		if err := c.readBack(ctx, s); err != nil {
			c.leave(s, c.span.Len)
			return err
		}
		c.result.Verified = true
	}
	if c.path != "" {
		if err := s.RenameImage(ctx, c.part, c.path, c.cfg.Force); err != nil {
			c.leave(s, c.span.Len)
			return createFailed("copy", c.name, err)
		}
	}
	s.Emit(c.result)
	return event.FailFile(c.journal, bare(c.notes.end(true)))
}

// readBack compares the copy with the source, through an image that is opened anew.
func (c *copyJob) readBack(ctx context.Context, s *session.Session) (err error) {
	if im := s.Named(c.name); im != nil && c.existing {
		return c.compare(ctx, s, im.Dev, c.span.Len)
	}
	dev, err := s.OpenBeside(ctx, c.opening(true))
	if err != nil {
		return err
	}
	return s.Also(c.compare(ctx, s, dev, c.span.Len), s.CloseBeside(dev))
}
