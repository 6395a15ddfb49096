package job

import (
	"time"

	"github.com/blksh/blksh/verify/fio"
)

// Hooks are what a job tells while it runs. All may be nil.
type Hooks struct {
	// Bad gets each bad block when it is found, and each whose content does not match its seed, one
	// at a time, on any goroutine. Those of a hole that was not read come as one, without bytes.
	Bad func(*Bad)
	// Progress gets the bytes that are done and all of them, now and then, on
	// the goroutine that runs the job.
	Progress func(Progress)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Clock is the time since some moment, by which requests are measured, see Result.ReadTraffic.
	// It may be called on any goroutine, twice for what is sent at once. nil: nothing is measured.
	Clock func() time.Duration
	// Extent tells a verification of the bytes at off, of which it is called for at most n: from
	// off on, for how many bytes it holds that they are known to be zero, or that they are not.
	// What is known to be zero is judged without being read, and long runs of it as one. It is
	// called by one goroutine at a time; nil: all is read.
	Extent func(off, n int64) (length int64, zero bool)
	// Dump gets the bytes of bad blocks. side is received, expected or diff; see [Dump].
	Dump func(side string, off int64, data []byte) error
}

// Progress is how far a job is.
type Progress struct {
	Phase string `json:"phase"` // write, verify or trim
	Done  int64  `json:"done"`  // bytes
	Total int64  `json:"total"` // bytes; 0 if not known
	Bad   int64  `json:"bad"`   // blocks
}

// A Job writes blocks that tell whether they are intact, and verifies them. It does not change: it
// can run more than once.
type Job struct {
	options fio.Options
	l       *fio.Layout
	hooks   Hooks
}

// New makes a job of options, if they are possible. The error names the one that is wrong.
func New(o fio.Options, h Hooks) (*Job, error) {
	l, err := fio.NewLayout(&o)
	if err != nil {
		return nil, err
	}
	return &Job{options: o, l: l, hooks: h}, nil
}

// Workload is what the job writes, with all defaults filled in.
func (j *Job) Workload() fio.Workload { return j.l.Workload }

// total is how many bytes the job writes, 0 if time decides.
func (j *Job) total() int64 {
	if j.l.TimeBased {
		return 0
	}
	if only := j.l.Only; only.To > 0 {
		return (only.To - only.From) * int64(j.l.Loops)
	}
	return j.l.Extent / int64(j.l.MinBlock) * int64(j.l.MinBlock) * int64(j.l.Loops)
}

// State is the state file of the job, as the result of writing it tells, wholly or in part.
func (j *Job) State(r *Result) *fio.State {
	s := &fio.State{
		Version: fio.StateWritten, Name: j.options.Name, Index: uint64(j.l.Thread - 1),
		Depth: uint64(max(j.options.IODepth, 1)), Writes: r.Writes,
	}
	if j.options.Flushed {
		s.Writes = r.flushed
	}
	if j.l.Direction.Random() {
		s.SetGenerator(r.offsets)
	}
	return s
}
