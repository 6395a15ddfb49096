package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// Reports makes pages about what commands did.
type Reports struct {
	Mark  string // what each page begins with, and nothing else does
	Write func(w io.Writer, a *Account) error
}

// Account is what one command said and how it ended, for a report about it.
type Account struct {
	Words  []string // of its line
	Image  event.Image
	On     bool // it had an image
	Events []event.Event
	More   int // how many events there were besides, which are not kept
	Began  time.Time
	Took   time.Duration
	// Reason says why it failed, nil if it did not. Told: it is the last of the events, or said by
	// those that are there.
	Reason event.Reason
	Told   bool
}

// mostKept is how many events an account has: all of a command that sums up, and the beginning of
// one that lists what it finds.
const mostKept = 2000

// recount runs a command and writes down what it says. The error is that of the command.
func (s *Session) recount(ctx context.Context, im *Image, run Run) (*Account, error) {
	a := &Account{Words: s.words, Began: s.Now()}
	if im != nil {
		a.Image, a.On = im.Describe(), true
	}
	s.account = a
	defer func() { s.account = nil }()
	err := s.outcome(ctx, run(ctx, s, im))
	a.Took = s.Now().Sub(a.Began)
	a.Reason, a.Told = reasonOf(err)
	return a, err
}

// Reporting says whether a report is made of what the command that runs says.
func (s *Session) Reporting() bool { return s.account != nil }

// Record adds to the report, if one is made, what is not shown otherwise.
func (s *Session) Record(e event.Event) {
	if s.account != nil {
		s.account.Events = append(s.account.Events, e)
	}
}

// note keeps what the command said, up to a limit.
func (a *Account) note(e event.Event) {
	if len(a.Events) >= mostKept {
		a.More++
		return
	}
	a.Events = append(a.Events, e)
}

// reasonOf is the event that tells of an error, nil for none, and whether it was shown already.
func reasonOf(err error) (reason event.Reason, told bool) {
	var failure *event.Failure
	switch {
	case err == nil:
		return nil, false
	case errors.As(err, &failure):
		return failure.Event, errors.As(err, new(shown))
	}
	return event.Report{Err: err}, errors.As(err, new(*OutputError))
}

// reported gives a command the flag --report, with which it also writes a page about what it did,
// however it ends.
func reported(f *Flags, run Run) Run {
	name := ""
	f.Text(&name, 0, "report", args.File,
		"write a page of HTML about what was done and found")
	return func(ctx context.Context, s *Session, im *Image) error {
		if name == "" {
			return run(ctx, s, im)
		}
		return s.report(ctx, name, im, run)
	}
}

// report runs a command and writes a page about it. The file is found before the command begins,
// which may take long.
func (s *Session) report(ctx context.Context, name string, im *Image, run Run) error {
	file, err := s.ReplaceFile(ctx, Target{Name: name, Over: func(head []byte, _ int64) error {
		return Only(bytes.HasPrefix(head, []byte(s.Reports.Mark)),
			"is there already and is no report")
	}})
	if err != nil {
		return err
	}
	a, err := s.recount(ctx, im, run)
	failed := s.Reports.Write(file, a)
	if failed == nil {
		failed = file.Commit()
	}
	if failed == nil {
		s.Emit(event.Reported{Name: name})
		return err
	}
	_ = file.Close()
	return s.Also(err, event.FailFile(name, withoutPath(failed)))
}
