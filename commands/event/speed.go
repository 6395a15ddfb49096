package event

import (
	"strconv"
	"time"

	"github.com/blksh/blksh/verify/latency"
)

// The events of this file are about how fast a device is.

// Load is what a device did under load. User and System are the time that the processors worked for
// this program.
type Load struct {
	Range
	Mode     string        `json:"mode" doc:"read, write, randread or randwrite"`
	Block    int64         `json:"block" unit:"bytes" doc:"of a request"`
	Depth    int           `json:"depth" doc:"requests under way"`
	Run      int           `json:"run,omitempty" doc:"which of several, from 1"`
	Requests int64         `json:"requests" doc:"how many were made"`
	Elapsed  time.Duration `json:"elapsed_ns" unit:"ns" doc:"time of all of them"`
	User     time.Duration `json:"-"`
	System   time.Duration `json:"-"`
	Latency  Latency       `json:"-"`
}

// Kind of the event.
func (Load) Kind() Kind { return Kind{"load", "What a device did under load."} }

// Rates are requests and bytes a second.
func (l Load) Rates() (iops, bandwidth float64) {
	return rates(l.Requests, l.Requests*l.Block, l.Elapsed)
}

func rates(requests, bytes int64, elapsed time.Duration) (iops, bandwidth float64) {
	if elapsed <= 0 { // nobody measured it
		return 0, 0
	}
	seconds := elapsed.Seconds()
	return float64(requests) / seconds, float64(bytes) / seconds
}

// Latency is how long requests took, from the call that started them to the one that found them
// done.
type Latency struct {
	Min, Mean, Max time.Duration
	Percentiles    []Percentile
	Bars           []latency.Bar
}

// Percentile says that so many percent of all requests took no longer than Time, but for an error
// of less than one percent.
type Percentile struct {
	Percent float64
	Time    time.Duration
}

// LatencyOf is what a histogram says, with these percentiles.
func LatencyOf(h *latency.Histogram, percentiles []float64) Latency {
	l := Latency{Min: h.Min(), Mean: h.Mean(), Max: h.Max(), Bars: h.Bars()}
	for _, p := range percentiles {
		l.Percentiles = append(l.Percentiles, Percentile{p, h.Percentile(p)})
	}
	return l
}

type load struct {
	loadOf
	IOPS      int64            `json:"iops" doc:"requests a second"`
	Bandwidth int64            `json:"bytes_per_second" unit:"bytes" doc:"bandwidth"`
	User      time.Duration    `json:"user_ns" unit:"ns" doc:"time of processors in the program"`
	System    time.Duration    `json:"system_ns" unit:"ns" doc:"time of processors in the kernel for it"`
	Latency   map[string]int64 `json:"latency_ns" unit:"ns" doc:"min, mean, max, and percentiles as p50 to p99.99"`
	Percents  []percentile     `json:"percentiles" doc:"those of latency_ns as a list: percent, ns"`
	Bars      []bar            `json:"histogram" doc:"requests by how long they took: up_to_ns, and requests that took no longer and are in no bar before"`
}

type percentile struct {
	Percent float64 `json:"percent"`
	Time    int64   `json:"ns"`
}

type bar struct {
	UpTo     int64 `json:"up_to_ns"`
	Requests int64 `json:"requests"`
}

// loadOf is a Load by another name: it tells of itself field by field.
type loadOf Load

// Told adds rates to what was measured.
func (l Load) Told() any {
	iops, bandwidth := l.Rates()
	return load{
		loadOf(l), int64(iops), int64(bandwidth), l.User, l.System, l.Latency.told(),
		l.Latency.percentiles(), l.Latency.bars(),
	}
}

func (l Latency) told() map[string]int64 {
	told := map[string]int64{
		"min": l.Min.Nanoseconds(), "mean": l.Mean.Nanoseconds(),
		"max": l.Max.Nanoseconds(),
	}
	for _, p := range l.Percentiles {
		told["p"+strconv.FormatFloat(p.Percent, 'g', -1, 64)] = p.Time.Nanoseconds()
	}
	return told
}

func (l Latency) percentiles() (list []percentile) {
	for _, p := range l.Percentiles {
		list = append(list, percentile{p.Percent, p.Time.Nanoseconds()})
	}
	return list
}

func (l Latency) bars() (list []bar) {
	for _, b := range l.Bars {
		list = append(list, bar{b.UpTo.Nanoseconds(), b.Count})
	}
	return list
}

// LoadSpread is how far several runs of a load are apart.
type LoadSpread struct {
	Mode      string `json:"mode" doc:"read, write, randread or randwrite"`
	Runs      int    `json:"runs" doc:"how many there were"`
	IOPS      Spread `json:"iops" doc:"requests a second: mean, sd (of a sample), min and max of all runs"`
	Bandwidth Spread `json:"bytes_per_second" doc:"the same of bandwidth"`
	Mean      Spread `json:"mean_ns" doc:"the same of the mean latency"`
}

// Kind of the event.
func (LoadSpread) Kind() Kind {
	return Kind{"load_spread", "How far several runs of a load are apart."}
}

// Spread is what several figures have in common.
type Spread struct {
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"` // of a sample, 0 of one figure
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

// Performance is how fast the jobs of a file were that ran beside each other in fio, in the order
// in which they ran here, and all of them together.
type Performance struct {
	Group  int
	Phases []Phase
	All    []Phase
}

// Kind of the event.
func (Performance) Kind() Kind {
	return Kind{"performance", "How fast the jobs of a group of a job file were."}
}

// Phase is a job, or several, in one phase: "write" or "verify".
type Phase struct {
	Job, File, Phase string
	Requests, Bytes  int64
	Elapsed          time.Duration
	Latency          Latency
}

// Rates are requests and bytes a second.
func (p Phase) Rates() (iops, bandwidth float64) { return rates(p.Requests, p.Bytes, p.Elapsed) }

type performance struct {
	Group  int     `json:"group" doc:"number of the group, from 0: each stonewall begins one"`
	Phases []phase `json:"phases" doc:"each job: job, file (where there are several images), phase (write or verify), requests, bytes, elapsed_ns, iops, bytes_per_second, latency_ns (min, mean, max, percentiles), percentiles (percent, ns), histogram (up_to_ns, requests)"`
	All    []phase `json:"all" doc:"the same of all jobs of the group together, by phase"`
}

type phase struct {
	Job       string           `json:"job,omitempty"`
	File      string           `json:"file,omitempty"`
	Phase     string           `json:"phase"`
	Requests  int64            `json:"requests"`
	Bytes     int64            `json:"bytes"`
	Elapsed   int64            `json:"elapsed_ns"`
	IOPS      int64            `json:"iops"`
	Bandwidth int64            `json:"bytes_per_second"`
	Latency   map[string]int64 `json:"latency_ns"`
	Percents  []percentile     `json:"percentiles"`
	Bars      []bar            `json:"histogram"`
}

// Told adds rates to what was measured.
func (p Performance) Told() any {
	return performance{p.Group, toldPhases(p.Phases), toldPhases(p.All)}
}

func toldPhases(list []Phase) (told []phase) {
	for _, p := range list {
		iops, bandwidth := p.Rates()
		told = append(told, phase{
			p.Job, p.File, p.Phase, p.Requests, p.Bytes, p.Elapsed.Nanoseconds(), int64(iops),
			int64(bandwidth), p.Latency.told(), p.Latency.percentiles(), p.Latency.bars(),
		})
	}
	return told
}
