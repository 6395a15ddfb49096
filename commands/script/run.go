package script

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
)

// Machine runs statements. Its variables live as long as it does.
type Machine struct {
	// KeepGoing: a command that fails does not end the block that it stands in.
	KeepGoing bool
	// Now is the clock, NewSeed draws a seed where a script gives none.
	Now     func() time.Time
	NewSeed func() uint64

	host      Host
	variables map[string]string
	source    *rand.PCG // nil before the first number was wanted
	last      error     // how the last command ended
	cut       bool      // ctx ended before all was done
}

// NewMachine makes a machine without variables.
func NewMachine(h Host) *Machine {
	return &Machine{
		Now: time.Now, NewSeed: rand.Uint64, host: h, variables: map[string]string{},
	}
}

// Run runs statements until one of them fails, ctx ends or the host has enough. Everything has been
// shown then.
func (m *Machine) Run(ctx context.Context, statements Statements) error {
	m.cut = false
	err := m.block(ctx, statements)
	if err == nil && m.cut {
		m.host.Cut()
	}
	return err
}

func (m *Machine) block(ctx context.Context, body []statement) error {
	var failed error
	for _, s := range body {
		if m.host.Ended() || m.stopped(ctx) {
			break
		}
		err := s.run(ctx, m)
		if err != nil {
			failed = err
		}
		if err != nil && (ctx.Err() != nil || !m.KeepGoing) {
			return err
		}
	}
	return failed
}

// again says whether a loop goes on after its body ended so.
func (m *Machine) again(ctx context.Context, err error) bool {
	return !m.stopped(ctx) && !m.host.Ended() && (err == nil || m.KeepGoing)
}

// stopped is asked before more is done, and notes that it is not if ctx has ended.
func (m *Machine) stopped(ctx context.Context) bool {
	m.cut = m.cut || ctx.Err() != nil
	return ctx.Err() != nil
}

// fail shows why a statement cannot be run.
func (m *Machine) fail(at place, err error) error { return m.host.Fail(at.pos, err) }

// resolve is the value of a reference.
func (m *Machine) resolve(r args.Reference) (string, error) {
	if r.Sum {
		n, err := m.evaluate(r.Text)
		return strconv.FormatInt(n, 10), err
	}
	value, ok := m.variables[r.Text]
	if !ok {
		return "", m.unset(r.Text)
	}
	return value, nil
}

func (m *Machine) unset(name string) error {
	return event.Fail(event.BadValue{
		Message: "there is no variable " + name + "; let " + name +
			" = ... makes one, and in quotes a $ is a $",
		Near: args.Near(name, m.Names()),
	})
}

// number is the value of a variable in a sum.
func (m *Machine) number(name string) (int64, error) {
	value, ok := m.variables[name]
	if !ok {
		return 0, m.unset(name)
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, nil
	}
	return m.host.Number(value)
}

// random is the source of random numbers. A seed that nobody gave is shown.
func (m *Machine) random() *rand.PCG {
	if m.source == nil {
		drawn := int64(m.NewSeed() >> 32) // short enough to be typed again
		m.source = rand.NewPCG(uint64(drawn), 0)
		m.host.Emit(event.Seed{Seed: drawn})
	}
	return m.source
}

func (s seed) run(_ context.Context, m *Machine) error {
	n, err := m.count(s.number)
	if err != nil {
		return m.fail(s.place, err)
	}
	m.source = rand.NewPCG(uint64(n), 0)
	return nil
}

func (s split) run(ctx context.Context, m *Machine) error {
	return m.command(ctx, Command{Words: s.words, Pos: s.pos, Typed: s.typed})
}

func (s simple) run(ctx context.Context, m *Machine) error {
	words := make([]string, len(s.words))
	for i, w := range s.words {
		var err error
		if words[i], err = w.Value(m.resolve); err != nil {
			return m.fail(s.place, sentence(err))
		}
	}
	return m.command(ctx, Command{
		Words: words, Pos: s.pos, Expect: s.expect, Status: s.status, Typed: s.typed,
	})
}

// sentence is an error that can be shown.
func sentence(err error) error {
	if event.IsFailure(err) {
		return err
	}
	return wrong("%v", err)
}

