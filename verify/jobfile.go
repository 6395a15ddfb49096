package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxJobLine and maxJobs bound job files.
const (
	maxJobLine = 1 << 20
	maxJobs    = 1 << 12
)

// A Note says that an option of a job file has no effect, and why.
type Note struct {
	Job    string `json:"job"`
	Line   int    `json:"line"`
	Option string `json:"option"`
	Why    string `json:"why"`
}

func (n Note) String() string {
	return fmt.Sprintf("line %d: job %s: %s is ignored: %s", n.Line, n.Job, n.Option, n.Why)
}

// ParseJobFile reads jobs in fio's ini form: sections in brackets, options as
// name=value or a name alone, comments from ; or # to the end of a line that
// begins with it. What [global] sections say holds for the jobs behind them.
// Options start as base. An option that verification does not know is an error;
// one that changes nothing is in the notes.
func ParseJobFile(r io.Reader, base Options) (jobs []Options, notes []Note, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxJobLine)
	global := base
	var current *Options
	section := ""
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
			continue
		case line[0] == '[':
			name, ok := strings.CutSuffix(line[1:], "]")
			if !ok || name == "" {
				return nil, nil, fmt.Errorf("job file, line %d: a section is [name]", number)
			}
			section = name
			if current = &global; name != "global" {
				if len(jobs) == maxJobs {
					return nil, nil, fmt.Errorf("job file, line %d: more than %d jobs", number, maxJobs)
				}
				jobs = append(jobs, global)
				current = &jobs[len(jobs)-1]
				current.Name = name
			}
			continue
		case current == nil:
			return nil, nil, fmt.Errorf("job file, line %d: an option before the first section", number)
		}
		name, value, _ := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		why, err := current.Set(name, value)
		if err != nil {
			return nil, nil, fmt.Errorf("job file, line %d: %w", number, err)
		}
		if why != "" {
			notes = append(notes, Note{Job: section, Line: number, Option: name, Why: why})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("job file: %w", err)
	}
	if len(jobs) == 0 {
		return nil, nil, errors.New("job file: no job")
	}
	all := number(jobs)
	if len(all) > maxJobs {
		return nil, nil, fmt.Errorf("job file: more than %d jobs", maxJobs)
	}
	return all, notes, nil
}

// number gives the jobs and their clones the thread numbers that fio does, and
// returns all of them.
func number(jobs []Options) (all []Options) {
	thread := 1
	for _, o := range jobs {
		if len(all) > maxJobs {
			break
		}
		o.Thread = thread
		clones := o.Clones()
		thread += len(clones)
		all = append(all, clones...)
	}
	return all
}

// FileCount is how many files the job has.
func (o *Options) FileCount() int {
	if len(o.Filenames) > 0 {
		return len(o.Filenames)
	}
	return max(o.NrFiles, 1)
}

// Files are the names of the job's files: those given, or JOB.CLONE.FILE for
// each of nrfiles.
func (o *Options) Files() []string {
	if len(o.Filenames) > 0 {
		return o.Filenames
	}
	names := make([]string, max(o.NrFiles, 1))
	for i := range names {
		names[i] = fmt.Sprintf("%s.%d.%d", o.Name, o.Clone, i)
	}
	return names
}
