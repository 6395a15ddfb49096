package commands_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/commands"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/print"
	"github.com/blksh/blksh/commands/session"
	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/job"
)

// told is one object of the output.
type told struct {
	Kind, Class, Message, Option, Mode string
	Hint                               string
	Offset, Length, From, Resume       int64
	Blocks, Bad, Requests, Writes      int64
	Checked, Unchecked, Bytes          int64
	HeadersOnly                        int64 `json:"headers_only"`
	Merge                              int64
	Here, There                        int64
	Zero                               bool
	NotHere                            int64 `json:"zero_here"`
	NotThere                           int64 `json:"zero_there"`
	Ranges                             json.RawMessage
	Count                              int64 `json:"range_count"`
	Fio, Type, Job, File, Dir, Prefix  string
	Classes                            map[string]int64
	InFlight                           map[string]int64 `json:"in_flight"`
	First                              firstBlock
}

// firstBlock is the first block of a bad range. Other events have a number of that name.
type firstBlock struct {
	Header struct{ Offset, Number uint64 }
	Parts  []event.Range
}

func (b *firstBlock) UnmarshalJSON(p []byte) error {
	type plain firstBlock
	if p[0] != '{' {
		return nil
	}
	return json.Unmarshal(p, (*plain)(b))
}

// objects is a native shell that speaks JSON.
type objects struct {
	*shell
	t *testing.T
}

func newObjects(t *testing.T, changes ...func(*session.Config)) *objects {
	o := &objects{t: t}
	changes = append(changes, func(cfg *session.Config) {
		cfg.Printer = &print.JSON{Out: print.NewStdout(&o.shell.out, false)}
	})
	o.shell = &shell{}
	made := newShell(t, "native", changes...)
	o.shell.Session = made.Session
	t.Cleanup(func() { made.Finish(context.Background()) })
	return o
}

// run runs a line that must end with a status, and returns what it said.
func (o *objects) run(ctx context.Context, status int, line string) (list []told) {
	o.t.Helper()
	err := o.Run(ctx, session.Line{Text: line})
	o.Printer.Flush()
	said := o.out.String()
	o.out.Reset()
	got := 0
	if err != nil {
		got = o.Policy.Status(err)
	}
	if got != status {
		o.t.Fatalf("%s: status %d, want %d\n%s", line, got, status, said)
	}
	for text := range strings.Lines(said) {
		if err := print.Validate([]byte(text)); err != nil {
			o.t.Errorf("%s: %v: %s", line, err, text)
		}
		var e told
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			o.t.Fatalf("%s: %v", text, err)
		}
		list = append(list, e)
	}
	return list
}

// must is what a line says that ends with a status, but for how fast it was.
func (o *objects) must(status int, line string) []told {
	o.t.Helper()
	return slices.DeleteFunc(o.run(context.Background(), status, line),
		func(e told) bool { return e.Kind == "performance" })
}

// content is what the current image holds.
func (o *objects) content() []byte {
	o.t.Helper()
	p := make([]byte, o.Image().Dev.Size())
	if err := o.Image().Dev.Read(context.Background(), blockdev.Vec{p}, 0, 0); err != nil {
		o.t.Fatal(err)
	}
	return p
}

// plant writes bytes as any program would.
func (o *objects) plant(off int64, p []byte) {
	o.t.Helper()
	name := filepath.Join(o.t.TempDir(), "bytes")
	if err := os.WriteFile(name, p, 0o666); err != nil {
		o.t.Fatal(err)
	}
	o.must(0, fmt.Sprintf("write -q -s %s %d %d", name, off, len(p)))
}

// onFormats runs a test on an image of each format.
func onFormats(t *testing.T, size string, test func(t *testing.T, o *objects)) {
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			o := newObjects(t)
			name := filepath.Join(t.TempDir(), "disk")
			o.must(0, fmt.Sprintf("create -f %s %s %s", format, name, size))
			o.must(0, fmt.Sprintf("open -o driver=%s %s", format, name))
			test(t, o)
		})
	}
}

