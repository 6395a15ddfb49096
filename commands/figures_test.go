package commands_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/commands/session"
)

// measuredPhase is what is told of a phase of a job.
type measuredPhase struct {
	Job, File, Phase string
	Requests, Bytes  int64
	Elapsed          int64            `json:"elapsed_ns"`
	IOPS             int64            `json:"iops"`
	Bandwidth        int64            `json:"bytes_per_second"`
	Latency          map[string]int64 `json:"latency_ns"`
	Percentiles      []struct {
		Percent float64
		NS      int64
	}
	Histogram []struct {
		UpTo     int64 `json:"up_to_ns"`
		Requests int64 `json:"requests"`
	}
}

// check wants figures that belong together.
func (p measuredPhase) check(t *testing.T) {
	t.Helper()
	sum := int64(0)
	for _, b := range p.Histogram {
		sum += b.Requests
	}
	l := p.Latency
	ordered := l["min"] <= l["p50"] && l["p50"] <= l["p99"] && l["p99"] <= l["p99.99"] &&
		l["p99.99"] <= l["max"] && l["min"] <= l["mean"] && l["mean"] <= l["max"]
	for _, one := range p.Percentiles { // the list says what the names say
		ordered = ordered && l[fmt.Sprintf("p%g", one.Percent)] == one.NS
	}
	ordered = ordered && len(p.Percentiles) == len(l)-len([]string{"min", "mean", "max"})
	if sum != p.Requests || !ordered || l["max"] <= 0 || p.Elapsed <= 0 || p.IOPS <= 0 ||
		p.Bandwidth <= 0 {
		t.Errorf("%+v", p)
	}
}

type performance struct {
	Kind        string
	Group       int
	Phases, All []measuredPhase
}

// TestJobFigures: every request of both phases is counted once, by job and by group.
func TestJobFigures(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	file := filepath.Join(dir, "job")
	const text = `[global]
size=64k
bs=4k
verify=crc32c
filename=%s
iodepth=4
verify_state_save=0
[first]
rw=write
[second]
offset=64k
rw=randwrite
bs=8k
[third]
stonewall
offset=128k
rw=write
do_verify=0
`
	if err := os.WriteFile(file, fmt.Appendf(nil, text, disk), 0o666); err != nil {
		t.Fatal(err)
	}
	o := newObjects(t)
	o.must(0, "create -f raw "+disk+" 1M")
	o.must(0, "open -f raw "+disk)
	if err := o.Run(t.Context(), session.Line{Text: "verify_job " + file}); err != nil {
		t.Fatal(err)
	}
	o.Printer.Flush()
	var groups []performance
	for line := range strings.Lines(o.out.String()) {
		var g performance
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			t.Fatal(err)
		}
		if g.Kind == "performance" {
			groups = append(groups, g)
		}
	}
	want := "0: first write 16 65536, first verify 16 65536, second write 8 65536, second verify 8 65536, all  write 24 131072, all  verify 24 131072\n" +
		"1: third write 16 65536, all  write 16 65536\n"
	var got strings.Builder
	for _, g := range groups {
		var list []string
		for _, p := range g.Phases {
			p.check(t)
			list = append(list, fmt.Sprintf("%s %s %d %d", p.Job, p.Phase, p.Requests, p.Bytes))
		}
		for _, p := range g.All {
			p.check(t)
			list = append(list, fmt.Sprintf("all %s %s %d %d", p.Job, p.Phase, p.Requests, p.Bytes))
		}
		fmt.Fprintf(&got, "%d: %s\n", g.Group, strings.Join(list, ", "))
	}
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestLoadRuns: the spread is that of the runs that are told of.
func TestLoadRuns(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open -o driver=null-co,size=1M")
	if err := o.Run(t.Context(), session.Line{Text: "bench -n 200 --runs 3 randread"}); err != nil {
		t.Fatal(err)
	}
	o.Printer.Flush()
	runs, best := 0, int64(0)
	var spread struct {
		Kind string
		Runs int
		IOPS struct{ Mean, SD, Min, Max float64 } `json:"iops"`
	}
	for line := range strings.Lines(o.out.String()) {
		var run struct {
			Kind     string
			Run      int
			Requests int64
			IOPS     json.Number `json:"iops"`
		}
		if json.Unmarshal([]byte(line), &run) == nil && run.Kind == "load" {
			runs++
			iops, err := run.IOPS.Int64()
			if err != nil || run.Run != runs || run.Requests != 200 {
				t.Errorf("%s: %v", line, err)
			}
			best = max(best, iops)
			continue
		}
		_ = json.Unmarshal([]byte(line), &spread) // the last is the one
	}
	f := spread.IOPS
	if runs != 3 || spread.Runs != 3 || f.Min > f.Mean || f.Mean > f.Max || f.SD < 0 ||
		f.SD > f.Max-f.Min || int64(f.Max) != best {
		t.Errorf("%d runs, %+v, the best %d", runs, spread, best)
	}
	o.must(2, "bench --runs 0 read")
}
