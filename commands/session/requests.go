package session

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/wait"
	"github.com/blksh/blksh/commands/event"
)

// request is one call into the block layer on a goroutine of its own.
type request struct {
	id    int64
	where event.Where
	im    *Image
	then  func(error) error // nil: somebody waits for it
	held  int64             // memory, in bytes
	err   error
	over  bool // taken from the queue of finished ones

	span     event.Range // what it is about
	began    time.Time
	cancel   context.CancelCauseFunc
	canceled bool // somebody gave it up
}

// patience is how long a request that somebody waits for may take before it is asked whether it
// ever can end. It affects nothing but when a standstill is noticed.
const patience = 20 * time.Millisecond

// headStart is how long a background request may go before the next line is read. QEMU's requests
// run on the thread of the prompt up to their first wait, so what they say until then comes before
// the next prompt.
const headStart = time.Millisecond

// start calls op on another goroutine. The meter counts it until the request is in the queue of
// finished ones.
func (s *Session) start(ctx context.Context, r *request, op func(context.Context) error) {
	s.lastID++
	r.id = s.lastID
	s.meter.Add(1)
	ctx = wait.WithMeter(ctx, s.meter)
	go func() {
		r.err = op(ctx)
		s.mu.Lock()
		s.finished = append(s.finished, r)
		s.mu.Unlock()
		s.poke()
		s.meter.Add(-1)
	}()
}

func (s *Session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Notify queues what a layer of the block stack has to say. Any goroutine may call it. What is gone
// of an image is told once in each command that needs it, however many requests do.
func (s *Session) Notify(n blockdev.Notice) {
	if s.note(n) {
		s.poke()
	}
}

// note queues a notice that is new.
func (s *Session) note(n blockdev.Notice) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cut, is := n.(driver.ImageCutShort); is {
		if slices.Contains(s.cuts, cut) {
			return false
		}
		s.cuts = append(s.cuts, cut)
	}
	s.notices = append(s.notices, n)
	return true
}

// Request is Do for a request that a command calls op: the error is an event.Failure.
func (s *Session) Request(ctx context.Context, op string, do func(context.Context) error) error {
	return event.FailOp(op, s.Do(ctx, do))
}

