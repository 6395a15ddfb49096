package verify

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are the options that are understood.
var settings = map[string]func(o *Options, v string) error{
	"rw":                         setDirection,
	"readwrite":                  setDirection,
	"bs":                         setBlock,
	"blocksize":                  setBlock,
	"bsrange":                    setBlock,
	"blocksize_range":            setBlock,
	"bssplit":                    setSplit,
	"bs_unaligned":               flag(func(o *Options) *bool { return &o.BSUnaligned }),
	"blocksize_unaligned":        flag(func(o *Options) *bool { return &o.BSUnaligned }),
	"offset":                     size(func(o *Options) *int64 { return &o.Offset }),
	"size":                       size(func(o *Options) *int64 { return &o.Size }),
	"norandommap":                flag(func(o *Options) *bool { return &o.NoRandomMap }),
	"random_generator":           text(func(o *Options) *string { return &o.Generator }),
	"rwmixread":                  count(func(o *Options) *int { return &o.MixRead }),
	"rwmixwrite":                 setMixWrite,
	"verify":                     text(func(o *Options) *string { return &o.Verify }),
	"verify_interval":            count(func(o *Options) *int { return &o.Interval }),
	"verify_offset":              count(func(o *Options) *int { return &o.HeaderOffset }),
	"verify_pattern":             text(func(o *Options) *string { return &o.Pattern }),
	"verify_pattern_interval":    count(func(o *Options) *int { return &o.PatternInterval }),
	"buffer_compress_percentage": count(func(o *Options) *int { return &o.Compress }),
	"buffer_pattern":             text(func(o *Options) *string { return &o.Padding }),
	"randseed":                   setRandSeed,
	"randrepeat":                 flag(func(o *Options) *bool { return &o.RandRepeat }),
	"allrandrepeat":              flag(func(o *Options) *bool { return &o.AllRandRepeat }),
	"loops":                      count(func(o *Options) *int { return &o.Loops }),
	"time_based":                 flag(func(o *Options) *bool { return &o.TimeBased }),
	"runtime":                    setRuntime,
	"timeout":                    setRuntime,
	"number_ios":                 size(func(o *Options) *int64 { return &o.NumberIOs }),
	"iodepth":                    count(func(o *Options) *int { return &o.IODepth }),
	"verify_async":               count(func(o *Options) *int { return &o.Workers }),
	"do_verify":                  flag(func(o *Options) *bool { return &o.DoVerify }),
	"verify_only":                flag(func(o *Options) *bool { return &o.VerifyOnly }),
	"verify_backlog":             size(func(o *Options) *int64 { return &o.Backlog }),
	"verify_header_seed":         flag(func(o *Options) *bool { return &o.HeaderSeed }),
	"verify_write_sequence":      flag(func(o *Options) *bool { return &o.Sequence }),
	"fsync":                      size(func(o *Options) *int64 { return &o.Fsync }),
	"fdatasync":                  size(func(o *Options) *int64 { return &o.Fsync }),
	"end_fsync":                  flag(func(o *Options) *bool { return &o.EndFsync }),
	"trim_percentage":            count(func(o *Options) *int { return &o.TrimPercent }),
	"trim_backlog":               size(func(o *Options) *int64 { return &o.TrimBacklog }),
	"trim_backlog_batch":         size(func(o *Options) *int64 { return &o.TrimBatch }),
	"trim_verify_zero":           flag(func(o *Options) *bool { return &o.TrimZero }),
	"verify_fatal":               flag(func(o *Options) *bool { return &o.StopAtFirst }),
	"verify_dump":                flag(func(o *Options) *bool { return &o.Dump }),
	"verify_state_save":          flag(func(o *Options) *bool { return &o.StateSave }),
	"verify_state_load":          flag(func(o *Options) *bool { return &o.StateLoad }),
	"verify_policy":              setPolicy,
	"aux-path":                   text(func(o *Options) *string { return &o.AuxPath }),
	"filename":                   setFilename,
	"nrfiles":                    few(func(o *Options) *int { return &o.NrFiles }),
	"numjobs":                    few(func(o *Options) *int { return &o.NumJobs }),
	"name":                       text(func(o *Options) *string { return &o.Name }),
	"thread_number":              count(func(o *Options) *int { return &o.Thread }),
}

