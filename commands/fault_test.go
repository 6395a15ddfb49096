package commands_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/commands/session"
)

// changing are runs that change an image of 8 MiB in which the first MiB of the second half is
// written, and one cluster of the first.
var changing = []struct {
	name  string
	lines string // the last one is what the run is about
}{
	{"write", "write -P 1 0 64k"},
	{"write over data", "write -P 1 4M 64k"},
	{"write a part", "write -P 1 100000 5000"},
	{"write many", "write -P 1 0 4M"},
	{"write -f", "write -f -P 1 0 4k"},
	{"write -c", "write -c -P 1 256k 64k"},
	{"write -z", "write -z 4M 128k"},
	{"write -z a part", "write -z 4100k 5000"},
	{"write -zu", "write -zu 4M 256k"},
	{"write -zn", "write -z -n 4M 64k"},
	{"writev", "writev -P 1 0 64k 64k"},
	{"aio_write", "aio_write -P 1 0 128k; aio_flush"},
	{"aio_write -z", "aio_write -z 4M 64k; aio_flush"},
	{"discard", "discard 4M 256k"},
	{"truncate, longer", "truncate 16M"},
	{"truncate, longer, with tables", "truncate -m metadata 16M"},
	{"truncate, longer, with space", "truncate -m falloc 9M"},
	{"truncate, longer, filled", "truncate -m full 9M"},
	{"truncate, shorter", "truncate --shrink 4M"},
	{"flush", "write -q -P 1 0 64k; flush"},
	{"reopen -r", "write -q -P 1 0 64k; reopen -r"},
	{"reopen -c", "write -q -P 1 0 64k; reopen -c unsafe"},
	{"close", "write -q -P 1 0 64k; close"},
	{"verify_write", "verify_write -b 16k 0 256k"},
	{"bench", "bench -b 16k -n 16 randwrite 0 256k"},
	{"check -r leaks", "check -r leaks"},
	{"check -r all", "check -r all"},
}

// mayPass are faults that a run survives. Each has its reason.
var mayPass = map[string]string{
	"truncate, shorter: truncate": "only the end of the file is kept, and a warning says so",
}

// faultCase is a run in which one request to the file of an image fails.
type faultCase struct {
	name, options, lines, cache string
	opening                     string // further options to open it, each behind a comma
	data                        string // the data file, "" without one
	reads                       bool   // requests that read fail, and not those that change
	fault                       blockdevtest.Fault

	mu  sync.Mutex
	hit blockdevtest.Request // the first request that failed; under mu while a run is on
}

func (f *faultCase) fail(r blockdevtest.Request) error {
	err := f.fault.Fail(r)
	if err == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hit.Kind == "" {
		f.hit = r
	}
	return err
}

// kinds are those of the requests that fail.
func (f *faultCase) kinds() []string {
	if f.reads {
		return []string{"read"}
	}
	return []string{"write", "zero", "truncate", "flush"}
}

// run runs the lines on the image, all of whose requests to its file may fail but those that open
// it, and returns what was said.
func (f *faultCase) run(t *testing.T, image string) (said string, status int) {
	t.Helper()
	armed := false
	s := newShell(t, "native", func(c *session.Config) {
		c.Drivers = append(drivers.All(), blockdevtest.Faulty(func(r blockdevtest.Request) error {
			if !armed {
				return nil
			}
			return f.fail(r)
		}))
	})
	giveSecrets(s)
	open := fmt.Sprintf(
		"open -t %s -o driver=qcow2,file.driver=%s,file.file.driver=file,file.file.filename=%s",
		f.cache, blockdevtest.FaultyName, image) + f.opening
	if f.data != "" {
		open += fmt.Sprintf(",data-file.driver=%s,data-file.file.driver=file,"+
			"data-file.file.filename=%s", blockdevtest.FaultyName, f.data)
	}
	if got := s.dialogue(t, open); got != "" {
		t.Fatalf("%s: %s", open, got)
	}
	armed = true
	for line := range strings.SplitSeq(f.lines, "; ") {
		if !s.Ended() {
			_ = s.Run(context.Background(), session.Line{Text: line})
		}
	}
	s.Finish(context.Background())
	return s.errs.String(), s.Status()
}

// faultImage makes the image that runs start with.
func faultImage(t *testing.T, name, options string) string {
	t.Helper()
	s := newShell(t, "native")
	giveSecrets(s)
	open := "open " + name
	if strings.Contains(options, "encrypt.") {
		open = "open -o driver=qcow2,encrypt.key-secret=a,file.filename=" + name
	}
	got := s.dialogue(t, "create --force -f qcow2 -o "+options+" "+name+" 8M", open,
		"write -q -P 5 4M 1M", "write -q -P 6 128k 512", "close")
	if s.Status() != 0 {
		t.Fatal(got)
	}
	return name
}

