package fio

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseJobFile(t *testing.T) {
	const file = `
; what both have
[global]
bs=4k
ioengine=libaio
verify=crc32c
# a comment
[first]
rw=randwrite
size=1m
norandommap
numjobs=3
verify_pattern="a b"%o
[second]
readwrite=readwrite
bsrange=512-64k
filename=/dev/a\:b:c
runtime=2m
randseed=0x10
verify=sha3-256
`
	base := DefaultOptions()
	base.KBBase = 1024
	jobs, notes, err := ParseJobFile(strings.NewReader(file), base, Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	first := base
	first.Async, first.Section = true, "first"
	first.Name, first.MinBlock, first.MaxBlock, first.Verify = "first", 4096, 4096, "crc32c"
	first.Direction, first.Size, first.NoRandomMap = RandWrite, 1<<20, true
	first.Pattern, first.RandomEvery = `"a b"%o`, 1
	first.Reads = Sizes{Min: 4096, Max: 4096}
	second := base
	second.Async, second.Section = true, "second"
	second.Name, second.MinBlock, second.MaxBlock, second.Verify = "second", 512, 65536, "sha3-256"
	second.Direction, second.Filenames = ReadWrite, []string{"/dev/a:b", "c"}
	second.Runtime = 2 * time.Minute
	second.RandSeed, second.RandSeedGiven, second.Thread, second.RandomEvery = 16, true, 4, 1
	second.RangeGiven = [2]bool{true, true}
	second.Reads = Sizes{Min: 512, Max: 65536}
	want := []Options{first, first, first, second}
	for i, thread := range []int{1, 3, 2, 4} {
		want[i].Thread = thread
		if i < 3 {
			want[i].Clone = i
		}
	}
	if !reflect.DeepEqual(jobs, want) {
		t.Errorf("got  %+v\nwant %+v", jobs, want)
	}
	if got := fmt.Sprint(
		notes); got != "[line 5: job global: ioengine is ignored: the engine is the image's]" {
		t.Error(got)
	}
	if got := fmt.Sprint(jobs[1].Files(), jobs[3].Files()); got != "[first.1.0] [/dev/a:b c]" {
		t.Error(got)
	}
}

func TestParseJobFileErrors(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"", "job file: no job"},
		{"[global]\nbs=4k", "job file: no job"},
		{"bs=4k", "job file, line 1: an option before the first section"},
		{"[a", "job file, line 1: a section is [name]"},
		{"[]", "job file, line 1: a section is [name]"},
		{"[a]\nopendir=/", "job file, line 2: option opendir is not supported in verification jobs: which files a directory has is not the job's to say"},
		{"[a]\nrats=1m", "job file, line 2: option rats is not supported in verification jobs: fio 3.33 to 3.42 has none of that name"},
		{"[a]\nbs=4x", `job file, line 2: bs=4x: "4x" is no size`},
		{"[a]\nrw=trim", `job file, line 2: rw=trim: jobs that trim before they write are not supported; trim_percentage is`},
		{"[a]\nend_fsync=2", "job file, line 2: end_fsync=2: 0 or 1 is wanted"},
		{"[a]\nbssplit=4k/50:8k/20", "job file, line 2: bssplit=4k/50:8k/20: the percentages do not make 100"},
		{"[a]\nverify", "job file, line 2: verify=: a value is missing"},
		{"[a]\nbs=4kix", `job file, line 2: bs=4kix: "4kix" is no size`},
		{"[a]\nbs=1,2,3,4", "job file, line 2: bs=1,2,3,4: there are at most three values: for reads, writes and trims"},
		{"[a]\nbs=4k-8k,16k", `job file, line 2: bs=4k-8k,16k: "4k-8k" is no size`},
		{"[a]\nbs= 4k", "job file, line 2: bs= 4k: fio drops the unit of a number that follows a blank"},
		{"[a]\nsize = 1m", "job file, line 2: size= 1m: fio drops the unit of a number that follows a blank"},
		{"[a]\nbs=4k, 8k", "job file, line 2: bs=4k, 8k: fio drops the unit of a number that follows a blank"},
		{"[a]\nbsrange=4k-8k, 8k-16k", "job file, line 2: bsrange=4k-8k, 8k-16k: fio drops the unit of a number that follows a blank"},
		{"[a]\nnumjobs=1000000000", "job file, line 2: numjobs=1000000000: a number within 1 and 4096 is wanted"},
		{"[a]\nnrfiles=9000000000000000000", "job file, line 2: nrfiles=9000000000000000000: a number within 1 and 4096 is wanted"},
		{"[a]\nbssplit=" + strings.Repeat("1k/0:", 64) + "1k", "job file, line 2: bssplit=" + strings.Repeat("1k/0:", 8)[:37] + "...: more than 64 sizes"},
		{"[a]\ninclude=b", "job file, line 2: include b: there are no files here"},
		{"[a]\nzonemode=zbd", "job file, line 2: zonemode=zbd: known are none and strided; what a zoned device does with writes is not the job's to say"},
		{"[a]\nrandom_distribution=zipf:1", "job file, line 2: random_distribution=zipf:1: the value of zipf is within 0 and 100, and not 1"},
		{"[a]\nrandom_distribution=zoned:50/10", "job file, line 2: random_distribution=zoned:50/10: the percentages of requests do not make 100, or those of the range are more"},
	} {
		_, _, err := ParseJobFile(strings.NewReader(c.file), DefaultOptions(), Surroundings{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
}

// TestBlocksByDirection has bs take the lists that fio takes, which are no ranges.
func TestBlocksByDirection(t *testing.T) {
	for list, want := range map[string][2]int{
		"8k": {8192, 8192}, "8k,16k": {8192, 16384}, "8k-16k": {8192, 16384},
		"8k:16k": {8192, 16384}, "8k:16k-32k": {8192, 16384}, "8k,16k-32k": {8192, 16384},
		"8k ,16k": {8192, 16384}, ",8k": {4096, 8192}, "8k,": {8192, 4096}, "8k-": {8192, 4096},
	} {
		o := DefaultOptions()
		if _, err := o.Set("bs", list); err != nil {
			t.Errorf("bs=%s: %v", list, err)
		}
		if got := [2]int{o.Reads.Min, o.MinBlock}; got != want || o.MaxBlock > o.MinBlock {
			t.Errorf("bs=%s: reads and writes of %v, the largest %d; want %v", list, got,
				o.MaxBlock, want)
		}
	}
}

// Each option of fio that has to do with verification is honoured, or ignored
// with a word, or refused by its name; and so is any other.
func TestFioOptions(t *testing.T) {
	const honoured, ignored, refused = "honoured", "ignored", "refused"
	for _, c := range []struct{ option, value, want string }{
		{"rw", "randrw", honoured},
		{"readwrite", "randwrite", honoured},
		{"bs", "8k", honoured},
		{"bsrange", "1k-8k", honoured},
		{"bssplit", "1k/30:4k/70", honoured},
		{"bs_unaligned", "", honoured},
		{"bs", "4k,8k", honoured},
		{"size", "1g", honoured},
		{"size", "50%", honoured},
		{"offset", "1m", honoured},
		{"numjobs", "3", honoured},
		{"iodepth", "4", honoured},
		{"verify", "md5", honoured},
		{"verify_only", "", honoured},
		{"do_verify", "0", honoured},
		{"verify_pattern", "0xff", honoured},
		{"verify_pattern_interval", "512", honoured},
		{"verify_interval", "512", honoured},
		{"verify_offset", "512", honoured},
		{"verify_fatal", "1", honoured},
		{"verify_dump", "1", honoured},
		{"verify_async", "4", honoured},
		{"verify_async_cpus", "0-1", ignored},
		{"verify_backlog", "100", honoured},
		{"verify_backlog_batch", "10", ignored},
		{"verify_header_seed", "0", honoured},
		{"verify_write_sequence", "0", honoured},
		{"verify_policy", "fsynced", honoured},
		{"verify_policy", "perhaps", refused},
		{"verify_state_save", "0", honoured},
		{"verify_state_load", "1", honoured},
		{"verify_mode", "compare", refused},
		{"verifysort", "0", ignored},
		{"verifysort_nr", "10", ignored},
		{"experimental_verify", "1", ignored},
		{"randseed", "5", honoured},
		{"randrepeat", "0", honoured},
		{"allrandrepeat", "1", honoured},
		{"norandommap", "", honoured},
		{"random_generator", "lfsr", honoured},
		{"loops", "2", honoured},
		{"time_based", "", honoured},
		{"runtime", "90", honoured},
		{"runtime", "soon", refused},
		{"filename", "a:b", honoured},
		{"nrfiles", "2", honoured},
		{"rwmixread", "70", honoured},
		{"rwmixwrite", "70", honoured},
		{"fsync", "8", honoured},
		{"fdatasync", "8", honoured},
		{"end_fsync", "1", honoured},
		{"buffer_compress_percentage", "30", honoured},
		{"buffer_pattern", "0xcafe", honoured},
		{"serialize_overlap", "1", honoured},
		{"trim_percentage", "10", honoured},
		{"trim_backlog", "16", honoured},
		{"trim_backlog_batch", "8", honoured},
		{"trim_verify_zero", "0", honoured},
		{"continue_on_error", "verify", ignored},
		{"ignore_error", "EIO", ignored},
		{"aux-path", "/tmp", honoured},
		{"description", "a job", ignored},
		{"percentage_random", "50", honoured},
		{"zonemode", "zbd", refused},
		{"no_such_option", "1", refused},
	} {
		o := DefaultOptions()
		word, err := o.Set(c.option, c.value)
		got := honoured
		switch changed := !reflect.DeepEqual(o, DefaultOptions()); {
		case err != nil && strings.Contains(err.Error(), c.option) && !changed:
			got = refused
		case err == nil && word != "" && !changed:
			got = ignored
		case err != nil || word != "" || !changed:
			got = "neither"
		}
		if got != c.want {
			t.Errorf("%s=%s is %s, want %s: %q, %v", c.option, c.value, got, c.want, word, err)
		}
	}
}

// What units mean, as fio 3.33 was seen to take them.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		text                  string
		plain, of1024, of1000 int64
	}{
		{"0", 0, 0, 0},
		{"512", 512, 512, 512},
		{"512b", 512, 512, 512},
		{"4k", 4096, 4096, 4000},
		{"4K", 4096, 4096, 4000},
		{"4kb", 4096, 4096, 4000},
		{"4Ki", 4096, 4096, 4000},
		{"4KiB", 4096, 4000, 4096},
		{"1m", 1 << 20, 1 << 20, 1e6},
		{"1MB", 1 << 20, 1 << 20, 1e6},
		{"1MiB", 1 << 20, 1e6, 1 << 20},
		{"2g", 2 << 30, 2 << 30, 2e9},
		{"1TiB", 1 << 40, 1e12, 1 << 40},
		{"1p", 1 << 50, 1 << 50, 1e15},
		{"0x10", 16, 16, 16},
		{"0x1k", 1024, 1024, 1000},
		{"0x1kb", 1024, 1024, 1000},
		{"010", 10, 10, 10},
		{"9223372036854775807", 1<<63 - 1, 1<<63 - 1, 1<<63 - 1},
	} {
		for base, want := range map[int]int64{0: c.plain, 1024: c.of1024, 1000: c.of1000} {
			o := Options{KBBase: base}
			if got, err := o.size(c.text); err != nil || got != want {
				t.Errorf("%s is %d, %v, want %d with kb_base=%d", c.text, got, err, want, base)
			}
		}
	}
	for _, s := range []string{
		"", "k", "-1", "4q", "1.5k", "0x", "9223372036854775808", "8192p",
		"4kibx", "4 k", "16z",
	} {
		if got, err := new(Options).size(s); err == nil {
			t.Errorf("%q is %d", s, got)
		}
	}
}

