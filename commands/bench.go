package commands

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/load"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/commands/units"
	"github.com/blksh/blksh/verify"
)

const (
	usualBlock = 4096
	usualDepth = 32
	usualTime  = 5 * time.Second
	// deepest is the greatest depth, mostMemory how many bytes the requests under way may have
	// together.
	deepest    = 4096
	mostMemory = 1 << 30
)

// percentiles are those that latencies are described by.
func percentiles() []float64 { return []float64{50, 90, 99, 99.9, 99.99} }

// mostRuns bounds how often a load is made by one command.
const mostRuns = 1000

var bench = session.Command{
	Name: "bench", Needs: session.File, Reports: true,
	Group:     session.GroupVerify,
	Elsewhere: []string{"fio: bench or verify_job"},
	Args:      "[-b size] [-d depth] [-n requests] [-t seconds] [-P pattern] [--flush] [--seed n] [--runs n] read|write|randread|randwrite [off [len]]",
	Short:     "puts the image under load and measures requests, bandwidth, latency and CPU time",
	Long: ` Example:
 bench randread                  five seconds of 4 KiB reads all over the image,
                                 32 at a time
 bench -b 1M -d 4 -n 1024 read 0..1G
                                 the first GiB, once, in requests of 1 MiB
 bench -P random:7 randwrite     OVERWRITES the image with random data
 bench -t 2 --runs 5 randread    five times, and how far the five are apart

 Whoever opens the image chooses how requests reach the kernel (-i), and whether
 each write waits for the disk, as it does without -t; see 'help engines'. Those
 that do and are under way together share a flush. What is written is made once,
 so that making it takes no time from the load. So many percent of the requests
 took no longer than the percentiles say.
`,
	New: func(f *session.Flags) session.Run {
		var c scope
		mode := ""
		b := &load.Job{Content: verify.Random(1), Seed: 1}
		block, depth, seed := int64(usualBlock), int64(usualDepth), int64(1)
		runs := int64(1)
		f.Size(&block, nil, 'b', "block", "SIZE", "bytes of a request; without it 4k")
		f.Size(&depth, nil, 'd', "depth", "N", "requests under way; without it 32")
		limited := false
		f.Size(&b.Requests, &limited, 'n', "requests", "N", "end after so many requests")
		f.Flag('t', "time", args.Text("SECONDS"), "end after so much time; without -n and -t 5",
			session.Read(&b.Time, seconds))
		f.Pattern(&b.Content, nil, 'P', "pattern", "PATTERN",
			"what is written; without it random data")
		f.Bool(&b.Flush, 0, "flush", "end with a flush, whose time counts")
		f.Size(&seed, nil, 0, "seed", "N",
			"loads of one seed go to the same places; without it 1")
		f.Size(&runs, nil, 0, "runs", "N", "make the load N times and tell the spread")
		f.EnumWord(&mode, "mode", "read", "write", "randread", "randwrite")
		c.operands(f)
		f.Check("bounds", func() error {
			b.Random, b.Write = strings.HasPrefix(mode, "rand"), strings.HasSuffix(mode, "write")
			if b.Write {
				f.Need(session.Write)
			}
			if runs < 1 || runs > mostRuns {
				return event.BadValuef("--runs takes 1 to %d", mostRuns)
			}
			if limited && b.Requests == 0 {
				return event.BadValuef("-n takes 1 or more; without it and -t bench ends after 5 seconds")
			}
			return loadBounds(c, block, depth)
		})
		return func(ctx context.Context, s *session.Session, im *session.Image) error {
			if b.Requests == 0 && b.Time == 0 {
				b.Time = usualTime
			}
			b.Off, b.Len, b.Block, b.Depth, b.Seed = c.Off, c.Len, int(block), int(depth),
				uint64(seed)
			if b.Write && c.all(im) {
				if err := s.Overwrite(ctx, im, "bench "+mode, c.Off, c.Len); err != nil {
					return err
				}
			}
			return runLoads(ctx, s, im, mode, b, int(runs))
		}
	},
}

