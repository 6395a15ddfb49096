package print

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/blksh/blksh/commands/colour"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/units"
)

// load shows a measurement: all of it, or a line where it is one of several.
func (n *Native) load(e event.Load) {
	iops, bandwidth := e.Rates()
	if e.Elapsed <= 0 {
		n.say("%s: %s of %s, %d at a time, over %s at offset %d\n", e.Mode,
			units.Count(e.Requests, "request"), units.Size(e.Block), e.Depth,
			units.Exact(e.Len), e.Off)
		return
	}
	if e.Run > 0 {
		n.say("run %d: %s, %s, mean latency %s\n", e.Run, units.IOPS(iops), units.Rate(bandwidth),
			units.Time(e.Latency.Mean))
		return
	}
	n.say("%s: requests of %s, %d at a time, over %s at offset %d\n", e.Mode,
		units.Size(e.Block), e.Depth, units.Exact(e.Len), e.Off)
	n.say("  %s in %s: %s, %s\n", units.Count(e.Requests, "request"),
		units.Time(e.Elapsed), units.IOPS(iops), units.Rate(bandwidth))
	n.latencies(e.Latency)
	n.bars(e.Latency, e.Requests)
	each := func(d time.Duration) string {
		return units.Time(d / time.Duration(max(1, e.Requests)))
	}
	n.say("  processor time a request: %s (%s user, %s system)\n", each(e.User+e.System),
		each(e.User), each(e.System))
}

// latencies shows how long requests took in columns.
func (n *Native) latencies(l event.Latency) {
	names, times := []string{"least", "mean"}, []time.Duration{l.Min, l.Mean}
	for _, p := range l.Percentiles {
		names = append(names, fmt.Sprintf("%g%%", p.Percent))
		times = append(times, p.Time)
	}
	names, times = append(names, "most"), append(times, l.Max)
	head, row := "", ""
	for i, d := range times {
		head += fmt.Sprintf(" %8s", names[i])
		row += fmt.Sprintf(" %8s", units.Time(d))
	}
	n.say("  latency%s\n         %s\n", n.Look.out(colour.Faint, head), row)
}

// barWidth is the longest bar of a histogram, in characters.
const barWidth = 40

// bars shows a histogram: how many of all requests took so long, by powers of two.
func (n *Native) bars(l event.Latency, requests int64) {
	most := int64(1)
	for _, b := range l.Bars {
		most = max(most, b.Count)
	}
	width := min(barWidth, max(1, n.Look.width()-len("  up to  1000.0ms  100.00%  ")))
	for _, b := range l.Bars {
		percent := 100 * float64(b.Count) / float64(max(1, requests))
		line := fmt.Sprintf("  up to %8s  %6.2f%%  ", units.Time(b.UpTo+1), percent)
		length := int((b.Count*int64(width) + most - 1) / most)
		n.say("%s%s\n", strings.TrimRight(line, " ")+gap(length), n.Look.out(colour.Data,
			strings.Repeat(n.Look.block(), length)))
	}
}

// gap is what stands before a bar of a length.
func gap(length int) string {
	if length == 0 {
		return ""
	}
	return "  "
}

// block is a piece of a bar.
func (l Look) block() string {
	if l.UTF8 {
		return "█"
	}
	return "#"
}

// loadSpread shows how far several runs are apart.
func (n *Native) loadSpread(e event.LoadSpread) {
	runs := e.Mode + ", " + units.Count(e.Runs, "run")
	if e.IOPS == (event.Spread{}) { // nobody measured it
		n.say("%s\n", runs)
		return
	}
	n.say("%s:\n", runs)
	n.say("  %s\n", n.Look.out(colour.Faint,
		fmt.Sprintf("%-9s %13s %13s %13s %13s", "", "mean", "sd", "min", "max")))
	for _, row := range []struct {
		name string
		s    event.Spread
		text func(float64) string
	}{
		{"IOPS", e.IOPS, units.Requests},
		{"bandwidth", e.Bandwidth, units.Rate},
		{"latency", e.Mean, func(x float64) string { return units.Time(time.Duration(x)) }},
	} {
		n.say("  %-9s %13s %13s %13s %13s\n", row.name, row.text(row.s.Mean), row.text(row.s.SD),
			row.text(row.s.Min), row.text(row.s.Max))
	}
}

// mostName is how many characters of the name of a job have room in a table.
const mostName = 14

// performance shows how fast the jobs of a group were.
func (n *Native) performance(e event.Performance) {
	if !slices.ContainsFunc(e.All, func(p event.Phase) bool { return p.Elapsed > 0 }) {
		return
	}
	n.say("%s\n", n.Look.out(colour.Faint, fmt.Sprintf("%-*s %-6s %8s %13s %8s %8s %8s %8s",
		mostName, fmt.Sprintf("group %d", e.Group), "phase", "IOPS", "bandwidth", "mean", "50%",
		"99%", "most")))
	for _, p := range e.Phases {
		name := p.Job
		if p.File != "" {
			name += ":" + p.File
		}
		n.phase(name, p)
	}
	for _, p := range e.All {
		n.phase("all", p)
	}
}

func (n *Native) phase(name string, p event.Phase) {
	iops, bandwidth := p.Rates()
	if utf8.RuneCountInString(name) > mostName {
		name = string([]rune(name)[:mostName-3]) + "..."
	}
	percentile := func(percent float64) string {
		for _, p := range p.Latency.Percentiles {
			if p.Percent == percent {
				return units.Time(p.Time)
			}
		}
		return "-"
	}
	n.say("%-*s %-6s %8s %13s %8s %8s %8s %8s\n", mostName, name, p.Phase,
		units.Requests(iops), units.Rate(bandwidth), units.Time(p.Latency.Mean), percentile(50),
		percentile(99),
		units.Time(p.Latency.Max))
}
