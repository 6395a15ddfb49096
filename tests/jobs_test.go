package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// jobCase is a job file that fio and blksh run for each other. reads and writes say what is right
// where it is not that either finds the other's blocks intact.
type jobCase struct {
	name, text string
	// reads is what blksh says of the blocks that fio wrote, if it cannot judge them.
	reads string
	// unchecked: a byte that is damaged in the midst does not show, as nothing there is verified.
	unchecked bool
	// before is the length of x.img before it is written, in bytes; 0: it is not there.
	before int64
	// fails: fio takes its own blocks for bad ones.
	fails bool
}

// jobCases are the kinds of jobs that people verify with. The short tier takes every eighth.
var jobCases = []jobCase{
	{name: "plain", text: "[a]\nfilename=x.img\nsize=1m\nrw=randwrite\nbs=4k\niodepth=16\nioengine=libaio\ndirect=1\nverify=crc32c\n"},
	{
		name: "headers of intervals, two phases",
		text: "[global]\nfilename=x.img\nsize=1m\nbs=32k\nverify=md5\nverify_interval=512\n" +
			"[w]\nrw=write\ndo_verify=0\n[r]\nstonewall\nrw=read\n",
	},
	{name: "backlog", text: "[a]\nfilename=x.img\nsize=1m\nrw=randwrite\nbs=8k\nverify=sha256\nverify_backlog=32\nverify_backlog_batch=8\niodepth=8\nioengine=libaio\n"},
	{name: "backlog, one by one", text: "[a]\nfilename=x.img\nsize=512k\nrw=write\nbs=4k\nverify=crc64\nverify_backlog=16\n"},
	{name: "clones beside each other", text: "[a]\nfilename=x.img\nsize=256k\nnumjobs=3\noffset_increment=256k\nrw=write\nbs=16k\nverify=crc32c\n"},
	{name: "clones on one range", text: "[a]\nfilename=x.img\nsize=256k\nnumjobs=3\nrw=randwrite\nbs=4k\nverify=crc32c\ndo_verify=0\n"},
	{name: "clones with files", text: "[a]\nsize=256k\nnumjobs=2\nrw=randwrite\nbs=4k\nverify=xxhash\n"},
	{name: "files by a format", text: "[a]\nfilename_format=f.$filenum.$jobname\nnrfiles=3\nsize=768k\nrw=randwrite\nbs=4k\nverify=crc32\n"},
	{name: "files one after the other", text: "[a]\nfilename=x.img:y.img\nfile_service_type=sequential\nsize=512k\nrw=write\nbs=4k\nverify=crc32c\n"},
	{name: "clock, backlog", text: "[a]\nfilename=x.img\nsize=256k\ntime_based\nruntime=1\nrw=randwrite\nbs=4k\nverify=crc32c\nverify_backlog=64\n", reads: "time_based"},
	{name: "clock that never rings", text: "[a]\nfilename=x.img\nsize=256k\nruntime=1000\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{name: "pattern", text: "[a]\nfilename=x.img\nsize=256k\nrw=randwrite\nbs=512\nverify=pattern\nverify_pattern=\"ab\"%o0x0f\n"},
	{name: "sizes in a range", text: "[a]\nfilename=x.img\nsize=1m\nrw=randwrite\nbsrange=4k-32k\nverify=md5\n"},
	{name: "sizes in shares", text: "[a]\nfilename=x.img\nsize=1m\nrw=randwrite\nbssplit=2k/50:16k/50\nverify=xxhash\n"},
	{name: "no repeat", text: "[a]\nfilename=x.img\nsize=256k\nrw=randwrite\nrandrepeat=0\nbs=4k\nverify=crc32c\n", reads: "randrepeat=0", fails: true},
	{name: "mixed", text: "[a]\nfilename=x.img\nsize=512k\nrw=randrw\nrwmixread=30\nbs=4k\nverify=crc32c\n"},
	{name: "reads of another size", text: "[a]\nfilename=x.img\nsize=512k\nrw=randrw\nbs=2k,8k\nverify=crc32c\n", unchecked: true},
	{name: "loops and logs", text: "[a]\nfilename=x.img\nsize=256k\nrw=randwrite\nbs=4k\nloops=3\nverify=crc32c\nfsync=16\nend_fsync=1\nwrite_bw_log=log\nlog_avg_msec=100\n"},
	{name: "variables", text: "[global]\nfilename=${JOBDISK} ; where\nsize=256k # how much\n[a]\nrw=write\nbs=4k\nverify=crc32c\n"},
	{name: "keywords", text: "[a]\nfilename=x.img\nsize=$pagesize*16\nrw=write\nbs=$pagesize\nverify=crc32c\n"},
	{name: "included", text: "[global]\ninclude common.inc\n[a]\nrw=write\nverify=crc32c\n"},
	{name: "percent", text: "[a]\nfilename=x.img\nfilesize=1m\nsize=50%\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{name: "a size for each direction", text: "[a]\nfilename=x.img\nsize=256k\nrw=randwrite\nbs=4k-16k\nverify=crc32c\n"},
	{
		name: "percent of a file that grows", before: 256 << 10, reads: "offsets in percent",
		fails: true,
		text:  "[a]\nfilename=x.img\nfilesize=1m\noffset=25%\nsize=256k\nrw=randwrite\nbs=4k\nverify=crc32c\n",
	},
	{name: "percent of a file", before: 1 << 20, unchecked: true, text: "[a]\nfilename=x.img\noffset=25%\nsize=256k\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{
		name: "an engine that moves no data",
		text: "[global]\nfilename=x.img\nsize=256k\nbs=4k\n[a]\nrw=randwrite\nverify=crc32c\n" +
			"[idle]\nstonewall\nioengine=null\nrw=write\n",
	},
	{name: "writes that wait for each other", text: "[a]\nfilename=x.img\nsize=256k\nrw=randwrite\nnorandommap\nbs=4k\nioengine=libaio\niodepth=8\nserialize_overlap=1\nverify=crc32c\n"},
	{name: "another name", text: "[a]\nname=b\nnrfiles=2\nsize=256k\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{name: "files with blanks", text: "[a job]\nnrfiles=2\nsize=256k\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{name: "a long path", text: "[a]\ndirectory=" + strings.Repeat("./", 40) + "\nsize=256k\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{name: "decimal units", text: "[a]\nfilename=x.img\nsize=1MiB\nrw=randwrite\nbs=4KiB\nverify=crc32c\n"},
	{name: "kb_base", text: "[a]\nfilename=x.img\nsize=1m\nbs=4k\nkb_base=1000\nrw=write\nverify=crc32c\n"},
	{name: "part of the size", text: "[a]\nfilename=x.img\nsize=1m\nio_size=256k\nrw=randwrite\nbs=4k\nverify=crc32c\n"},
	{name: "the whole file", text: "[a]\nfilename=x.img\nfilesize=512k\nfill_device=1\nrw=write\nbs=64k\nverify=crc32c\n"},
	{name: "uneven", text: "[a]\nfilename=x.img\nsize=512k\nrw=randwrite\nrandom_distribution=zipf:1.2\nbs=4k\nverify=crc32c\n"},
	{name: "zones", text: "[a]\nfilename=x.img\nsize=512k\nrw=write\nzonemode=strided\nzonesize=32k\nzoneskip=32k\nbs=4k\nverify=crc32c\n"},
	{name: "a fill first", text: "[global]\nfilename=x.img\nsize=256k\nbs=4k\n[fill]\nrw=write\n[a]\nstonewall\nrw=randwrite\nverify=crc32c\n"},
	{name: "verified by a section", text: "[global]\nfilename=x.img\nsize=256k\nbs=4k\nverify=crc32c\nrw=randwrite\n[w]\ndo_verify=0\n[v]\nstonewall\nverify_only=1\n"},
	{name: "one after the other", text: "[global]\nfilename=x.img\nsize=256k\nrw=write\nverify=crc32c\ndo_verify=0\n[a]\nbs=4k\n[b]\nstonewall\nbs=16k\n"},
	{name: "two on two", text: "[global]\nsize=256k\nbs=4k\nverify=crc32c\ndirectory=.\n[a]\nrw=write\n[b]\nrw=randwrite\n"},
	{name: "not verified", text: "[a]\nfilename=x.img\nsize=256k\nrw=write\nbs=4k\nverify=0\n", reads: "no job says", unchecked: true},
}

// jobDisk is the variable that job files name.
const jobDisk = "JOBDISK=x.img"

// Both sides find what the other wrote by a job file intact, and what is damaged afterwards bad.
func TestJobFilesBothWays(t *testing.T) {
	t.Parallel()
	fio := fio333(t)
	for i, c := range jobCases {
		if !blockdevtest.Sampled(i-2, 8) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{
				"job.fio":    c.text,
				"common.inc": "filename=x.img\nsize=256k\nbs=4k\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			c.begin(t, dir)
			if ok, said := runJob(t, fio, dir); !ok && !c.fails {
				t.Fatalf("fio: %s", said)
			}
			readJob(t, dir, &c)
			empty(t, dir)
			c.begin(t, dir)
			if a := inDir(t, dir, "-c", "verify_job --fio 3.33 job.fio"); a.status != "exit 0" {
				t.Fatalf("writing: %s\n%s%s", a.status, a.stdout, a.stderr)
			}
			removeStates(t, dir) // of a version that fio does not read
			if ok, said := runJob(t, fio, dir, "--verify_only"); !ok && !c.fails {
				t.Errorf("fio does not find it intact: %s", said)
			}
		})
	}
}

// begin makes the file that is there before the job.
func (c *jobCase) begin(t *testing.T, dir string) {
	t.Helper()
	if c.before == 0 {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "x.img"), make([]byte, c.before), 0o666); err != nil {
		t.Fatal(err)
	}
}

// readJob verifies what fio wrote, and again when a byte of it is another one.
func readJob(t *testing.T, dir string, c *jobCase) {
	t.Helper()
	a := inDir(t, dir, "-c", "verify_job --read job.fio")
	if c.reads != "" {
		if a.status == "exit 0" || !strings.Contains(a.stderr, c.reads) {
			t.Errorf("reading: %s\n%s%s", a.status, a.stdout, a.stderr)
		}
		return
	}
	if a.status != "exit 0" {
		t.Errorf("reading: %s\n%s%s", a.status, a.stdout, a.stderr)
		return
	}
	if c.unchecked {
		return
	}
	disks, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, disk := range disks {
		data, err := os.ReadFile(disk)
		if err != nil || len(data) < 32<<10 {
			continue
		}
		at := damageable(data)
		data[at] ^= 1
		if err := os.WriteFile(disk, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if a := inDir(t, dir, "-c", "verify_job --read job.fio"); a.status != "exit 1" {
			t.Errorf("%s has another byte at %d: %s\n%s%s", filepath.Base(disk), at, a.status,
				a.stdout, a.stderr)
		}
		return
	}
	t.Error("no file to damage")
}

// damageable is the place of a byte in the midst of what was written.
func damageable(data []byte) int {
	for at := len(data) / 2; at < len(data); at++ {
		if data[at] != 0 && data[at-1] != 0 {
			return at
		}
	}
	return 0
}

// empty removes all but the job files.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "job.fio" && e.Name() != "common.inc" {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func removeStates(t *testing.T, dir string) {
	t.Helper()
	states, err := filepath.Glob(filepath.Join(dir, "*.state"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range states {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

func inDir(t *testing.T, dir string, args ...string) answer {
	t.Helper()
	p := asBlksh
	p.env = append(slices.Clone(p.env), jobDisk)
	a, err := p.run(run{dir: dir, args: args})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fio333 is a fio that writes as 3.33 does.
func fio333(t *testing.T) string {
	t.Helper()
	path := peer(t, "fio", "fio")
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	minor, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(string(out)), "fio-3."))
	if err != nil || minor < 32 || minor > 34 {
		t.Skipf("%s is %s, and not a fio 3.32 to 3.34", path, out)
	}
	return path
}

// runJob runs fio on the job file of a folder.
func runJob(t *testing.T, fio, dir string, more ...string) (ok bool, said string) {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), hangsAt())
	defer cancel()
	cmd := exec.CommandContext(ctx, fio, append(more, "--output=log", "job.fio")...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), jobDisk)
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}