func TestImpossibleOptions(t *testing.T) {
	for options, want := range map[string]string{
		"bs=0":                                     "block size 0 is not within",
		"verify=crc":                               `unknown verify type "crc"`,
		"verify=pattern":                           "verify=pattern needs a verify_pattern",
		"verify=sha512 bs=128":                     "no room",
		"verify=md5 verify_offset=20":              "possible: 64 to 4032",
		"verify_pattern=abc":                       "verify_pattern \"abc\"",
		"rw=randwrite size=16t bs=512":             "random_generator=lfsr",
		"time_based":                               "time_based needs runtime",
		"trim_percentage=5":                        "trim_percentage needs trim_backlog",
		"rwmixread=101":                            "percentage",
		"random_generator=mersenne":                "unknown random_generator",
		"rw=randwrite norandommap bs_unaligned":    "bs_unaligned",
		"verify=crc32c bs=1000 offset=-1":          "no size",
		"trim_percentage=5 trim_backlog=1 loops=2": "may be written again",
		"blockalign=4k rw=randwrite bs=1k":         "blockalign",
		"rw=randrw bs=4k,8k bs_is_seq_rand":        "bs_is_seq_rand",
		"rw=write bs=4k,8k bs_is_seq_rand":         "bs_is_seq_rand",
	} {
		o := DefaultOptions()
		err := error(nil)
		for _, word := range strings.Fields(options) {
			name, value, _ := strings.Cut(word, "=")
			if _, err = o.Set(name, value); err != nil {
				break
			}
		}
		if err == nil {
			_, err = NewLayout(&o)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", options, err, want)
		}
	}
}