// sound checks the image with drivers that do not fail, and looks for what the run did not touch.
// It is opened for writing, since that repairs what lazy refcounts leave.
func (f *faultCase) sound(t *testing.T, image string) error {
	t.Helper()
	s := newShell(t, "native")
	giveSecrets(s)
	said := s.dialogue(t, "open -o driver=qcow2,file.filename="+image+f.opening)
	if s.Status() != 0 {
		return fmt.Errorf("cannot be opened: %s", said)
	}
	lines := []string{"read -q -P 5 4608k 256k", "read -q -P 6 128k 512"}
	switch f.name {
	case "truncate, shorter":
		lines = lines[1:]
	case "write -c", "write many", "bench", "verify_write":
		lines = lines[:1]
	}
	if said = s.dialogue(t, lines...); s.Status() != 0 {
		return fmt.Errorf("what was there is lost: %s", said)
	}
	dev := s.Image().Dev
	checker, _ := driver.Find[driver.Checker](dev.Top())
	res, err := checker.Check(t.Context(), 0)
	s.Finish(t.Context())
	if err != nil || res.Corruptions+res.CheckErrors > 0 {
		return fmt.Errorf("%w, %+v", err, res)
	}
	return nil
}

// TestFaults fails, one after the other, each request to its file that a command makes to change an
// image or to make a change durable, once or for good, in both cache modes: the exit status says
// so, so does a line, and the image has leaks at most.
func TestFaults(t *testing.T) {
	errs := []error{syscall.EIO, syscall.ENOSPC, syscall.EINTR, blockdevtest.Torn(512, syscall.EIO)}
	image := filepath.Join(t.TempDir(), "image")
	runs := 0
	for o, options := range []string{
		"cluster_size=16k", "cluster_size=16k,lazy_refcounts=on",
		"cluster_size=16k,extended_l2=on", "compat=0.10,cluster_size=4k",
	} {
		pristine, err := os.ReadFile(faultImage(t, image, options))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range changing {
			for j, cache := range []string{"writeback", "writethrough"} {
				for k, injected := range errs {
					for stays := range 2 {
						// which has no such clusters
						if c.name == "write -zn" && strings.HasPrefix(options, "compat=0.10") {
							continue
						}
						if !blockdevtest.Sampled(o+i+j+k+stays, 16) {
							continue
						}
						f := faultCase{name: c.name, options: options, lines: c.lines, cache: cache}
						runs += f.everywhere(t, image, [][]byte{pristine}, injected, stays > 0)
					}
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// everywhere repeats a run until the request to fail is behind all that it makes.
func (f *faultCase) everywhere(t *testing.T, image string, pristine [][]byte, injected error,
	stays bool,
) (runs int) {
	t.Helper()
	for at := int64(0); ; at++ {
		if err := os.WriteFile(image, pristine[0], 0o666); err != nil {
			t.Fatal(err)
		}
		if f.data != "" {
			if err := os.WriteFile(f.data, pristine[1], 0o666); err != nil {
				t.Fatal(err)
			}
		}
		once := faultCase{
			name: f.name, options: f.options, lines: f.lines, cache: f.cache, opening: f.opening,
			data: f.data, reads: f.reads,
			fault: blockdevtest.Fault{
				At: at, Err: injected, Stays: stays,
				Kinds: f.kinds(),
			},
		}
		said, status := once.run(t, image)
		what := fmt.Sprintf("%s, %s, %s, %v at %d (%+v), stays %v", f.name, f.options, f.cache,
			injected, at, once.hit, stays)
		if once.fault.Seen() <= at {
			if status != 0 {
				t.Errorf("%s: nothing failed, status %d: %s", what, status, said)
			}
			return runs
		}
		runs++
		// what is not given back leaks, and what was asked for is done
		passes := mayPass[f.name+": "+once.hit.Kind] != "" ||
			strings.Contains(said, "qcow2_free_clusters failed")
		if !passes && status == 0 || said == "" {
			t.Errorf("%s: status %d, %q", what, status, said)
		}
		if err := f.sound(t, image); err != nil {
			t.Errorf("%s: status %d, %q: %v", what, status, said, err)
		}
		if at > 10000 {
			t.Fatal("no end")
		}
	}
}