// Requests are those of the job. They are merged only if that is asked for, and then each report
// says so.
func TestMerge(t *testing.T) {
	onFormats(t, "1M", func(t *testing.T, o *objects) {
		file := filepath.Join(t.TempDir(), "job")
		if err := os.WriteFile(file,
			[]byte("[j]\nrw=write\nverify=crc32c\nbs=4k\nsize=1M\nverify_state_save=0\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			line            string
			requests, merge int64
		}{
			{"verify_write", 256, 0},
			{"verify_write --merge 0", 256, 0},
			{"verify_write -b 8k -d 1", 128, 0},
			{"verify_write --order random", 256, 0},
			{"verify_write --merge 64k", 16, 64 << 10},
			{"verify_write --check --merge 3k", 256, 3 << 10},
			{"verify_job " + file, 256, 0},
			{"verify_job --merge 1M " + file, 1, 1 << 20},
			{"verify_read", 0, 0},
			{"verify_read -b 4k", 0, 0},
			{"verify_read --exact -t crc32c --fio 3.42 --merge 256k", 0, 256 << 10},
		} {
			told := 0
			for _, e := range o.must(0, c.line) {
				if e.Kind != "blocks_written" && e.Kind != "verdict" {
					continue
				}
				told++
				if e.Merge != c.merge || e.Kind == "blocks_written" && e.Requests != c.requests {
					t.Errorf("%s: %+v", c.line, e)
				}
			}
			if told == 0 {
				t.Errorf("%s: no report", c.line)
			}
		}
		o.must(2, "verify_write --merge 65M")
		o.must(2, "verify_read --merge -1")
	})
}

// The images of damages are of blocks of 4 KiB; each damage has a place of its own, three blocks
// apart.
const (
	damageBlock = 4096
	damageStep  = 3 * damageBlock
)

// damages are what may happen to a block: at is where it lies, now the image and old the one
// before. They return what to write where.
var damages = []struct {
	name, class string
	do          func(at int, now, old []byte) (off int, p []byte)
}{
	{"zeroed", "zeroed", func(at int, _, _ []byte) (int, []byte) { return at, make([]byte, damageBlock) }},
	{"a sector zeroed", "zeroed", func(at int, _, _ []byte) (int, []byte) { return at + 1024, make([]byte, 512) }},
	{"filled", "filled", func(at int, _, _ []byte) (int, []byte) { return at, bytes.Repeat([]byte{0xff}, damageBlock) }},
	{"a bit of the data", "one-bit", func(at int, now, _ []byte) (int, []byte) { return at + 2000, []byte{now[at+2000] ^ 0x10} }},
	{"a bit of the header", "one-bit", func(at int, now, _ []byte) (int, []byte) { return at + 9, []byte{now[at+9] ^ 1} }},
	{"shifted", "shifted", func(at int, now, _ []byte) (int, []byte) { return at + 512, now[at : at+damageBlock-512] }},
	{"misdirected", "misdirected", func(at int, now, _ []byte) (int, []byte) { return at, now[at+damageStep : at+damageStep+damageBlock] }},
	{"stale", "stale", func(at int, _, old []byte) (int, []byte) { return at, old[at : at+damageBlock] }},
	{"torn", "torn", func(at int, _, old []byte) (int, []byte) { return at + 2048, old[at+2048 : at+damageBlock] }},
	{"foreign", "foreign", func(at int, _, _ []byte) (int, []byte) { return at, random(damageBlock) }},
	{"the header", "header-only", func(at int, _, _ []byte) (int, []byte) { return at, random(20) }},
	{"the data", "payload-only", func(at int, _, _ []byte) (int, []byte) { return at + 700, random(400) }},
}

func random(n int) []byte {
	p := make([]byte, n)
	verify.Random(9).Fill(p, 1)
	return p
}

// Every kind of damage is named, alone and together with all others, by the headers and with the
// job, in images of each format.
func TestDamage(t *testing.T) {
	onFormats(t, "256k", func(t *testing.T, o *objects) {
		o.must(0, "verify_write --seed 5 --generation 1")
		old := o.content()
		o.must(0, "verify_write --generation 2")
		now := o.content()
		readings := []string{
			"verify_read --all --generation 2",
			"verify_read --all --generation 2 -t crc32c --exact",
		}
		for i, d := range damages {
			at := i * damageStep
			off, p := d.do(at, now, old)
			o.plant(int64(off), p)
			for _, line := range readings {
				list := o.must(1, line)
				if len(list) != 2 || list[0].Class != d.class || list[0].Offset != int64(at) ||
					list[0].Length != damageBlock || list[1].Bad != 1 {
					t.Errorf("%s: %s: %+v", d.name, line, list)
				}
			}
			o.plant(int64(off), now[off:off+len(p)])
			for _, line := range readings {
				o.must(0, line)
			}
		}
		want := map[string]int64{}
		for i, d := range damages {
			off, p := d.do(i*damageStep, now, old)
			o.plant(int64(off), p)
			want[d.class]++
		}
		for _, line := range readings {
			list := o.must(1, line)
			verdict := list[len(list)-1]
			if fmt.Sprint(verdict.Classes) != fmt.Sprint(want) || len(list) != len(damages)+1 {
				t.Errorf("%s: %v, want %v", line, verdict.Classes, want)
			}
			for i, d := range damages {
				if list[i].Class != d.class || list[i].Offset != int64(i*damageStep) {
					t.Errorf("%s: %s: %+v", line, d.name, list[i])
				}
			}
			if from := list[6]; from.From != 7*damageStep ||
				from.First.Header.Offset != 7*damageStep {
				t.Errorf("%s: misdirected from %d: %+v", line, from.From, from.First)
			}
			if parts := list[8].First.Parts; len(parts) == 0 || parts[0].Off < 8*damageStep+2048 {
				t.Errorf("%s: torn: %+v", line, parts)
			}
		}
	})
}

// Bad blocks are put into files: as they are, as they should be, and the difference.
func TestDump(t *testing.T) {
	onFormats(t, "64k", func(t *testing.T, o *objects) {
		o.must(0, "verify_write")
		now := o.content()
		o.plant(9000, []byte{now[9000] ^ 4})
		dir := filepath.Join(t.TempDir(), "bad")
		o.must(1, "verify_read -t crc32c --exact --dump "+dir)
		files := map[string][]byte{}
		for _, kind := range []string{"received", "expected", "diff"} {
			p, err := os.ReadFile(filepath.Join(dir, "disk.8192."+kind))
			if err != nil {
				t.Fatal(err)
			}
			files[kind] = p
		}
		flipped := 0
		for i, b := range files["diff"] {
			flipped += bits.OnesCount8(b)
			if files["received"][i]^files["expected"][i] != b {
				t.Fatalf("the difference at %d is %#x", i, b)
			}
		}
		if flipped != 1 || files["diff"][9000-8192] != 4 ||
			!bytes.Equal(files["expected"], now[8192:8192+damageBlock]) {
			t.Errorf("%d bits differ", flipped)
		}
	})
}

const jobText = `[global]
bs=4k
direct=1
[first]
verify=sha256
rw=randwrite
size=64k
[second]
verify=crc64
rw=write
bsrange=4k-16k
offset=64k
size=64k
[other]
verify=md5
filename=two
rw=write
`

func TestJobFile(t *testing.T) {
	o := newObjects(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "jobs")
	if err := os.WriteFile(file, []byte(jobText), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	o.must(2, "verify_job --section other "+file) // it does not say how large its file is to be
	for _, name := range []string{"one", "two"} {
		o.must(0, fmt.Sprintf("create -f raw %s 128k", filepath.Join(dir, name)))
	}
	o.must(0, "open -o driver=raw "+filepath.Join(dir, "one"))
	list := o.must(0, "verify_job --section first "+file)
	if len(list) != 3 || list[0].Kind != "job_notes" || list[1].Kind != "blocks_written" ||
		list[1].Writes != 16 || list[2].Kind != "verdict" || list[2].Job != "first" {
		t.Errorf("%+v", list)
	}
	if list = o.must(0, "verify_job --section other "+file); list[len(list)-1].Kind != "verdict" {
		t.Errorf("a file that is not open: %+v", list)
	}
	o.must(0, "open -a two -o driver=raw "+filepath.Join(dir, "two"))
	o.must(0, "use one")
	o.must(0, "verify_job "+file)
	if list := o.must(0, "verify_job --read "+file); len(list) != 3 {
		t.Errorf("%+v", list)
	}
	o.must(2, "verify_job --read --write "+file)
	o.must(2, "verify_job --section third "+file)
	o.must(2, "verify_job --resume 4 "+file)
	o.plant(0, random(1))
	list = o.must(1, "verify_job --read "+file)
	if last := list[len(list)-1]; last.Kind != "verdict" || last.Job != "other" {
		t.Errorf("the jobs behind a bad one: %+v", list)
	}
	both := filepath.Join(dir, "both")
	if err := os.WriteFile(both,
		[]byte("[a]\nfilename=one:two\nverify=crc7\nrw=randwrite\nbs=1k\nverify_dump=1\naux-path="+
			dir), 0o666); err != nil {
		t.Fatal(err)
	}
	if list := o.must(0, "verify_job "+both); len(list) != 4 || list[0].Length != 128<<10 ||
		list[1].Blocks != 128 {
		t.Errorf("a job on two files: %+v", list)
	}
	o.plant(1024, make([]byte, 1024))
	if list := o.must(1, "verify_job --read "+both); list[0].Class != "zeroed" ||
		list[2].Kind != "dumped" || list[3].Kind != "verdict" {
		t.Errorf("a job on two files, the first damaged: %+v", list)
	}
	if _, err := os.Stat(filepath.Join(dir, "one.1024.received")); err != nil {
		t.Error(err)
	}
	if list = o.must(2, "verify_job "+file+"s"); list[0].Kind != "file_error" {
		t.Errorf("%+v", list)
	}
}

// A job that verifies needs no permission to write, and one that writes is refused before it
// begins.
func TestJobPermission(t *testing.T) {
	o := newObjects(t)
	dir := t.TempDir()
	t.Chdir(dir)
	file, disk := filepath.Join(dir, "jobs"), filepath.Join(dir, "disk")
	if err := os.WriteFile(file, []byte("[a]\nverify=crc16\nrw=write\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.must(0, "create -f raw "+disk+" 64k")
	o.must(0, "open -o driver=raw "+disk)
	o.must(0, "verify_job "+file)
	o.must(0, "close")
	o.must(0, "open -r -o driver=raw "+disk)
	o.must(0, "verify_job --read "+file)
	for _, line := range []string{"verify_job " + file, "verify_write", "bench randwrite"} {
		if list := o.must(2, line); list[0].Kind != "report" {
			t.Errorf("%s: %+v", line, list)
		}
	}
}

// A job that a person stops says where it goes on, and misses nothing then.
func TestResume(t *testing.T) {
	var interrupt context.CancelCauseFunc
	var seconds atomic.Int64
	o := newObjects(t, func(cfg *session.Config) {
		// so that there is progress at every look
		cfg.Now = func() time.Time { return time.Unix(seconds.Add(1), 0) }
		cfg.Progress = func(session.Work) (add func(int64), end func()) {
			return func(n int64) {
				// something is done: a look may come before the first request has ended
				if n > 0 && interrupt != nil {
					interrupt(session.ErrInterrupted)
				}
			}, func() {}
		}
	})
	disk := filepath.Join(t.TempDir(), "disk")
	o.must(0, "create -f raw "+disk+" 1M")
	o.must(0, "open -o driver=raw "+disk)
	stopped := func(line string) (list []told, resume int64) {
		t.Helper()
		var ctx context.Context
		ctx, interrupt = context.WithCancelCause(context.Background())
		list = o.run(ctx, 130, line)
		interrupt = nil
		last := list[len(list)-1]
		if last.Kind != "interrupted" {
			t.Fatalf("%s: %+v", line, last)
		}
		return list, last.Resume
	}
	const job = " -d 1 --order random -t crc32c"
	_, at := stopped("verify_write" + job)
	rest := o.must(0, fmt.Sprintf("verify_write%s --resume %d", job, at))
	if at == 0 || rest[0].Writes != 256-at || rest[0].Bytes != (256-at)*4096 {
		t.Errorf("%+v", rest[0])
	}
	journal := " --journal " + filepath.Join(t.TempDir(), "journal")
	_, at = stopped("verify_write" + job + journal)
	o.must(0, fmt.Sprintf("verify_write%s%s --resume %d", job, journal, at))
	if list := o.must(0, "verify_read"+journal); list[0].Blocks != 256 || list[0].InFlight != nil {
		t.Errorf("%+v", list)
	}
	for _, reading := range []string{"verify_read -d 1", "verify_read --exact" + job} {
		list, at := stopped(reading)
		first := list[0].Blocks
		rest := o.must(0, fmt.Sprintf("%s --resume %d", reading, at))
		if first == 0 || first+rest[0].Blocks != 256 {
			t.Errorf("%s: %d blocks, and then %d", reading, first, rest[0].Blocks)
		}
	}
	t.Chdir(t.TempDir()) // where states are left
	jobs := filepath.Join(t.TempDir(), "jobs")
	err := os.WriteFile(jobs, []byte(
		"[global]\nrw=write\nverify=md5\nsize=512k\n[a b]\n[c]\noffset=512k\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for line, call := range map[string]string{
		"verify_job " + jobs:                     "verify_job --resume %d --write --section 'a b' " + jobs,
		"verify_job --write --section c " + jobs: "verify_job --resume %d --write --section c " + jobs,
		"verify_job --read " + jobs:              "verify_job --resume %d --section 'a b' --read " + jobs,
	} {
		list, at := stopped(line)
		call = fmt.Sprintf(call, at)
		if hint := list[len(list)-1].Hint; hint != "this goes on there: "+call {
			t.Errorf("%s: %q, want %q", line, hint, call)
		}
		if !strings.Contains(line, "--read") {
			o.must(0, call)
		}
	}
	if list, _ := stopped("bench -d 1 -n 100000000 read"); list[0].Kind != "load" ||
		list[0].Requests == 0 {
		t.Errorf("%+v", list)
	}
}

// A journal says what must be there; a flushed write that is gone is found.
func TestJournal(t *testing.T) {
	onFormats(t, "256k", func(t *testing.T, o *objects) {
		journal := filepath.Join(t.TempDir(), "journal")
		before := o.content()
		o.must(0, "verify_write --order random --seed 3 --journal "+journal+" -o fsync=7 0..192k")
		list := o.must(0, "verify_read --journal "+journal)
		if list[0].Blocks != 48 || list[0].InFlight != nil {
			t.Errorf("%+v", list)
		}
		o.must(0, "verify_read --acknowledged --journal "+journal)
		o.plant(40960, before[40960:40960+damageBlock])
		if list = o.must(1, "verify_read --journal "+journal); list[0].Class != "zeroed" ||
			list[0].Offset != 40960 {
			t.Errorf("%+v", list)
		}
		o.must(2, "verify_read --journal "+journal+" 0..4k")
		o.must(2, "verify_read --acknowledged")
		list = o.must(2, "verify_write --order random --seed 4 --journal "+journal+
			" -o fsync=7 --resume 9 0..192k")
		if !strings.Contains(list[len(list)-1].Message, "other options") {
			t.Errorf("%+v", list)
		}
		o.must(2, "verify_read --journal "+journal+"s")

		pattern := filepath.Join(t.TempDir(), "pattern")
		if err := os.WriteFile(pattern, []byte("some text"), 0o666); err != nil {
			t.Fatal(err)
		}
		o.must(0, fmt.Sprintf(`verify_write -t pattern_hdr -P "'%s'" --journal %s 0..192k`, pattern,
			journal))
		o.must(0, "verify_read --journal "+journal)
	})
}

func TestState(t *testing.T) {
	onFormats(t, "64k", func(t *testing.T, o *objects) {
		state := filepath.Join(t.TempDir(), "state")
		o.must(0, "verify_write -t md5 -o number_ios=5 --state "+state)
		o.must(1, "verify_read -t md5 --exact")
		if list := o.must(0, "verify_read -t md5 --state "+state); list[0].Blocks != 5 {
			t.Errorf("%+v", list)
		}
		o.must(0, "verify_write -o number_ios=5 --state "+state)
		o.must(0, "verify_read --state "+state)
	})
}

// Wherever headers and content come from, what is written is found right.
func TestKindsOfBlocks(t *testing.T) {
	onFormats(t, "192k", func(t *testing.T, o *objects) {
		for _, line := range []string{
			"verify_write -t sha3-256 -b 1k-8k", "verify_write --fio 2.2 -t xxhash",
			"verify_write --fio 3.33 -t sha512 -b 8k --interval 1k",
			"verify_write -t crc16 --header-offset 512", `verify_write -t pattern_hdr -P %o"abc"`,
		} {
			o.must(0, line+" --check")
			read := "verify_read"
			if _, pattern, has := strings.Cut(line, " -P "); has {
				read += " -P " + pattern
			}
			if list := o.must(0, read); list[0].Blocks == 0 {
				t.Errorf("%s: %+v", line, list)
			}
		}
		o.must(0, "verify_write -o rw=randrw -b 512 --check")
		if list := o.must(0, "verify_write -t null 0..64k"); list[0].Type != "null" {
			t.Errorf("%+v", list)
		}
	})
}

// A range that cannot be read is no range that is intact.
func TestUnreadable(t *testing.T) {
	o := newObjects(t)
	disk := filepath.Join(t.TempDir(), "disk")
	o.must(0, "create -f raw "+disk+" 64k")
	o.must(0, "open -o driver=raw "+disk)
	o.must(0, "verify_write")
	o.must(0, "close")
	o.must(0, "open -o driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename="+
		disk+
		",file.inject-error.0.event=none,file.inject-error.0.iotype=read,file.inject-error.0.sector=16")
	list := o.must(5, "verify_read -o iodepth=1")
	if last := list[len(list)-1]; last.Kind != "failed" {
		t.Errorf("%+v", list)
	}
}

func TestWrongUse(t *testing.T) {
	o := newObjects(t)
	disk := filepath.Join(t.TempDir(), "disk")
	o.must(0, "create -f raw "+disk+" 64k")
	o.must(0, "open -o driver=raw "+disk)
	for _, line := range []string{
		"verify_write -t crc", "verify_write -b 0", "verify_write --fio 4",
		"verify_write --order back", "verify_write -o rw=read",
		"verify_write -o filename=x", "verify_write -o nonsense=1", "verify_write --generation 0",
		"verify_write --seed x",
		"bench write 0..1k", "bench sideways", "bench -d 0 read",
		"bench -d 4096 -b 1M read", "bench -t never read", "bench",
	} {
		o.must(2, line)
	}
	o.must(2, "verify_write 0 128k")
	o.must(2, "verify_read 32k 64k")
	o.must(2, "verify_read --state /nonexistent -t crc7")
	if list := o.must(0, "verify_write -o direct=1 0..4k"); list[0].Kind != "job_note" ||
		list[0].Option != "direct" {
		t.Errorf("%+v", list)
	}
}

func TestBench(t *testing.T) {
	onFormats(t, "1M", func(t *testing.T, o *objects) {
		for _, line := range []string{"read", "write", "randread", "-P random:3 randwrite"} {
			list := o.must(0, "bench --flush -n 300 -d 4 -b 8k "+line)
			if list[0].Kind != "load" || list[0].Requests != 300 || list[0].Length != 1<<20 ||
				!strings.HasSuffix(line, list[0].Mode) {
				t.Errorf("%+v", list)
			}
		}
	})
}

// A pattern may be made of files, in -P and in jobs.
func TestPatternFile(t *testing.T) {
	o := newObjects(t)
	dir := t.TempDir()
	disk, file := filepath.Join(dir, "disk"), filepath.Join(dir, "pattern")
	if err := os.WriteFile(file, []byte("a pattern of 22 bytes "), 0o666); err != nil {
		t.Fatal(err)
	}
	o.must(0, "create -f raw "+disk+" 64k")
	o.must(0, "open -o driver=raw "+disk)
	pattern := fmt.Sprintf(`"<"'%s'0xff`, file)
	o.must(0, "write -q -P "+pattern+" 0 64k")
	if p := o.content(); !bytes.HasPrefix(p, []byte("<a pattern of 22 bytes \xff<a")) {
		t.Errorf("%q", p[:32])
	}
	o.must(0, "read -q -P "+pattern+" 1000 60000")
	o.must(1, "read -q -P "+strings.Replace(pattern, "<", ">", 1)+" 0 64k")
	o.must(0, "verify_write -t pattern -P "+pattern)
	o.must(0, "verify_read -t pattern -P "+pattern)
	o.must(2, "write -P 'missing' 0 512")
}

// A verification cannot write, whatever the engine asks of the queue.
func TestReadOnlyQueue(t *testing.T) {
	var q recordingQueue
	open := commands.ReadOnly(func(context.Context, int, int) (job.Queue, error) { return &q, nil })
	for name, change := range map[string]func(job.Queue){
		"write":   func(q job.Queue) { q.Stage(0, job.OpWrite, 0, 1, 0) },
		"zero":    func(q job.Queue) { q.Stage(0, job.OpZero, 0, 1, 0) },
		"discard": func(q job.Queue) { q.Stage(0, job.OpDiscard, 0, 1, 0) },
	} {
		only, err := open(t.Context(), 1, 512)
		if err != nil {
			t.Fatal(err)
		}
		only.Stage(0, job.OpRead, 0, 512, 0)
		if err := only.Submit(); err != nil {
			t.Error(err)
		}
		change(only)
		if err := only.Submit(); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := only.SubmitAndReap(1, nil); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s, waiting for it: %v", name, err)
		}
	}
	if !slices.Equal(q, recordingQueue{"read", "submit", "read", "submit", "read", "submit"}) {
		t.Errorf("%v", q)
	}
}

// recordingQueue notes what it was asked for.
type recordingQueue []string

func (q *recordingQueue) note(what string) { *q = append(*q, what) }

func (q *recordingQueue) Depth() int        { return 1 }
func (q *recordingQueue) Buffer(int) []byte { return nil }
func (q *recordingQueue) Stage(_ int, op uint8, _, _ int64, _ uint32) {
	q.note([...]string{"read", "write", "zero", "discard", "flush"}[op])
}
func (q *recordingQueue) Submit() error                { q.note("submit"); return nil }
func (q *recordingQueue) Reap(int, []int) (int, error) { return 0, nil }
func (q *recordingQueue) Err(int) error                { return nil }

func (q *recordingQueue) SubmitAndReap(int, []int) (int, error) { return 0, q.Submit() }

func (q *recordingQueue) Close() error { return nil }

// Package verify declares the operations of a queue anew; they must be those of the block layer.
func TestQueueOperations(t *testing.T) {
	ours := []uint8{job.OpRead, job.OpWrite, job.OpZero, job.OpDiscard, job.OpFlush}
	theirs := []uint8{
		blockdev.OpRead, blockdev.OpWrite, blockdev.OpZero, blockdev.OpDiscard,
		blockdev.OpFlush,
	}
	if !slices.Equal(ours, theirs) {
		t.Errorf("%v, the block layer has %v", ours, theirs)
	}
}

// A job makes the file that it names and leaves its state; while an image is open for reading only,
// nothing else is written.
func TestJobMakesItsFile(t *testing.T) {
	o := newObjects(t)
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"w.fio":     "[a]\nfilename=new.img\nsize=64k\nrw=randwrite\nbs=4k\nverify=crc32c\ndo_verify=0\n",
		"r.fio":     "[a]\nfilename=new.img\nsize=64k\nrw=randwrite\nbs=4k\nverify=crc32c\nverify_only=1\nverify_state_load=1\n",
		"other.fio": "[a]\nfilename=other.img\nsize=64k\nrw=write\nverify=crc32c\n",
		"none.fio":  "[a]\nfilename=new.img\nsize=64k\nrw=write\n[b]\nstonewall\nfilename=new.img\nsize=32k\nrw=write\nverify=md5\n",
		"taken.fio": "[taken]\nfilename=new.img\nsize=64k\nrw=write\nverify=crc32c\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o.must(0, "verify_job w.fio")
	if st, err := os.Stat("new.img"); err != nil || st.Size() != 64<<10 {
		t.Errorf("%v, %v", st, err)
	}
	if list := o.must(0, "verify_job r.fio"); list[len(list)-1].Blocks != 16 {
		t.Errorf("%+v", list)
	}
	if list := o.must(0, "verify_job none.fio"); list[0].Kind != "not_verified" ||
		list[len(list)-1].Blocks != 8 {
		t.Errorf("%+v", list)
	}
	o.must(1, "verify_job r.fio")
	if err := os.WriteFile("local-taken-0-verify.state", []byte("what somebody needs"),
		0o666); err != nil {
		t.Fatal(err)
	}
	if list := o.must(2, "verify_job taken.fio"); list[len(list)-1].Kind != "file_error" {
		t.Errorf("%+v", list)
	}
	o.must(0, "open -r -o driver=raw new.img")
	if list := o.must(3, "verify_job other.fio"); list[0].Kind != "open_failed" {
		t.Errorf("%+v", list)
	}
	if _, err := os.Stat("other.img"); err == nil {
		t.Error("other.img was made")
	}
	o.must(0, "verify_job --read none.fio")
}
