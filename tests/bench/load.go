package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// loads prints how many random reads of 4 KiB a second there are.
func (b *bench) loads(depths []string) error {
	fmt.Println(
		"| randread 4 KiB | depth | blksh IOPS | fio IOPS | ratio | blksh CPU µs a request | fio |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, direct := range []bool{false, true} {
		file, name := filepath.Join(b.disk, "load"), "page cache"
		if direct {
			name = "O_DIRECT"
		}
		if err := b.filled(file); err != nil {
			return err
		}
		for _, depth := range depths {
			var ourCPU, theirCPU []float64
			ours, theirs, err := contest(b.rounds,
				func() (float64, error) { return b.ourLoad(file, depth, direct, &ourCPU) },
				func() (float64, error) { return b.theirLoad(file, depth, direct, &theirCPU) })
			if err != nil {
				return err
			}
			fmt.Printf("| %s | %s | %.0f | %.0f | %.2f | %.2f | %.2f |\n", name, depth, ours,
				theirs, ours/theirs, median(ourCPU), median(theirCPU))
		}
	}
	fmt.Print("\nBoth through io_uring, both look at the clock before and after each request.\n")
	return nil
}

// made makes an empty file if there is none.
func (b *bench) made(file string) string {
	if f, err := os.OpenFile(file, os.O_CREATE, 0o600); err == nil {
		f.Close()
	}
	return file
}

// cached sees to it that a file is in the page cache: memory may have been short since it was last
// looked at.
func cached(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// filled makes the file of loads.
func (b *bench) filled(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return b.patternFile(file, "random:1")
}

// patternFile makes a file of the size of the measurements that has a pattern.
func (b *bench) patternFile(file, pattern string) error {
	_, err := b.program(b.all, b.blksh, "-f", "raw", "-c", fmt.Sprintf("truncate %d", b.size),
		"-c", fmt.Sprintf("write -q -P %s 0..%d", pattern, b.size), "-c", "flush", b.made(file))
	return err
}

// ourLoad is requests a second. The processor time of each goes to cpu, in microseconds.
func (b *bench) ourLoad(file, depth string, direct bool, cpu *[]float64) (float64, error) {
	cache := "writeback"
	if direct {
		cache = "none"
	} else if err := cached(file); err != nil {
		return 0, err
	}
	u, err := b.program(b.cpu, b.blksh, "--json", "-r", "-i", "io_uring", "-t", cache, "-f", "raw",
		"-c", fmt.Sprintf("bench -d %s -t %d randread", depth, b.seconds), file)
	if err != nil {
		return 0, err
	}
	e, err := loadIn(u.out)
	if err == nil {
		*cpu = append(*cpu, (e.UserNanos+e.SystemNanos)/e.Requests/1000)
	}
	return e.Iops, err
}

// load is what the shell tells of one.
type load struct {
	Kind        string
	Iops        float64
	Requests    float64
	Elapsed     float64 `json:"elapsed_ns"`
	UserNanos   float64 `json:"user_ns"`
	SystemNanos float64 `json:"system_ns"`
}

// loadIn finds it in what the shell printed.
func loadIn(out []byte) (load, error) {
	for line := range strings.Lines(string(out)) {
		var e load
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return load{}, err
		}
		if e.Kind == "load" {
			return e, nil
		}
	}
	return load{}, fmt.Errorf("no load in %s", out)
}

func (b *bench) theirLoad(file, depth string, direct bool, cpu *[]float64) (float64, error) {
	argv := []string{
		b.fio, "--name=job", "--filename=" + file, fmt.Sprintf("--size=%d", b.size), "--bs=4k",
		"--rw=randread", "--norandommap",
		"--ioengine=io_uring", "--iodepth=" + depth, "--thread", "--time_based",
		fmt.Sprintf("--runtime=%d", b.seconds), "--output-format=json",
	}
	if direct {
		argv = append(argv, "--direct=1")
	} else {
		argv = append(argv, "--invalidate=0")
		if err := cached(file); err != nil {
			return 0, err
		}
	}
	u, err := b.program(b.cpu, argv...)
	if err != nil {
		return 0, err
	}
	job, err := fioJob(u.out)
	if err != nil {
		return 0, err
	}
	*cpu = append(*cpu, (job.User+job.System)/100*job.Read.Runtime*1000/job.Read.TotalIOs)
	return job.Read.Iops, nil
}

// fioReport is what fio tells of a job.
type fioReport struct {
	Read, Write struct {
		Iops     float64
		TotalIOs float64 `json:"total_ios"`
		Runtime  float64 // milliseconds
	}
	User   float64 `json:"usr_cpu"` // percent of the runtime
	System float64 `json:"sys_cpu"`
}

// fioJob finds the only job in what fio printed, which may begin with other words.
func fioJob(out []byte) (fioReport, error) {
	var report struct{ Jobs []fioReport }
	text := out[max(bytes.IndexByte(out, '{'), 0):]
	if err := json.Unmarshal(text, &report); err != nil || len(report.Jobs) != 1 {
		return fioReport{}, fmt.Errorf("the report of fio: %w: %s", err, out)
	}
	return report.Jobs[0], nil
}