// ignored are options of fio that change nothing about which blocks are
// written and how they are verified here, and why.
var ignored = map[string]string{
	"continue_on_error":    "a run always goes on",
	"ignore_error":         "verification errors are never ignored",
	"experimental_verify":  "verification always replays the job",
	"serialize_overlap":    "requests in flight never overlap",
	"verify_backlog_batch": "a backlog is verified whole",
	"verify_async_cpus":    "workers are not bound to CPUs",
	"verifysort":           "blocks are verified in the order of writing",
	"verifysort_nr":        "blocks are verified in the order of writing",
	"ioengine":             "the engine is the device's",
	"direct":               "caching is the device's",
	"buffered":             "caching is the device's",
	"sync":                 "caching is the device's",
	"thread":               "jobs are goroutines",
	"group_reporting":      "each job reports for itself",
	"refill_buffers":       "verification always makes new data",
	"zero_buffers":         "verification always makes its data",
	"scramble_buffers":     "verification always makes its data",
	"dedupe_percentage":    "verification always makes its data",
	"invalidate":           "caching is the device's",
	"stonewall":            "jobs run one after the other",
	"wait_for_previous":    "jobs run one after the other",
	"allow_file_create":    "the caller opens the files",
	"create_on_open":       "the caller opens the files",
	"fallocate":            "the caller opens the files",
	"overwrite":            "the caller opens the files",
	"directory":            "the caller opens the files",
	"unlink":               "files stay",
	"description":          "it is for people",
	"readonly":             "verification never writes",
}

// Set sets an option by fio's name. The value of a flag may be empty, which is
// 1. word says why a known option changes nothing, and is empty for others.
func (o *Options) Set(name, value string) (word string, err error) {
	value = strings.TrimSpace(value)
	set, ok := settings[name]
	if !ok {
		if why, known := ignored[name]; known {
			return why, nil
		}
		return "", fmt.Errorf("option %s is not supported in verification jobs", name)
	}
	if err := set(o, value); err != nil {
		return "", fmt.Errorf("%s=%s: %w", name, value, err)
	}
	return "", nil
}

func text(field func(*Options) *string) func(*Options, string) error {
	return func(o *Options, v string) error {
		if v == "" {
			return errors.New("a value is missing")
		}
		*field(o) = v
		return nil
	}
}

func flag(field func(*Options) *bool) func(*Options, string) error {
	return func(o *Options, v string) error {
		if v == "" {
			v = "1"
		}
		n, err := strconv.ParseInt(v, 0, 64)
		if err != nil || n < 0 || n > 1 {
			return errors.New("0 or 1 is wanted")
		}
		*field(o) = n == 1
		return nil
	}
}

func size(field func(*Options) *int64) func(*Options, string) error {
	return func(o *Options, v string) (err error) {
		*field(o), err = ParseSize(v)
		return err
	}
}

func count(field func(*Options) *int) func(*Options, string) error {
	return func(o *Options, v string) error {
		n, err := ParseSize(v)
		if err != nil {
			return err
		}
		if n > math.MaxInt32 {
			return errors.New("too large")
		}
		*field(o) = int(n)
		return nil
	}
}

// few is count for what takes memory.
func few(field func(*Options) *int) func(*Options, string) error {
	return func(o *Options, v string) error {
		n, err := ParseSize(v)
		if err != nil || n < 1 || n > maxJobs {
			return fmt.Errorf("a number within 1 and %d is wanted", maxJobs)
		}
		*field(o) = int(n)
		return nil
	}
}

// sizeUnits are fio's suffixes with their default base of 1024.
var sizeUnits = map[string]int64{
	"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
	"t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40, "p": 1 << 50, "pb": 1 << 50, "pib": 1 << 50,
}

// ParseSize reads a size in bytes as fio does: decimal, or hexadecimal after
// 0x, with a binary unit k, m, g, t or p.
func ParseSize(s string) (int64, error) {
	s = strings.ToLower(s)
	digits := "0123456789"
	end := 0
	if isHex(s) {
		digits, end = "0123456789abcdef", 2
	}
	for end < len(s) && strings.IndexByte(digits, s[end]) >= 0 {
		end++
	}
	unit, ok := sizeUnits[s[end:]]
	if !ok && end > 2 && isHex(s) && s[end-1] == 'b' {
		end--
		unit, ok = sizeUnits[s[end:]]
	}
	n, err := strconv.ParseInt(s[:end], 0, 64)
	if base10 := !isHex(s); base10 {
		n, err = strconv.ParseInt(s[:end], 10, 64)
	}
	if err != nil || !ok || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is no size", s)
	}
	return n * unit, nil
}