// Do runs one request and waits for it. Completions of others are delivered meanwhile. If nothing
// can make it end any more, because it waits for a request that stands at a breakpoint, its context
// is cancelled with EDEADLK.
//
// With nothing else in flight and no layer that could hold it, a request can wait for nothing but
// the system. Then it needs no goroutine of its own.
func (s *Session) Do(ctx context.Context, op func(context.Context) error) error {
	if s.alone() {
		s.meter.Add(1)
		defer s.meter.Add(-1)
		err := op(wait.WithMeter(ctx, s.meter))
		s.deliverNotices()
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &request{}
	s.start(ctx, r, op)
	if !s.waitFor(ctx, r, func() bool { return r.over }) {
		cancel(syscall.EDEADLK)
		for !r.over {
			<-s.wake
			s.collect(r)
		}
	}
	return r.err
}

// mostHeld is how much memory requests in the background may hold, in bytes.
const mostHeld = 512 << 20

// Room waits until requests in the background leave room for one more that holds n bytes. It fails
// if they stand still for ever.
func (s *Session) Room(ctx context.Context, n int64) error {
	roomy := func() bool { return s.held == 0 || s.held <= mostHeld-n }
	if roomy() {
		return nil
	}
	if err := s.await(ctx, roomy); err != syscall.EDEADLK {
		return err
	}
	return driver.RefuseAs(syscall.ENOMEM,
		"requests in the background that stand still hold %d bytes, of %d that all may hold",
		s.held, int64(mostHeld))
}

// Go starts a request in the background about a range, that holds so many bytes, for which Room has
// made room. Its completion, then, runs on the session goroutine when events are delivered; the
// error that it returns is handled like that of a command.
func (s *Session) Go(
	ctx context.Context, im *Image, span event.Range, began time.Time, held int64,
	op func(context.Context) error, then func(error) error,
) {
	r := &request{im: im, where: s.where, then: then, held: held, span: span, began: began}
	im.flying++
	s.flying++
	s.held += held
	var cancelable context.Context
	cancelable, r.cancel = context.WithCancelCause(im.ctx)
	s.start(cancelable, r, op)
	r.where.ID = r.id
	s.queue = append(s.queue, r)
	if s.Step {
		return // settle waits without a limit
	}
	ctx, cancel := context.WithTimeout(ctx, headStart)
	defer cancel()
	_ = s.meter.Idle(ctx) // either way the line is over
}

// InFlight lists the requests in the background, in the order in which they were made.
func (s *Session) InFlight() []event.Queued {
	var list []event.Queued
	for _, r := range s.queue {
		list = append(list, event.Queued{
			Request: r.id, Command: r.where.Command, Range: r.span, Image: r.im.Name,
			Elapsed: s.Now().Sub(r.began),
		})
	}
	return list
}

// queued is the request in the background that has a number, nil if there is none.
func (s *Session) queued(id int64) *request {
	if i := slices.IndexFunc(s.queue, func(r *request) bool { return r.id == id }); i >= 0 {
		return s.queue[i]
	}
	return nil
}

// wakes is how often a standstill is looked at until a request that was given up counts as one that
// stands still as well, each time for [patience]: its goroutine is woken by the end of a context,
// which the meter does not see.
const wakes = 100

// Cancel gives up a request in the background, and waits until it has ended: at once where it waits
// for others, stands at a breakpoint or has pieces left, and when the system lets it go where that
// has it. It fails if none has the number, and with EDEADLK if it stands still for ever all the
// same, since metadata that it changes must be whole.
func (s *Session) Cancel(ctx context.Context, id int64) (err error) {
	r := s.queued(id)
	if r == nil {
		return event.Fail(event.NoRequest{Request: id})
	}
	r.canceled = true
	r.cancel(syscall.ECANCELED)
	for range wakes {
		if err = s.WaitFor(ctx, id); err != syscall.EDEADLK {
			break
		}
	}
	return err
}

// WaitFor waits until a request in the background has ended. It fails if none has the number, and
// with EDEADLK if it stands still for ever.
func (s *Session) WaitFor(ctx context.Context, id int64) error {
	if s.queued(id) == nil {
		return event.Fail(event.NoRequest{Request: id})
	}
	return s.await(ctx, func() bool { return s.queued(id) == nil })
}

// await delivers events until over. It fails with EDEADLK if every request stands still for ever.
func (s *Session) await(ctx context.Context, over func() bool) error {
	if s.waitFor(ctx, nil, over) {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return syscall.EDEADLK
}

// Drain waits until no request of im is in flight. It fails with EDEADLK if some of them stand
// still for ever.
func (s *Session) Drain(ctx context.Context, im *Image) error {
	return s.await(ctx, func() bool { return im.flying == 0 })
}

// Sleep delivers events for a while.
func (s *Session) Sleep(ctx context.Context, d time.Duration) error {
	s.Ready()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		s.collect(nil)
		select {
		case <-timer.C:
			s.collect(nil)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
		}
	}
}

// Await delivers events until ready is closed. When it is closed already, requests of the line that
// has just been run are not looked for: QEMU looks for events once between two lines, and no
// completion comes from the disk as fast as that.
func (s *Session) Await(ready <-chan struct{}) {
	select {
	case <-ready:
		s.collectBefore(s.where.Line)
		return
	default:
	}
	for {
		s.collect(nil)
		select {
		case <-ready:
			s.collect(nil)
			return
		case <-s.wake:
		}
	}
}

// alone says that a request would have nothing to wait for but the system.
func (s *Session) alone() bool { return s.flying == 0 && s.holding == 0 }

// waitFor delivers events, see collect, until over, or gives up when ctx ends or every request
// stands still.
func (s *Session) waitFor(ctx context.Context, until *request, over func() bool) bool {
	if s.timer == nil {
		s.timer = time.NewTimer(patience)
	} else {
		s.timer.Reset(patience)
	}
	defer s.timer.Stop()
	var still <-chan struct{}
	for {
		s.collect(until)
		if over() {
			return true
		}
		select {
		case <-s.wake:
		case <-s.timer.C:
			var stop func()
			still, stop = s.standstill()
			defer stop()
		case <-still:
			s.collect(until)
			return over()
		case <-ctx.Done():
			return false
		}
	}
}

// standstill is closed when no request is running. stop ends the wait for it.
func (s *Session) standstill() (still <-chan struct{}, stop func()) {
	ctx, stop := context.WithCancel(context.Background())
	ch := make(chan struct{})
	go func() {
		if s.meter.Idle(ctx) == nil {
			close(ch)
		}
	}()
	return ch, stop
}

// settle ends a line in step mode.
func (s *Session) settle(ctx context.Context) {
	if s.meter.Idle(ctx) == nil {
		s.collect(nil)
	}
}

func (s *Session) deliverNotices() {
	s.mu.Lock()
	notices := s.notices
	s.notices = nil
	s.mu.Unlock()
	for _, n := range notices {
		e := event.OfNotice(n)
		if reason, is := e.(event.Reason); is {
			s.background(event.Fail(reason))
		} else {
			s.Emit(e)
		}
	}
}

// collect delivers notices, and the completions up to that of until. In step mode completions that
// are found together come in the order in which their requests were made.
func (s *Session) collect(until *request) {
	s.deliverNotices()
	s.deliverSaid()
	finished := s.takeFinished()
	if s.Step {
		slices.SortFunc(finished, func(a, b *request) int { return int(a.id - b.id) })
	}
	for i, r := range finished {
		r.over = true
		if r == until {
			s.mu.Lock()
			s.finished = append(finished[i+1:], s.finished...)
			s.mu.Unlock()
			return
		}
		s.complete(r)
	}
}

// collectBefore delivers notices, and the completions of requests that lines before this one made.
func (s *Session) collectBefore(line int) {
	s.deliverNotices()
	s.deliverSaid()
	var late []*request
	for _, r := range s.takeFinished() {
		if r.where.Line < line {
			r.over = true
			s.complete(r)
		} else {
			late = append(late, r)
		}
	}
	s.mu.Lock()
	s.finished = append(late, s.finished...)
	s.mu.Unlock()
}

func (s *Session) takeFinished() []*request {
	s.mu.Lock()
	defer s.mu.Unlock()
	finished := s.finished
	s.finished = nil
	return finished
}

func (s *Session) complete(r *request) {
	s.land(r)
	before := s.where
	s.where = r.where
	switch err := r.then(r.err); {
	case err == nil:
	case r.canceled:
		s.Emit(event.Canceled{Command: r.where.Command, Range: r.span})
	default:
		s.background(err)
	}
	s.where = before
}

// land counts a request that has ended.
func (s *Session) land(r *request) {
	s.queue = slices.DeleteFunc(s.queue, func(q *request) bool { return q == r })
	r.cancel(nil)
	r.im.flying--
	s.flying--
	s.held -= r.held
}

// background shows the failure of a request that no command waits for.
func (s *Session) background(err error) {
	s.tell(err)
	if s.Policy.BackgroundStatus {
		s.count(err)
	}
}
