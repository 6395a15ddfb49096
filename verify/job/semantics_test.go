package job

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/verify/fio"
)

// jobsOf are the jobs of a job file on a file of that length.
func jobsOf(t *testing.T, text string, length int64) []fio.Options {
	t.Helper()
	jobs, _, err := fio.ParseJobFile(strings.NewReader(text), fio.DefaultOptions(),
		fio.Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		if jobs[i], err = jobs[i].On([]int64{length}); err != nil {
			t.Fatal(err)
		}
	}
	return jobs
}

// judgeAll verifies jobs one after the other, as if somebody else had written.
func judgeAll(t *testing.T, jobs []fio.Options, img []byte) (results []*Result) {
	t.Helper()
	for i, o := range jobs {
		o.Fio = fio.FioAny
		others := append(append([]fio.Options{}, jobs[:i]...), jobs[i+1:]...)
		r, err := testJob(t, o).Verify(t.Context(), openMemory(img), VerifyOptions{Others: others})
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func writeAll(t *testing.T, jobs []fio.Options, img []byte) {
	t.Helper()
	for _, o := range jobs {
		if _, err := testJob(t, o).Write(t.Context(), openMemory(img), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func total(results []*Result) (good, bad, others int64) {
	for _, r := range results {
		good, bad, others = good+r.Blocks-r.Bad, bad+r.Bad, others+r.Others
	}
	return good, bad, others
}

// Of jobs on one range each block is judged once, by the job that wrote it last. One that none of
// them wrote is bad for all.
func TestJobsOnOneRange(t *testing.T) {
	const size = 64 << 10
	for name, text := range map[string]string{
		"clones":             "[a]\nsize=64k\nrw=randwrite\nbs=4k\nnumjobs=3\nverify=crc64\n",
		"at the same time":   "[global]\nsize=64k\nbs=4k\n[a]\nrw=write\nverify=md5\n[b]\nrw=randwrite\nverify=crc32c\n",
		"after another":      "[global]\nsize=64k\nverify=crc32c\n[a]\nrw=write\nbs=4k\n[b]\nstonewall\nrw=write\nbs=16k\n",
		"over a part":        "[global]\nverify=crc32c\nrw=write\nbs=4k\n[a]\nsize=64k\n[b]\nstonewall\nsize=16k\noffset=16k\n",
		"with its own loops": "[a]\nsize=64k\nrw=randwrite\nbs=4k\nnumjobs=2\nloops=2\nverify=crc64\nnorandommap\n",
	} {
		t.Run(name, func(t *testing.T) {
			jobs, img := jobsOf(t, text, size), make([]byte, size)
			writeAll(t, jobs, img)
			good, bad, others := total(judgeAll(t, jobs, img))
			if bad != 0 || good == 0 || others == 0 {
				t.Fatalf("%d blocks are good, %d bad, %d bytes of others", good, bad, others)
			}
			clear(img[20<<10 : 24<<10])
			if _, bad, _ := total(judgeAll(t, jobs, img)); bad == 0 {
				t.Error("a block of zeroes is not found")
			}
			if jobs[0].NoRandomMap {
				return
			}
			// An older block of a job is no other job's.
			older := jobs[len(jobs)-1]
			older.RandSeed, older.RandSeedGiven = 99, true
			writeAll(t, jobs, img)
			writeAll(t, []fio.Options{older}, img)
			if _, bad, _ := total(judgeAll(t, jobs, img)); bad == 0 {
				t.Error("blocks of another run are not found")
			}
		})
	}
}

// Where nothing tells the blocks of two jobs apart, their verification is refused.
func TestJobsThatNothingTellsApart(t *testing.T) {
	for _, text := range []string{
		"[global]\nsize=64k\nrw=write\nverify=crc32c\n[a]\nbs=4k\n[b]\nbs=16k\n",
		"[global]\nsize=64k\nrw=write\nbs=4k\n[a]\nverify=crc32c\n[b]\n",
		"[global]\nsize=64k\nrw=write\nbs=4k\nverify=pattern\n[a]\nverify_pattern=1\n[b]\nverify_pattern=2\n",
	} {
		jobs := jobsOf(t, text, 64<<10)
		_, err := testJob(t, jobs[0]).Verify(t.Context(), openMemory(nil),
			VerifyOptions{Others: jobs[1:]})
		if err == nil ||
			!strings.Contains(err.Error(), "jobs a and b") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A job that its runtime ended is verified for what it wrote, by whoever reads it; a block that is
// lost before the end is found.
func TestEndedByTheClock(t *testing.T) {
	for _, text := range []string{
		"rw=write", "rw=randwrite", "rw=randwrite\nbsrange=1k-4k",
		"rw=randwrite\nverify_interval=512",
	} {
		o := jobsOf(t, "[a]\nsize=256k\nbs=4k\nruntime=10\nverify=crc32c\n"+text, 256<<10)[0]
		img := make([]byte, 256<<10)
		now := time.Unix(0, 0)
		j, err := New(o,
			Hooks{Now: func() time.Time { now = now.Add(time.Second / 4); return now }})
		if err != nil {
			t.Fatal(err)
		}
		w, err := j.Write(t.Context(), openMemory(img), WriteOptions{})
		if err != nil || w.Written == 0 || w.Written >= 256<<10 {
			t.Fatalf("%s: %+v, %v", text, w, err)
		}
		r, err := testJob(t, o).Verify(t.Context(), openMemory(img), VerifyOptions{})
		if err != nil || !r.Good() || r.Checked != w.Written {
			t.Errorf("%s: %+v, %v, of %d bytes", text, r, err, w.Written)
		}
		first := firstWrite(t, o)
		clear(img[first : first+1024])
		if r, err := testJob(t, o).Verify(t.Context(), openMemory(img),
			VerifyOptions{}); err != nil || r.Bad == 0 {
			t.Errorf("%s: what is lost at %d is not found: %+v, %v", text, first, r, err)
		}
	}
}

func firstWrite(t *testing.T, o fio.Options) int64 {
	l, err := fio.NewLayout(&o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := fio.NewOrder(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	var r fio.Request
	p.Next(&r)
	return r.Off
}

// What only the run that wrote knows is refused when it is read, and verified in that run.
func TestOnlyTheRunKnows(t *testing.T) {
	for text, want := range map[string]string{
		"rw=randwrite\nrandrepeat=0":                                        "randrepeat=0",
		"rw=write\nbsrange=1k-4k\nrandrepeat=0":                             "randrepeat=0",
		"rw=randwrite\ntime_based\nruntime=3":                               "time_based",
		"rw=randwrite\nruntime=3\nloops=2":                                  "runtime",
		"rw=randwrite\nzonemode=strided\nzonesize=16k\nzoneskip=16k\nbs=4k": "zonemode=strided",
	} {
		o := jobsOf(t, "[a]\nsize=64k\nbs=4k\nverify=crc32c\n"+text, 64<<10)[0]
		img := make([]byte, 64<<10)
		now := time.Unix(0, 0)
		j, err := New(o,
			Hooks{Now: func() time.Time { now = now.Add(time.Second / 8); return now }})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := writeAndVerify(j, t.Context(), openMemory(img)); err != nil || !r.Good() ||
			r.Blocks == 0 {
			t.Errorf("%s: in its run: %+v, %v", text, r, err)
		}
		if _, err := testJob(t, o).Verify(t.Context(), openMemory(img),
			VerifyOptions{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: afterwards: %v, want %s", text, err, want)
		}
	}
}

// Where a job is in files of a length.
func TestOn(t *testing.T) {
	const m = 1 << 20
	for _, c := range []struct {
		text         string
		length       int64
		off, n, part int64
		want         string
	}{
		{text: "size=4m", length: -1, n: 4 * m, part: 4 * m},
		{text: "size=4m", length: 16 * m, n: 4 * m, part: 4 * m},
		{text: "size=100%", length: 3 * m, n: 3 * m, part: 3 * m},
		{text: "size=50%", length: 8 * m, n: 4 * m, part: 4 * m},
		{text: "size=25%\noffset=50%", length: 8 * m, off: 4 * m, n: 2 * m, part: 2 * m},
		{text: "size=75%\noffset=50%", length: 8 * m, off: 4 * m, n: 4 * m, part: 4 * m},
		{text: "filesize=8m\nsize=50%", length: -1, n: 4 * m, part: 4 * m},
		{text: "filesize=8m\nsize=2m", length: -1, n: 2 * m, part: 8 * m},
		{text: "filesize=8m\nfill_device=1", length: -1, n: 8 * m, part: 8 * m},
		{text: "offset=1m", length: 4 * m, off: m, n: 3 * m, part: 3 * m},
		{text: "rw=write", length: -1, want: "needs size="},
		{text: "offset=5m", length: 4 * m, want: "behind the end"},
		{text: "size=4095", length: 4 * m, want: "nothing fits"},
	} {
		jobs, _, err := fio.ParseJobFile(strings.NewReader("[a]\nbs=4k\n"+c.text),
			fio.DefaultOptions(), fio.Surroundings{})
		if err != nil {
			t.Fatal(err)
		}
		o, err := jobs[0].On([]int64{c.length})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %s", c.text, err, c.want)
			}
			continue
		}
		if err != nil || o.Offset != c.off || o.Size != c.n || o.Part != c.part {
			t.Errorf("%q: %d bytes at %d, %d of a file, %v", c.text, o.Size, o.Offset, o.Part, err)
		}
	}
	jobs := jobsOf(t, "[a]\nbs=4k\nsize=1m\nnumjobs=3\noffset=4k\noffset_increment=1m", 16*m)
	if got := fmt.Sprint(jobs[0].Offset, jobs[1].Offset,
		jobs[2].Offset); got != "4096 1052672 2101248" {
		t.Errorf("offsets of clones: %s", got)
	}
}

// What job files get from elsewhere.
func TestSurroundings(t *testing.T) {
	files := map[string]string{
		"common": "size=64k ; how much\n", "deep": "include common\nbs=8k\n",
		"loop": "include loop\n", "section": "[b]\n",
	}
	around := fio.Surroundings{
		Include: func(name string, _ int) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, fmt.Errorf("no such file")
		},
		Getenv:   func(name string) string { return map[string]string{"SIZE": "4m", "NEST": "${SIZE}"}[name] },
		Keywords: map[string]string{"$ncpus": "6", "$pagesize": "4096"},
	}
	for text, want := range map[string]string{
		"include deep":          "65536 8192",
		"size=${SIZE}":          "4194304 4096",
		"size=${SIZE}b":         "4194304 4096",
		"bs=$pagesize # a":      "0 4096",
		"size=$ncpus*2+(8-4)":   "16 4096",
		"bs=$pagesize/4":        "0 1024",
		"include = common":      "65536 4096",
		"size=${NONE}512":       "512 4096",
		"include loop":          "job file loop, line 1: include loop: more than 8 files include each other",
		"include section":       "job file section, line 1: a file that is included has no sections",
		"include other":         "job file, line 2: include other: no such file",
		"size=${NEST}":          `job file, line 2: size=${SIZE}: "${SIZE}" is no size`,
		"size=$ncpus*(":         `job file, line 2: size=$ncpus*(: "" is no arithmetic`,
		"size=$ncpus/0":         "job file, line 2: size=$ncpus/0: division by zero",
		"kb_base=1000\nsize=1k": "1000 4096",
		"size=1k\nkb_base=1000": "1000 4096",
	} {
		jobs, _, err := fio.ParseJobFile(strings.NewReader("[a]\n"+text), fio.DefaultOptions(),
			around)
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(jobs[0].Size, jobs[0].MinBlock)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The names of files, and how fio's groups begin.
func TestFilesAndGroups(t *testing.T) {
	jobs := jobsOf(t,
		"[global]\nsize=1m\n[a]\nnumjobs=2\n[b]\nstonewall\nfilename_format=$filenum/$jobname-$jobnum\nnrfiles=2\n"+
			"[c]\ndirectory=d1:d2\nnumjobs=2\n[d]\nwait_for_previous\ndirectory=e/\nfilename=x:/y\n"+
			"[f]\nfilename_format=$JOBNAME$jobnum$ClientUID",
		4<<20)
	var got []string
	for _, o := range jobs {
		got = append(got, fmt.Sprint(o.Group, o.Files()))
	}
	want := []string{
		"0 [a.0.0]", "0 [a.1.0]", "1 [0/b-0 1/b-0]", "1 [d1/c.0.0]", "1 [d2/c.1.0]",
		"2 [e/x /y]", "2 [f0]",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
