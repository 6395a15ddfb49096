package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// usage is what a run of a program took.
type usage struct {
	cpu, wall time.Duration
	memory    int64 // most that was resident, in bytes
	out       []byte
}

// program runs one to its end, which fails if its status is not 0, on the processor of the
// measurements, or on as many as cpus says.
func (b *bench) program(cpus string, argv ...string) (usage, error) {
	cmd := exec.Command("taskset", append([]string{"-c", cpus}, argv...)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "HOME=/nonexistent")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(start), out: out.Bytes()}
	if s := cmd.ProcessState; s != nil {
		u.cpu = s.UserTime() + s.SystemTime()
		u.memory = s.SysUsage().(*syscall.Rusage).Maxrss << 10
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s%s", strings.Join(argv, " "), err, out.Bytes(), errs.Bytes())
	}
	return u, err
}

// median is the middle one of some values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// contest has two measurements take turns, and returns their medians.
func contest(rounds int, ours, theirs func() (float64, error)) (a, b float64, err error) {
	m, err := medians(rounds, ours, theirs)
	if err != nil {
		return 0, 0, err
	}
	return m[0], m[1], nil
}

// medians has measurements take turns, and returns the median of each.
func medians(rounds int, turns ...func() (float64, error)) ([]float64, error) {
	figures := make([][]float64, len(turns))
	for range rounds {
		for i, measure := range turns {
			x, err := measure()
			if err != nil {
				return nil, err
			}
			figures[i] = append(figures[i], x)
		}
	}
	list := make([]float64, len(turns))
	for i := range turns {
		list[i] = median(figures[i])
	}
	return list, nil
}
