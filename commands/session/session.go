package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// Printer turns events into output.
type Printer interface {
	// Print shows an event, and says whether the dialect has words for it.
	Print(at event.Where, e event.Event) bool
	// Flush writes out what is buffered.
	Flush()
}

// Config is what a session is made of. Streams, clock and signals are the caller's.
type Config struct {
	Table   *Table
	Policy  Policy
	Printer Printer
	Drivers []blockdev.Driver
	// Step: a command ends only when every request has finished or stands still, so that the same
	// lines always give the same output.
	Step bool
	// Interactive: a person types the lines.
	Interactive bool
	// Misalign: buffers begin 16 bytes behind a page.
	Misalign bool
	// ImageOpts: the operand of open is an option string.
	ImageOpts bool
	// Timeless: nothing is said of what a clock tells.
	Timeless bool
	// Now is the clock. Requests look at it on their own goroutines.
	Now func() time.Time
	// About is which program this is, Dialects the names of those it speaks.
	About    func() event.Version
	Dialects []string
	// Topics are what help tells about besides commands, sorted by name.
	Topics []Topic
	// Raise sends the process a signal as a C program would get it, Abort ends it with SIGABRT.
	Raise func(signal int)
	Abort func()
	// Ready returns when a signal would end the session in order. It is called before a file is
	// opened or made, and before a pause; nil if there is nothing to wait for.
	Ready func()
	// Trace gets every request of every layer; nil traces nothing.
	Trace func(blockdev.TraceEvent)
	// Stdin is for commands that take bytes from there, nil if lines come from it.
	Stdin *os.File
	// NoBytes: the output is made of objects, and bytes as they are have no place in it.
	NoBytes bool
	// BackingDevices: images may name devices of the host as what they stand on.
	BackingDevices bool
	// Announce: what is opened is described.
	Announce bool
	// Confirm asks the person who types the lines. nil: nobody can be asked.
	Confirm func(ctx context.Context, question string) (answer string, err error)
	// Ask asks for a passphrase that no option gives, see blockdev.OpenConfig. nil: nobody can be
	// asked.
	Ask func(ctx context.Context, q driver.Question) (blockdev.Secret, error)
	// Screen shows an empty screen on the terminal. nil: there is none.
	Screen func() (Screen, error)
	// Page begins text that is shown a screen at a time. stop is called when nobody wants more; end
	// returns when all was seen. nil: text scrolls away.
	Page func(ctx context.Context, stop func()) (end func())
	// Style is that of bytes that are shown where nobody names one, "" for the usual.
	Style event.DumpStyle
	// LogFolder is where logs of changes are that nobody named, "" if nobody knows.
	LogFolder string
	// Workers is told that n goroutines are going to wait in the kernel, until done is called. It
	// may be nil.
	Workers func(n int) (done func())
	// Hurry has output given up that nobody reads for a while, until done is called. It may
	// be nil.
	Hurry func() (done func())
	// Source runs the commands of a file. nil: nothing comes from elsewhere.
	Source func(ctx context.Context, name string) error
	// Reports makes pages about what commands did. It may be zero where no command asks for them.
	Reports Reports
	// Progress begins work that may take long. add counts bytes that are done, from any goroutine;
	// end ends it. It may be nil.
	Progress func(w Work) (add func(n int64), end func())
}

// Session runs lines. Its methods belong to one goroutine, but for Notify.
type Session struct {
	Config
	images  []*Image
	byName  map[string]*Image
	current *Image
	flying  int      // requests in the background, of all images
	held    int64    // how much memory they hold, in bytes
	holding int      // images of which a layer may hold requests
	damaged *damaged // in its place, nil if there is none
	objects map[string]any
	status  int // of failures but the next
	givenUp int // of requests that were given up, 0 for none
	ended   bool
	typed   bool // a person typed the line that runs
	named   bool // that person has named a device that it changes
	where   event.Where
	line    int // how many lines there were
	emitted int // how many events there were that belong to no request in the background
	request event.RequestID
	words   []string    // of the line that runs
	account *Account    // of the command that runs, nil if nobody wants one
	queue   []*request  // in the background, in the order in which they were made
	spare   []byte      // see Buffer
	flags   Flags       // of the line that is read
	timer   *time.Timer // see waitFor; stopped in between, nil before
	opened  bool        // an image, ever
	filled  bool        // see Filled

	reserved  map[uint64]*reservation // by the numbers of devices
	confirmed map[uint64]bool

	meter  *wait.Meter
	lastID int64
	wake   chan struct{} // holds a token when one of the queues may have got something

	mu       sync.Mutex
	notices  []blockdev.Notice
	cuts     []driver.ImageCutShort // that the command was told of
	until    context.Context        // see blockdev.OpenConfig; nil before there is an image
	giveUp   context.CancelCauseFunc
	said     []utterance
	devices  []opened // that may not be closed
	finished []*request
}

