package commands

import (
	"time"

	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify/job"
	"github.com/blksh/blksh/verify/latency"
)

// The phases of a job, by fio's names.
const (
	writePhase  = "write"
	verifyPhase = "verify"
)

// figures is how fast the jobs of a file were, group by group in the order of the groups.
type figures struct{ groups []*groupFigures }

// groupFigures is how fast those jobs were that fio runs at the same time.
type groupFigures struct {
	number int
	phases []event.Phase
	all    []*phaseSum
}

// phaseSum adds up jobs in one phase.
type phaseSum struct {
	event.Phase
	latency latency.Histogram
}

// note adds what a job sent in a phase.
func (f *figures) note(group int, p event.Phase, t *job.Traffic) {
	if t == nil || t.Latency.Count() == 0 {
		return
	}
	p.Requests, p.Bytes = t.Latency.Count(), t.Bytes
	p.Latency = event.LatencyOf(&t.Latency, percentiles())
	g := f.group(group)
	g.phases = append(g.phases, p)
	sum := g.sum(p.Phase)
	sum.Requests += p.Requests
	sum.Bytes += p.Bytes
	sum.Elapsed += p.Elapsed
	sum.latency.Join(&t.Latency)
}

// group is the group of that number, a new one if it is not the last.
func (f *figures) group(number int) *groupFigures {
	if last := len(f.groups) - 1; last >= 0 && f.groups[last].number == number {
		return f.groups[last]
	}
	g := &groupFigures{number: number}
	f.groups = append(f.groups, g)
	return g
}

// sum is that of a phase.
func (g *groupFigures) sum(phase string) *phaseSum {
	for _, sum := range g.all {
		if sum.Phase.Phase == phase {
			return sum
		}
	}
	sum := &phaseSum{Phase: event.Phase{Phase: phase}}
	g.all = append(g.all, sum)
	return sum
}

// emit tells of all groups.
func (f *figures) emit(s *session.Session) {
	for _, g := range f.groups {
		e := event.Performance{Group: g.number, Phases: g.phases}
		for _, sum := range g.all {
			sum.Latency = event.LatencyOf(&sum.latency, percentiles())
			e.All = append(e.All, sum.Phase)
		}
		s.Emit(e)
	}
}

// measure notes how fast the job was in a phase, if anybody wants to know.
func (b *blockJob) measure(phase string, elapsed time.Duration, t *job.Traffic) {
	if b.figures == nil {
		return
	}
	b.figures.note(b.options.Group,
		event.Phase{Job: b.section, File: b.file, Phase: phase, Elapsed: elapsed}, t)
}
