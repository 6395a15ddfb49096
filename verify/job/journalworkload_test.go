package job

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/verify/fio"
)

// Whoever adds an option says whether blocks depend on it: journals have the fields of a workload,
// by these names.
func TestJournalKnowsWorkload(t *testing.T) {
	line, err := writeWorkload(&fio.Workload{})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := json.Unmarshal(line, &values); err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(`AllRandRepeat Async BSUnaligned Backlog Compress Direction Distribution DoVerify File
		FileLength FileTurn Fio Generation Generator HeaderOffset IOSize Interval Loops MaxBlock MinBlock MixRead
		NoRandomMap NrFiles NumberIOs Offset Padding Part Pattern PatternInterval RandRepeat RandSeed RandSeedGiven
		Reads Run Sequential Size Split Step Strided Thread TimeBased TrimBacklog TrimBatch TrimPercent Verify
		ZoneRange ZoneSize ZoneSkip`)
	if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// readText reads a journal whose records are in hexadecimal.
func readText(t *testing.T, text string) (*Journal, error) {
	lines := strings.SplitN(text, "\n", 3)
	records, err := hex.DecodeString(strings.Join(strings.Fields(lines[2]), ""))
	if err != nil {
		t.Fatal(err)
	}
	return ReadJournal(t.Context(), strings.NewReader(lines[0]+"\n"+lines[1]+"\n"+string(records)))
}

// Journals that the first version wrote tell the same today, and their jobs go on.
func TestJournalOfVersion1(t *testing.T) {
	for name, change := range map[string]func(o *fio.Options){
		"plain": func(o *fio.Options) { o.Verify = "crc32c" },
		"split": func(o *fio.Options) {
			_, _ = o.Set("bssplit", "4k/50:8k/50")
			o.Verify, o.Direction = "md5", fio.RandWrite
		},
		"pattern": func(o *fio.Options) {
			o.Verify, o.Pattern, o.MinBlock, o.Generation = "pattern", "0xdeadbeef%o", 8192, 3
		},
	} {
		text, err := os.ReadFile("testdata/journal/1-" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		want := fio.DefaultOptions()
		want.Size = 64 << 10
		change(&want)
		if name == "split" {
			want.RandSeed, want.RandSeedGiven = 7, true
		}
		job, err := New(want, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		want.Workload = job.Workload()
		got, err := readText(t, string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got.Workload, want.Workload) {
			t.Errorf("%s: %+v", name, got.Workload)
		}
		r, bad := check(t, imageOf(t, want, noClock), got.Options(want),
			func(j *Job, ctx context.Context, open Opener) (*Result, error) {
				return j.Verify(ctx, open, VerifyOptions{History: got.History(false)})
			})
		if !r.Good() || r.Blocks == 0 || got.Issued != got.Flushed || got.Issued == 0 {
			t.Errorf("%s: %+v, %+v, %+v", name, got, r, bad)
		}
		if _, err := newJournal(new(bytes.Buffer), &want.Workload, got); err != nil {
			t.Errorf("%s goes on: %v", name, err)
		}
	}
}

// lineOf is the line of options of a journal, with some of them changed.
func lineOf(t testing.TB, change map[string]any) string {
	o := fio.DefaultOptions()
	o.Verify, o.Size = "crc32c", 64<<10
	line, err := writeWorkload(&o.Workload)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := json.Unmarshal(line, &values); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if values[name] = value; value == nil {
			delete(values, name)
		}
	}
	line, err = json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// What a journal does not say is as usual, and what is not known is refused.
func TestJournalVersions(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"blksh-journal 2\n" + lineOf(t, nil), ""},
		{"blksh-journal 2\n" + lineOf(t, map[string]any{"Generation": nil, "MixRead": nil}), ""},
		{"blksh-journal 2\n{\"Size\":4096}\n", ""},
		{"blksh-journal 1\n{\"Size\":4096}\n", ""},
		{"blksh-journal 1\n{\"Size\":4096,\"Filenames\":[\"a\",\"b\"],\"IODepth\":1e99}\n", ""},
		{"blksh-journal 2\n" + lineOf(t, map[string]any{"Skew": 3}), `"Skew" is not known here: a newer version`},
		{"blksh-journal 1\n{\"Skew\":4096}\n", `"Skew" is not known here`},
		{"blksh-journal 3\n", "journal of version 3: a newer version wrote it"},
		{"blksh-journal 0\n", "not a journal"},
		{"blksh-journal\n", "not a journal"},
		{"", "not a journal"},
		{"blksh-journal 2", "not a journal"},
		{strings.Repeat("x", 1<<20), "not a journal"},
		{"QFI\xfb\x00\x00\x00\x03\n\x00", "not a journal"},
		{"blksh-journal 2\n", "options: the line of text is cut off"},
		{"blksh-journal 2\n{\"Size\":", "options: the line of text is cut off"},
		{"blksh-journal 2\n{\"Size\":\n", "options: "},
		{"blksh-journal 2\n" + strings.Repeat(" ", 2<<20), "options: the line of text is longer than 1048576 bytes"},
		{"blksh-journal 2\n" + strings.Repeat("[", 1<<19) + "\n", "options: "},
		{"blksh-journal 2\n{\"Size\":\"x\"}\n", "options: Size: "},
		{"blksh-journal 2\n{\"Direction\":\"sideways\"}\n", "options: Direction: "},
	} {
		j, err := ReadJournal(t.Context(), strings.NewReader(c.text))
		switch {
		case c.want == "" && err != nil, c.want != "" &&
			(err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		case err == nil && j.Workload.MixRead != 50:
			t.Errorf("%.60q: %+v", c.text, j.Workload)
		}
	}
}

// Options are compared as values; the one that differs is named.
func TestJournalOfAnotherJob(t *testing.T) {
	j, err := ReadJournal(t.Context(), strings.NewReader("blksh-journal 2\n"+lineOf(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	o := j.Options(fio.DefaultOptions())
	o.IODepth, o.MaxRequest, o.Name, o.Runtime, o.StopAtFirst = 77, 4096, "other", 5, true
	if err := j.continues(&o.Workload); err != nil {
		t.Errorf("run in another way: %v", err)
	}
	o.RandSeed = 7
	if err := j.continues(&o.Workload); err == nil ||
		!strings.Contains(err.Error(), "its RandSeed is 137, not 7") {
		t.Errorf("another seed: %v", err)
	}
}

// A limitedContext ends after some looks at it.
type limitedContext struct {
	context.Context
	looks int
}

func (c *limitedContext) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Whatever numbers a journal has, nothing panics, the memory is bounded, and a context ends it.
func TestHostileJournal(t *testing.T) {
	numbers := []any{
		-1, 0, 1, 3, 1 << 16, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 1 << 62,
		int64(math.MaxInt64), uint64(math.MaxUint64), 1e300,
	}
	values := map[string][]any{
		"Split": {
			[]fio.Share{{Block: 0, Percent: 100}},
			[]fio.Share{{Block: -4096, Percent: 50}, {Block: 4096, Percent: 50}},
			[]fio.Share{{Block: 1 << 40, Percent: 100}},
			[]fio.Share{{Block: 4096, Percent: math.MaxInt}},
			make([]fio.Share, 10000),
		},
		"Verify": {"", "any", "no such", "pattern", "null", "sha3-512"}, "Generator": {"", "lfsr", "tausworthe64"},
		"Direction": {"randwrite", "randread", "read", "rw", "randrw"}, "Fio": {"2.2", "3.33", "any"},
		"Pattern": {"0x", "'/dev/zero'", "%o", strings.Repeat("%o", 1<<16)}, "Padding": {"", "'/dev/zero'", strings.Repeat("0xff", 1<<16)},
		"Reads":      {fio.Sizes{Min: 1, Max: 1 << 40}, fio.Sizes{Min: 1 << 20, Max: 1}, fio.Sizes{Min: -1}, fio.Sizes{Min: 512, Max: 4096, Split: []fio.Share{{Block: 1 << 30, Percent: 100}}}},
		"Only":       {fio.Slice{From: -1}, fio.Slice{From: 9, To: 3}, fio.Slice{To: math.MaxInt64}, fio.Slice{From: 4096, To: 8192}},
		"Sequential": {[]int{-1, 0}, []int{100, 100}, []int{1 << 40, 7}},
		"Distribution": {
			fio.Distribution{Kind: "zipf", Value: 1.2},
			fio.Distribution{Kind: "zipf", Value: -5},
			fio.Distribution{Kind: "pareto", Value: 1e300},
			fio.Distribution{Kind: "normal", Value: 99, Center: 7, Centered: true},
			fio.Distribution{Kind: "zoned"},
			fio.Distribution{Kind: "even"},
			fio.Distribution{Kind: "zoned", Zones: []fio.Zone{{Requests: 100, Range: -7}}},
			fio.Distribution{Zones: []fio.Zone{{Requests: 1, Range: 1}}},
			fio.Distribution{Kind: "zipf", Value: 2, Names: []string{}},
		},
	}
	n := 0
	for _, field := range workloadFields() {
		list := values[fieldName(field)]
		switch reflect.New(field.Type).Interface().(type) {
		case *int, *int64, *uint32, *uint64:
			list = numbers
		case *bool:
			list = []any{true, false}
		}
		if list == nil {
			t.Errorf("%s: no value is tried", fieldName(field))
		}
		for _, value := range list {
			for _, way := range []string{"write", "randrw"} {
				for _, beside := range []map[string]any{
					{},
					{"Loops": 3, "NoRandomMap": true, "MaxBlock": 8192},
					{"TrimPercent": 9, "TrimBacklog": 3},
				} {
					if n++; !blockdevtest.Sampled(n, 5) {
						continue
					}
					change := map[string]any{"Direction": way, fieldName(field): value}
					for name, v := range beside {
						if name != fieldName(field) {
							change[name] = v
						}
					}
					tryHostile(t, fmt.Sprint(fieldName(field), "=", value), lineOf(t, change))
				}
			}
		}
	}
}

func tryHostile(t *testing.T, name, line string) {
	if len(name) > 80 {
		name = name[:80]
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var log bytes.Buffer
	log.WriteString("blksh-journal 2\n" + line)
	records := &journal{w: &log}
	for range 100 {
		records.add(journalIssue, uint64(log.Len())<<26, 1<<30-1)
		records.add(journalAck, uint64(log.Len())<<28, 1<<28)
	}
	if err := records.flush(); err != nil {
		t.Fatal(err)
	}
	if j, err := ReadJournal(t.Context(), &log); err == nil {
		job, err := New(j.Options(fio.DefaultOptions()), Hooks{})
		if err == nil {
			r, err := job.Verify(&limitedContext{t.Context(), 20}, openMemory(make([]byte, 64<<10)),
				VerifyOptions{History: j.History(true)})
			if err == nil && !r.Done {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 512<<20 {
		t.Errorf("%s: took %d MiB", name, used>>20)
	}
}

// A journal whose records are in no order is refused before they fill the memory.
func TestJournalRecordsInNoOrder(t *testing.T) {
	var log bytes.Buffer
	log.WriteString("blksh-journal 2\n" + lineOf(t, nil))
	j := &journal{w: &log}
	for i := range uint64(2 * maxJournalRanges) {
		j.add(journalIssue, 2*i, 1)
	}
	if err := j.flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadJournal(t.Context(), bytes.NewReader(log.Bytes())); err == nil ||
		!strings.Contains(err.Error(), "in no order") {
		t.Errorf("%v", err)
	}
	if _, err := ReadJournal(&limitedContext{t.Context(), 0},
		&log); !errors.Is(err, context.Canceled) {
		t.Errorf("of a context that has ended: %v", err)
	}
}