// longestLoad is more than anybody waits for.
const longestLoad = 1000 * time.Hour

// seconds reads a time as a number of seconds, or with a unit.
func seconds(word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil {
		d, err = time.ParseDuration(word + "s")
	}
	if err != nil || d <= 0 || d > longestLoad {
		return 0, event.BadValuef("'%s' is no time; write seconds, or 90s, 2m, 500ms", word)
	}
	return d, nil
}

// loadBounds refuses loads that take too much memory or have no place.
func loadBounds(c scope, block, depth int64) error {
	switch {
	case depth < 1 || depth > deepest:
		return event.BadValuef("a depth of %d is not within 1 and %d", depth, deepest)
	case block < 1 || block > mostMemory/depth:
		return event.BadValuef("%s of %s are not within 1 byte and 1 GiB of memory",
			units.Count(depth, "request"), units.Bytes(block))
	case c.Len < block:
		return event.BadValuef("no request of %s fits in the range of %d",
			units.Bytes(block), c.Len)
	}
	return nil
}

// runLoads makes a load so many times, and tells how far the runs are apart.
func runLoads(ctx context.Context, s *session.Session, im *session.Image, mode string,
	b *load.Job, runs int,
) error {
	if runs == 1 {
		_, err := runLoad(ctx, s, im, mode, b, 0)
		return err
	}
	var iops, bandwidth, mean []float64
	for run := range runs {
		e, err := runLoad(ctx, s, im, mode, b, run+1)
		if err != nil {
			return err
		}
		requests, bytes := e.Rates()
		iops, bandwidth = append(iops, requests), append(bandwidth, bytes)
		mean = append(mean, float64(e.Latency.Mean))
	}
	s.Emit(event.LoadSpread{
		Mode: mode, Runs: runs, IOPS: spreadOf(iops), Bandwidth: spreadOf(bandwidth),
		Mean: spreadOf(mean),
	})
	return nil
}

// spreadOf is what figures have in common.
func spreadOf(list []float64) event.Spread {
	s := event.Spread{Min: slices.Min(list), Max: slices.Max(list)}
	for _, x := range list {
		s.Mean += x / float64(len(list))
	}
	if n := len(list) - 1; n > 0 {
		for _, x := range list {
			s.SD += (x - s.Mean) * (x - s.Mean) / float64(n)
		}
		s.SD = math.Sqrt(s.SD)
	}
	return s
}

// runLoad makes a load and tells of it, also if a person stopped it. run is which of several it is,
// 0 if there is but one.
func runLoad(ctx context.Context, s *session.Session, im *session.Image, mode string,
	b *load.Job, run int,
) (e event.Load, err error) {
	w := session.Work{What: mode, Request: int64(b.Block), Time: b.Time}
	if b.Time == 0 {
		w.Total = b.Requests * int64(b.Block)
	}
	add, end := s.Watch(w)
	var result *load.Result
	err = s.Do(ctx, func(ctx context.Context) (err error) {
		patient, release := unhurried(ctx)
		defer release()
		b.Open = opener(patient, im.Dev)
		b.Clock, b.Progress = stopwatch(), add
		result, err = load.Run(ctx, *b)
		return err
	})
	end()
	if result != nil && result.Requests > 0 {
		e = loadEvent(event.Range{Off: b.Off, Len: b.Len}, mode, b, result)
		e.Run = run
		s.Emit(e)
	}
	switch {
	case err == nil:
		return e, nil
	case ctx.Err() != nil:
		return e, event.Fail(event.Interrupted{Err: context.Cause(ctx)})
	}
	return e, event.FailOp("bench", err)
}

// stopwatch is the time since now. It is not the session's clock: asking for no time of day is half
// the work.
func stopwatch() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

func loadEvent(at event.Range, mode string, b *load.Job, r *load.Result) event.Load {
	return event.Load{
		Range: at, Mode: mode, Block: int64(b.Block), Depth: b.Depth, Requests: r.Requests,
		Elapsed: r.Elapsed, User: r.User, System: r.System,
		Latency: event.LatencyOf(&r.Latency, percentiles()),
	}
}