// ErrInterrupted ends the context of a command that a person wants to end. It is EINTR.
var ErrInterrupted error = interrupted{}

type interrupted struct{}

func (interrupted) Error() string { return "interrupted" }

func (interrupted) Unwrap() error { return syscall.EINTR }

// OutputError ends everything: standard output takes no more.
type OutputError struct{ Err error }

func (o *OutputError) Error() string {
	return "standard output: " + driver.Spoken(o.Err).Error()
}

// Unwrap is the error of writing.
func (o *OutputError) Unwrap() error { return o.Err }

// shown is a failure that the command has told of itself.
type shown struct{ error }

func (s shown) Unwrap() error { return s.error }

// Shown makes err the outcome of a command that has told of it.
func Shown(err error) error { return shown{err} }

// Also is the outcome of a command that failed with err, or did not, and in which more failed
// besides, such as the close of a file: the graver of the two. The other has been shown then, and
// counts where a person has stopped the command.
func (s *Session) Also(err, more error) error {
	switch {
	case more == nil:
		return err
	case err == nil:
		return more
	case s.StatusOf(more) > s.StatusOf(err):
		err, more = more, err
	}
	s.tell(more)
	if errors.Is(err, ErrInterrupted) {
		s.count(more)
	}
	return err
}

// New makes a session without images.
func New(cfg Config) *Session {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ready == nil {
		cfg.Ready = func() {}
	}
	if cfg.Hurry == nil {
		cfg.Hurry = func() func() { return func() {} }
	}
	s := &Session{
		Config: cfg, byName: map[string]*Image{}, objects: map[string]any{}, meter: &wait.Meter{},
		wake:     make(chan struct{}, 1),
		reserved: map[uint64]*reservation{}, confirmed: map[uint64]bool{},
	}
	s.flags = Flags{policy: &s.Policy, imageOpts: s.ImageOpts}
	return s
}

// Emit says something. It belongs to the command that is running or, in a completion, to its
// request.
func (s *Session) Emit(e event.Event) {
	if s.account != nil && s.where.ID == 0 { // requests in the background are not of the command
		s.account.note(e)
	}
	if s.where.ID == 0 {
		s.emitted++
	}
	if s.Timeless {
		e = event.Timeless(e)
	}
	s.Printer.Print(s.where, e)
}

// Mark is how much a session had said, and how many lines it had run.
type Mark struct{ emitted, line int }

// Mark is how far the session is.
func (s *Session) Mark() Mark { return Mark{s.emitted, s.line} }

// Silent says whether nothing was said since a mark.
func (s *Session) Silent(since Mark) bool { return s.emitted == since.emitted }

// Answer says something about the lines since a mark, at the place of the last of them, or at pos
// if there was none.
func (s *Session) Answer(since Mark, pos string, e event.Event) {
	if s.line == since.line {
		s.begin(pos)
	}
	s.Emit(e)
}

// Command is the name of the command that ran last since a mark, as typed, "" if none did.
func (s *Session) Command(since Mark) string {
	if s.line == since.line {
		return ""
	}
	return s.where.Command
}

// Serve notes in whose name lines are run from now on, "" for nobody's.
func (s *Session) Serve(id event.RequestID) { s.request = id }

// errGivenUp is why what waits for a server ends.
var errGivenUp = errors.New("it is waited for no longer")

// GiveUp ends the wait for servers: what waits for one fails, as does what is asked of it later.
// Any goroutine may call it.
func (s *Session) GiveUp() {
	_ = s.untilGivenUp()
	s.giveUp(errGivenUp)
}

// untilGivenUp ends with GiveUp.
func (s *Session) untilGivenUp() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until, s.giveUp = context.WithCancelCause(context.Background())
	}
	return s.until
}

// Status is the exit status so far. Requests that are given up are no loss that a stop hides, since
// that is what it does to them; which of the two is told first makes no difference.
func (s *Session) Status() int { return max(s.status, s.givenUp) }