// command runs a command and judges how it ended.
func (m *Machine) command(ctx context.Context, c Command) error {
	err := m.host.Run(ctx, c)
	m.last = err
	if ctx.Err() != nil {
		return err
	}
	status := m.host.Status(err)
	switch {
	case c.Expect != Either && err != nil && event.IsUnknown(err):
		return err
	case c.Expect == Either, c.Expect == Failure && err != nil,
		c.Expect == Status && status == c.Status:
		return nil
	case c.Expect == Failure:
		return m.object(event.Unexpected{})
	case c.Expect == Status:
		return m.object(event.OtherStatus{Status: status, Expected: c.Status})
	}
	return err
}

// object is the failure of a command that came to something else than was expected of it.
func (m *Machine) object(r event.Reason) error { return m.host.Object(event.Fail(r)) }

func (l let) run(_ context.Context, m *Machine) error {
	if l.text != nil {
		text, err := l.text.Value(nil)
		if err != nil {
			return m.fail(l.place, sentence(err))
		}
		m.variables[l.name] = text
		return nil
	}
	n, err := m.evaluate(l.sum)
	if err != nil {
		return m.fail(l.place, err)
	}
	m.variables[l.name] = strconv.FormatInt(n, 10)
	return nil
}

// count is the number that a word stands for.
func (m *Machine) count(w args.Word) (int64, error) {
	text, err := w.Value(m.resolve)
	if err != nil {
		return 0, sentence(err)
	}
	return m.host.Number(text)
}

func (r repeat) run(ctx context.Context, m *Machine) error {
	n, err := m.count(r.count)
	if err != nil {
		return m.fail(r.place, err)
	}
	for i := int64(0); i < n && m.again(ctx, err); i++ {
		err = m.block(ctx, r.body)
	}
	return err
}

func (l loop) run(ctx context.Context, m *Machine) error {
	step := int64(1)
	if l.step != nil {
		var err error
		if step, err = m.count(*l.step); err == nil && step == 0 {
			err = wrong("a step of 0 leads nowhere")
		}
		if err != nil {
			return m.fail(l.place, err)
		}
	}
	var failed error
	for _, w := range l.words {
		text, err := w.Value(m.resolve)
		if err != nil {
			return m.fail(l.place, sentence(err))
		}
		if failed = l.each(ctx, m, w, text, step); !m.again(ctx, failed) {
			break
		}
	}
	return failed
}

// each runs the body for what a word stands for: itself, or the numbers of a range.
func (l loop) each(ctx context.Context, m *Machine, w args.Word, text string, step int64) error {
	if !w.Bare() || !args.IsRange(text) {
		m.variables[l.name] = text
		return m.block(ctx, l.body)
	}
	from, to, err := m.bounds(text)
	if err != nil {
		return m.fail(l.place, err)
	}
	for i := from; i < to && m.again(ctx, err); i += step {
		m.variables[l.name] = strconv.FormatInt(i, 10)
		err = m.block(ctx, l.body)
		if i > to-step { // the next one, which might not fit
			break
		}
	}
	return err
}

// bounds are the ends of START..END, the second of which is not part of it.
func (m *Machine) bounds(text string) (from, to int64, err error) {
	first, last, _ := strings.Cut(text, "..")
	if first != "" {
		from, err = m.host.Number(first)
	}
	if err == nil {
		to, err = m.host.Number(cmp.Or(last, "end"))
	}
	return from, to, err
}

func (b branch) run(ctx context.Context, m *Machine) error {
	yes := m.last == nil
	var failure *event.Failure
	if b.same && !yes &&
		!(errors.As(m.last, &failure) && failure.Event.Class() == event.ClassData) {
		return m.fail(b.place,
			wrong("whether it is the same cannot be told: the last command failed otherwise"))
	}
	if yes != b.not {
		return m.block(ctx, b.then)
	}
	return m.block(ctx, b.other)
}

func (t timed) run(ctx context.Context, m *Machine) error {
	start := m.Now()
	err := m.block(ctx, t.body)
	m.host.Emit(event.Timed{Elapsed: m.Now().Sub(start)})
	return err
}