func setDirection(o *Options, v string) error {
	if v == "readwrite" {
		v = "rw"
	}
	return o.Direction.UnmarshalText([]byte(v))
}

func setBlock(o *Options, v string) error {
	if strings.Contains(v, ",") {
		return errors.New("different sizes for reads and writes are not supported")
	}
	lo, hi, has := strings.Cut(v, "-")
	if !has {
		hi = lo
	}
	least, err := ParseSize(lo)
	if err != nil {
		return err
	}
	most, err := ParseSize(hi)
	if err != nil {
		return err
	}
	if least > maxBlockSize || most > maxBlockSize {
		return fmt.Errorf("larger than %d", maxBlockSize)
	}
	o.MinBlock, o.MaxBlock = int(least), int(most)
	return nil
}

// setSplit reads SIZE/PERCENT:SIZE/PERCENT...; sizes without a percentage share
// what the others leave.
func setSplit(o *Options, v string) error {
	if strings.Contains(v, ",") {
		return errors.New("different sizes for reads and writes are not supported")
	}
	var shares []Share
	left, open := 100, 0
	for part := range strings.SplitSeq(v, ":") {
		text, percent, has := strings.Cut(part, "/")
		block, err := ParseSize(text)
		if err != nil {
			return err
		}
		if block < 1 || block > maxBlockSize {
			return fmt.Errorf("%d is not within 1 and %d", block, maxBlockSize)
		}
		share := Share{Block: int(block), Percent: -1}
		if has && percent != "" {
			n, err := strconv.ParseUint(percent, 10, 7)
			if err != nil {
				return fmt.Errorf("%q is no percentage", percent)
			}
			share.Percent = int(n)
			left -= share.Percent
		} else {
			open++
		}
		shares = append(shares, share)
	}
	if left < 0 || left > 0 && open == 0 {
		return errors.New("the percentages do not make 100")
	}
	o.MinBlock, o.MaxBlock = shares[0].Block, shares[0].Block
	for i := range shares {
		if shares[i].Percent < 0 {
			shares[i].Percent = left / open
		}
		o.MinBlock = min(o.MinBlock, shares[i].Block)
		o.MaxBlock = max(o.MaxBlock, shares[i].Block)
	}
	// fio looks for the rarest size first.
	slices.SortStableFunc(shares, func(a, b Share) int { return a.Percent - b.Percent })
	o.Split = shares
	return nil
}

func setMixWrite(o *Options, v string) error {
	n, err := ParseSize(v)
	if err != nil || n > 100 {
		return errors.New("a percentage is wanted")
	}
	o.MixRead = 100 - int(n)
	return nil
}

func setRandSeed(o *Options, v string) error {
	n, err := strconv.ParseUint(v, 0, 64)
	if err != nil {
		return errors.New("a number is wanted")
	}
	o.RandSeed, o.RandSeedGiven = n, true
	return nil
}

func setRuntime(o *Options, v string) error {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		o.Runtime = time.Duration(n) * time.Second
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return errors.New("seconds, or a time such as 90s or 2m, are wanted")
	}
	o.Runtime = d
	return nil
}

func setPolicy(o *Options, v string) error {
	switch v {
	case "completed", "fsynced":
		o.Flushed = v == "fsynced"
		return nil
	}
	return errors.New("known are completed and fsynced")
}

// setFilename adds to the files that were named before, as fio does.
func setFilename(o *Options, v string) error {
	if v == "" {
		return errors.New("a name is missing")
	}
	o.Filenames = slices.Concat(o.Filenames, splitNames(v))
	return nil
}

// splitNames splits at colons that no backslash escapes.
func splitNames(v string) (names []string) {
	var name strings.Builder
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '\\' && i+1 < len(v) && v[i+1] == ':':
			i++
			name.WriteByte(':')
		case v[i] == ':':
			names = append(names, name.String())
			name.Reset()
		default:
			name.WriteByte(v[i])
		}
	}
	return append(names, name.String())
}