// Fill notes that a command writes and was not told what.
func (s *Session) Fill() { s.filled = true }

// Filled says that a command wrote and was not told what.
func (s *Session) Filled() bool { return s.filled }

// Ended says that no more lines are wanted.
func (s *Session) Ended() bool { return s.ended }

// End makes the current line the last one.
func (s *Session) End() { s.ended = true }

// Run runs one line, and returns why it failed. Everything has been shown then.
func (s *Session) Run(ctx context.Context, line Line) error {
	s.begin(line.Pos)
	err := s.run(ctx, line)
	if s.Step {
		s.settle(ctx)
	} else {
		s.deliverNotices()
	}
	err = s.outcome(ctx, err)
	if s.Interactive && s.Policy.LastCounts && !s.ended && s.where.Command != "" {
		s.status, s.givenUp = 0, 0
	}
	if err == nil {
		return nil
	}
	stopped := errors.Is(err, ErrInterrupted)
	ends := stopped || errors.As(err, new(*OutputError))
	if line.Fails == Must && event.IsUnknown(err) {
		line.Fails = MustNot
	}
	if ends || line.Fails != Must {
		s.tell(err)
	}
	goesOn := s.Interactive && stopped // a person who stops a command
	if !goesOn && (ends || line.Fails == MustNot) {
		s.count(err)
	}
	return err
}

// begin notes where the line is that runs from now on.
func (s *Session) begin(pos string) {
	s.line++
	s.mu.Lock()
	s.cuts = s.cuts[:0]
	s.mu.Unlock()
	s.where = event.Where{Line: s.line, Pos: pos, Request: s.request}
}

// Within runs the lines of a script that belong to the command that runs, in place of it.
func (s *Session) Within(run func() error) error {
	where, typed := s.where, s.typed
	err := run()
	s.where, s.typed = where, typed
	return err
}

// FailAt shows that a statement at a place, which is no command, failed, counts that, and returns
// why it failed.
func (s *Session) FailAt(pos string, err error) error {
	s.begin(pos)
	return s.Fail(err)
}

// Number reads a number as the commands that are typed now would.
func (s *Session) Number(word string) (int64, error) {
	f := Flags{policy: &s.Policy, env: s.env(s.current), words: []string{word}}
	return f.Number("number", word)
}

// StatusOf is the exit status of a command that ended with err.
func (s *Session) StatusOf(err error) int {
	if err == nil {
		return 0
	}
	return s.Policy.Status(err)
}

// tell shows why something failed.
func (s *Session) tell(err error) {
	if reason, told := reasonOf(err); !told { // output that is lost is the program's to tell
		s.Emit(reason)
	}
}

// count notes what a failure does to the exit status and to the lines that were to come.
func (s *Session) count(err error) {
	stopped, mute := errors.Is(err, ErrInterrupted), errors.As(err, new(*OutputError))
	status := s.Policy.Status(err)
	var failure *event.Failure
	if errors.As(err, &failure) && failure.Event.Kind() == (event.Abandoned{}).Kind() {
		s.givenUp = max(s.givenUp, status)
	} else {
		s.status = s.Policy.Gravest(s.status, status)
	}
	if mute || !s.Interactive && (stopped || s.Policy.StopAtFailure) {
		s.ended = true
	}
}

func (s *Session) run(ctx context.Context, line Line) error {
	words, err := s.split(line)
	if err != nil || len(words) == 0 {
		return err
	}
	s.words = words
	s.where.Command = words[0]
	row := s.Table.Find(words[0])
	if row == nil {
		return event.Fail(event.UnknownCommand{Name: words[0], Near: s.Table.Near(words[0])})
	}
	im := s.current
	if im != nil {
		s.where.Image = im.Name
	}
	if err := s.admit(ctx, row, im, words); err != nil {
		return err
	}
	run, err := s.parse(ctx, row, im, words)
	if err != nil {
		return err
	}
	if err := s.permit(ctx, im, s.flags.needs); err != nil {
		return err
	}
	s.typed, s.named = line.Typed, false
	if s.typed && (row.Needs|s.flags.needs)&(Write|Changes) != 0 {
		if err := s.confirm(ctx, im.admission); err != nil {
			return err
		}
	}
	if s.typed && row.Paged && s.Page != nil {
		return s.page(ctx, func(ctx context.Context) error { return run(ctx, s, im) })
	}
	return run(ctx, s, im)
}

// errSeenEnough ends a command whose text nobody wants any more.
var errSeenEnough = errors.New("seen enough")