func TestOptionsThatChangeNothing(t *testing.T) {
	for _, options := range []string{
		"rw=randwrite bs=4k blockalign=4k", "rw=write bs=1k blockalign=4k",
		"rw=randwrite bs=4k,8k bs_is_seq_rand", "rw=randrw bs=8k bs_is_seq_rand",
		"rw=write zoneskip=8k zonerange=16k", "rw=randwrite softrandommap=1",
	} {
		o := DefaultOptions()
		for word := range strings.FieldsSeq("size=1m verify=md5 " + options) {
			name, value, _ := strings.Cut(word, "=")
			if _, err := o.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := NewLayout(&o); err != nil {
			t.Errorf("%s: %v", options, err)
		}
	}
}

// A job with a size in bytes keeps the percentage that was given before, as in fio.
func TestPercentageStays(t *testing.T) {
	o := DefaultOptions()
	for _, v := range []string{"size=30%", "size=64k", "offset=50%", "offset=4k", "filesize=128k"} {
		name, value, _ := strings.Cut(v, "=")
		if _, err := o.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	o, err := o.On([]int64{128 << 10})
	if err != nil || o.Offset != 64<<10 || o.Size != 36<<10 {
		t.Errorf("offset %d, size %d, %v", o.Offset, o.Size, err)
	}
}

func FuzzParseJobFile(f *testing.F) {
	f.Add("[global]\nbs=4k\n[a]\nrw=randwrite\nbssplit=4k/50:8k\nsize=64k\nverify_pattern=%o\nnumjobs=2")
	f.Add("[a]\nrandom_generator=lfsr\nrw=randrw\nsize=1m\nbs_unaligned\nbsrange=1-5")
	f.Add("[a]\nfilename=a:b\nverify=sha512\nverify_offset=200\nverify_interval=1k\nsize=10k")
	f.Fuzz(func(t *testing.T, file string) {
		jobs, _, err := ParseJobFile(strings.NewReader(file), DefaultOptions(), Surroundings{})
		if err != nil {
			return
		}
		for _, o := range jobs {
			o.Size = min(o.Size, 1<<20)
			l, err := NewLayout(&o)
			if err != nil {
				continue
			}
			order, err := NewOrder(t.Context(), l)
			if err != nil {
				continue
			}
			var r Request
			for range 1000 {
				if !order.Next(&r) {
					break
				}
				if r.Off < o.Offset || r.N < 1 || r.Off+int64(r.N) > o.Offset+o.Size {
					t.Fatalf("%+v makes %+v", o, r)
				}
			}
		}
	})
}
