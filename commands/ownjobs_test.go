package commands_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blksh/blksh/commands/session"
)

// TestJobsFindTheirOwn: what a job wrote is intact for the run that wrote it, however it ended and
// whatever it says of its verification; and what only that run can know, no other takes for damage.
func TestJobsFindTheirOwn(t *testing.T) {
	const random = "[a]\nrw=randwrite\nbs=4k\nverify=crc32c\nsize=2m\n"
	for name, c := range map[string]struct {
		job    string
		blocks int64  // at most; 0: there is nothing to verify
		reads  string // why another run does not judge them, "" if it does
	}{
		"ended by time":    {random + "runtime=9\n", 511, ""},
		"for a time":       {random + "time_based\nruntime=99\n", 512, "time_based"},
		"backlog":          {random + "verify_backlog=32\n", 512, ""},
		"backlog in turns": {random + "verify_backlog=32\nverify_backlog_batch=8\nverify=sha256\n", 512, ""},
		"another order":    {random + "randrepeat=0\n", 512, "randrepeat=0"},
		"not verified":     {"[a]\nrw=write\nsize=2m\n", 0, "no job says"},
	} {
		t.Run(name, func(t *testing.T) {
			var seconds atomic.Int64
			o := newObjects(t, func(cfg *session.Config) {
				cfg.Now = func() time.Time { return time.Unix(seconds.Add(1), 0) }
			})
			o.must(0, "open mem:2M")
			t.Chdir(t.TempDir()) // where its state is left
			file := filepath.Join(t.TempDir(), "job")
			if err := os.WriteFile(file, []byte(c.job), 0o600); err != nil {
				t.Fatal(err)
			}
			list := o.must(0, "verify_job "+file)
			if c.blocks > 0 {
				if e := find(t, list, "verdict"); e.Blocks == 0 || e.Blocks > c.blocks {
					t.Errorf("%d blocks", e.Blocks)
				}
			} else {
				find(t, list, "not_verified")
			}
			if c.reads == "" {
				find(t, o.must(0, "verify_job --read "+file), "verdict")
			} else if e := find(t, o.must(2, "verify_job --read "+file),
				"bad_value"); !strings.Contains(
				e.Message, c.reads) {
				t.Error(e.Message)
			}
		})
	}
}

// TestJobsMakeDirectories: a job makes the directories that its files are in, as fio does, and not
// the one that it names as given.
func TestJobsMakeDirectories(t *testing.T) {
	t.Chdir(t.TempDir())
	job := func(text string) {
		if err := os.WriteFile("job", []byte(text+"rw=write\nsize=64k\nverify=md5\n"),
			0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := newObjects(t)
	job("[a/b]\n")
	find(t, o.must(0, "verify_job job"), "verdict")
	if st, err := os.Stat("a"); err != nil || st.Mode() != os.ModeDir|0o700 {
		t.Error(st.Mode(), err)
	}
	find(t, o.must(0, "verify_job --read job"), "verdict")
	job("[a/b]\ndirectory=missing\n")
	o.must(2, "verify_job job")
	if _, err := os.Stat("missing"); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// TestJobsReadUnlessTheySay: a job that says no rw= reads, as fio has it, and writes nothing.
func TestJobsReadUnlessTheySay(t *testing.T) {
	t.Chdir(t.TempDir())
	job := []byte("[a]\nfilename=x\nsize=64k\nverify=md5\n")
	zeroes := make([]byte, 64<<10)
	for name, data := range map[string][]byte{"job": job, "x": zeroes} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := newObjects(t)
	if e := find(t, o.must(1, "verify_job job"), "damaged"); e.Blocks != 16 {
		t.Errorf("%d blocks", e.Blocks)
	}
	if got, err := os.ReadFile("x"); err != nil || !bytes.Equal(got, zeroes) {
		t.Error("the file was written", err)
	}
}