// page runs a command whose text a person reads a screen at a time.
func (s *Session) page(ctx context.Context, run func(ctx context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	end := s.Page(ctx, func() { stop(errSeenEnough) })
	err := run(ctx)
	s.Printer.Flush()
	end()
	if errors.Is(context.Cause(ctx), errSeenEnough) {
		return nil
	}
	return err
}

// admit looks at what a command needs before its flags are read.
func (s *Session) admit(ctx context.Context, row *Row, im *Image, words []string) error {
	if row.Needs&File != 0 && im == nil {
		return s.noImage()
	}
	// natively operands are counted, when they are told from flags
	if n := len(words) - 1; row.spec != nil && !row.spec.counts(n) {
		return event.Fail(
			event.BadCount{Name: words[0], Given: n, Min: row.spec.Min, Max: row.spec.Max})
	}
	switch {
	case im == nil:
	case row.Keyless:
		im.told = true
	case row.Needs&File != 0:
		if err := im.unlocked(); err != nil {
			return err
		}
	}
	return s.permit(ctx, im, row.Needs)
}

// Claim makes sure that the command that runs may write to an image besides the one it was called
// on, as if it had been called on that.
func (s *Session) Claim(ctx context.Context, im *Image) error {
	if err := s.permit(ctx, im, Write); err != nil || !s.typed {
		return err
	}
	return s.confirm(ctx, im.admission)
}

// permit makes sure that the image may be written to if that is needed.
func (s *Session) permit(ctx context.Context, im *Image, needs Needs) error {
	if needs&Write == 0 || !s.Policy.AskPermission {
		return nil
	}
	if err := im.unlocked(); err != nil {
		return err
	}
	if err := im.Dev.NeedWrite(ctx, needs&Resize != 0); err != nil {
		if s.Policy.Careful {
			err = im.explain(err)
		}
		return event.FailReport(err)
	}
	return nil
}

func (s *Session) parse(ctx context.Context, row *Row, im *Image, words []string) (Run, error) {
	f := &s.flags
	f.reset(row, s.env(im))
	if im != nil {
		f.position, f.image = im.Position, im
	}
	f.ctx = ctx
	run := row.declare(f)
	if row.order == nil {
		row.order = f.order()
	}
	run, err := f.parse(words[0], words[1:], run, row.order)
	for _, w := range f.warnings {
		s.Emit(w)
	}
	return run, s.misuse(row, err)
}

// env is what numbers may be relative to while commands go to an image, which may be none.
func (s *Session) env(im *Image) args.Env {
	if im == nil {
		return args.Env{End: -1}
	}
	return args.Env{End: im.Dev.Size(), Block: im.Dev.Block()}
}

// misuse turns words that cannot be the command's into a failure that tells how it is called. Any
// other error stays as it is.
func (s *Session) misuse(row *Row, err error) error {
	var failure event.Usage
	var option *args.OptionError
	var words *wordsError
	switch {
	case errors.As(err, &option):
		failure.Option, failure.Near = option, NearOption(option, row.Options())
	case errors.As(err, &words):
		failure.Missing, failure.Extra = words.missing, words.extra
	default:
		return err
	}
	of := s.Table.usageRow(row)
	failure.Synopsis = of.Synopsis(of.Name)
	return event.Fail(failure)
}

// Fail shows the failure of something that is no command, such as an option of the program, counts
// it as one, and returns it.
func (s *Session) Fail(err error) error {
	s.tell(err)
	s.count(err)
	return err
}

// Passphrase is a copy of the secret id, or if that is "" what a person answers to q.
func (s *Session) Passphrase(ctx context.Context, id string,
	q driver.Question,
) (blockdev.Secret, error) {
	object := s.objects[id]
	secret, ok := object.(blockdev.Secret)
	switch {
	case id == "" && s.Ask != nil:
		return s.Ask(ctx, q)
	case id == "":
		return nil, errors.New("nobody can be asked for a passphrase; --secret names one")
	case object == nil:
		return nil, fmt.Errorf("there is no secret '%s'; --object secret,id=%s,file=... makes one",
			id, id)
	case !ok:
		return nil, fmt.Errorf("'%s' is not a secret", id)
	}
	return append(blockdev.Secret{}, secret...), nil
}

// SetObject gives an id to what options of drivers refer to by it, such as a driver.Secret.
func (s *Session) SetObject(id string, object any) { s.objects[id] = object }
