package fio

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setField sets a field by its type: text, a flag, a size in bytes or a count. One with the tag
// percent may be given as a percentage of a file, which goes to the field of that name; one with
// the tag few is of what takes memory.
func setField(f reflect.StructField) func(o *Options, v string) error {
	_, few := f.Tag.Lookup("few")
	return func(o *Options, v string) error {
		fields := reflect.ValueOf(o).Elem()
		switch to := fields.FieldByIndex(f.Index).Addr().Interface().(type) {
		case *string:
			if v == "" {
				return errors.New("a value is missing")
			}
			*to = v
		case *bool:
			return setFlag(to, v)
		case *int:
			return o.setCount(to, v, few)
		case *int64:
			part := fields.FieldByName(f.Tag.Get("percent"))
			if n, ok := percent(v); ok && part.IsValid() {
				*to = 0
				part.SetInt(int64(n))
				return nil
			}
			n, err := o.size(v)
			if err != nil {
				return err
			}
			*to = n // beside a percentage that was given before, as in fio
		}
		return nil
	}
}

// setCount sets a number, of what takes memory if few is set.
func (o *Options) setCount(to *int, v string, few bool) error {
	n, err := o.size(v)
	switch {
	case few && (err != nil || n < 1 || n > MaxJobs):
		return fmt.Errorf("a number within 1 and %d is wanted", MaxJobs)
	case err != nil:
		return err
	case n > math.MaxInt32:
		return errors.New("too large")
	}
	*to = int(n)
	return nil
}

func setFlag(to *bool, v string) error {
	if v == "" {
		v = "1"
	}
	n, err := strconv.ParseInt(v, 0, 64)
	if err != nil || n < 0 || n > 1 {
		return errors.New("0 or 1 is wanted")
	}
	*to = n == 1
	return nil
}

// unsupported is for an option of which only the usual value is possible.
func unsupported(usual, why string) func(*Options, string) error {
	return func(_ *Options, v string) error {
		if v != usual {
			return errors.New(why)
		}
		return nil
	}
}

// setDirection reads a direction. What follows a colon says by how much a
// sequential request leaves a gap, or how many there are for each random one.
func setDirection(o *Options, v string) error {
	v, postfix, has := strings.Cut(v, ":")
	if v == "readwrite" {
		v = "rw"
	}
	if strings.Contains(v, "trim") {
		return errors.New("jobs that trim before they write are not supported; trim_percentage is")
	}
	var d Direction
	if err := d.UnmarshalText([]byte(v)); err != nil {
		return err
	}
	step, run := int64(0), 1
	switch {
	case !has:
	case d.Random():
		n, err := requests(postfix)
		if err != nil {
			return err
		}
		run = n
	default:
		text, back := strings.CutPrefix(postfix, "-")
		n, err := o.size(text)
		if err != nil {
			return err
		}
		if step = n; back {
			step = -n
		}
	}
	o.Direction, o.Step, o.RandomEvery = d, step, run
	return nil
}

// requests reads a number of requests, which stands behind a colon.
func requests(v string) (int, error) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("a number of requests is wanted behind the colon")
	}
	return int(n), nil
}

// percentage reads a number from 0 to 100.
func percentage(v string) (int, error) {
	n, err := strconv.ParseUint(v, 10, 7)
	if err != nil || n > 100 {
		return 0, errors.New("a percentage is wanted")
	}
	return int(n), nil
}

func setVerify(o *Options, v string) error {
	switch v {
	case "":
		return errors.New("a value is missing")
	case "0", "none":
		o.Verify, o.Pattern = "", ""
	default:
		o.Verify = v
	}
	return nil
}

// byDirection sets what there is to say of reads, writes and trims, in this order: what holds for
// reads only if nothing is said of writes holds for both. set gets what there is to say of either.
func byDirection(parts []string, set func(way ddir, v string) error) error {
	if len(parts) > 3 {
		return errors.New("there are at most three values: for reads, writes and trims")
	}
	read := strings.TrimRight(parts[0], " \t")
	write := read
	if len(parts) > 1 {
		write = strings.TrimRight(parts[1], " \t")
	}
	for way, part := range map[ddir]string{reads: read, writes: write} {
		if part == "" {
			continue // as it was
		}
		if part[0] == ' ' || part[0] == '\t' {
			return errBlank
		}
		if err := set(way, part); err != nil {
			return err
		}
	}
	return nil
}

// errBlank refuses what fio reads as a number without its unit: a job would be another one.
var errBlank = errors.New("fio drops the unit of a number that follows a blank")

// hasUnit says whether v is a number and more.
func hasUnit(v string) bool {
	rest := strings.TrimLeft(v, "0123456789")
	return rest != "" && rest != v
}

// numbers splits a list of numbers as fio does: at the next comma, where there is none at the next
// colon, and where there is none of these at the next dash.
func numbers(v string) (list []string) {
	for {
		at := -1
		for _, divides := range ",:-" {
			if at = strings.IndexRune(v, divides); at >= 0 {
				break
			}
		}
		if at < 0 {
			return append(list, v)
		}
		list, v = append(list, v[:at]), v[at+1:]
	}
}

// setSizes sets the block sizes of one direction.
func (o *Options) setSizes(w ddir, s Sizes) {
	if w == reads {
		o.Reads = s
		return
	}
	if o.Reads.Min == 0 { // nothing was said of reads, which stay as they are
		o.Reads = Sizes{Min: o.MinBlock, Max: max(o.MinBlock, o.MaxBlock), Split: o.Split}
	}
	o.MinBlock, o.MaxBlock, o.Split = s.Min, s.Max, s.Split
}

// block reads the size of a block.
func (o *Options) block(v string) (int, error) {
	n, err := o.size(v)
	if err != nil {
		return 0, err
	}
	if n < 1 || n > MaxBlockSize {
		return 0, fmt.Errorf("block size %d is not within 1 and %d", n, MaxBlockSize)
	}
	return int(n), nil
}

// setBlock reads a size, or those of reads, writes and trims. A range is bsrange.
func setBlock(o *Options, v string) error {
	return byDirection(numbers(v), func(w ddir, v string) error {
		n, err := o.block(v)
		if err == nil && !o.RangeGiven[w] {
			o.setSizes(w, Sizes{Min: n, Max: n})
		}
		return err
	})
}

// setBlockRange sets sizes that no bs changes, wherever it stands, as in fio.
func setBlockRange(o *Options, v string) error {
	return byDirection(strings.Split(v, ","), func(w ddir, v string) error {
		o.RangeGiven[w] = true
		return o.setRange(w, v)
	})
}

// setRange reads MIN-MAX or MIN:MAX; a single size is both.
func (o *Options) setRange(w ddir, v string) error {
	lo, hi, has := strings.Cut(v, "-")
	if !has {
		lo, hi, has = strings.Cut(v, ":")
	}
	if !has {
		hi = lo
	}
	least, err := o.block(lo)
	if err != nil {
		return err
	}
	most, err := o.block(hi)
	if err != nil {
		return err
	}
	o.setSizes(w, Sizes{Min: min(least, most), Max: max(least, most)})
	return nil
}

// maxShares is how many sizes bssplit may have.
const maxShares = 64

// setSplit reads SIZE/PERCENT:SIZE/PERCENT...; sizes without a percentage share
// what the others leave.
func setSplit(o *Options, v string) error {
	return byDirection(strings.Split(v, ","), func(w ddir, v string) error {
		o.RangeGiven[w] = true
		return o.setShares(w, v)
	})
}

func (o *Options) setShares(w ddir, v string) error {
	if strings.Count(v, ":") >= maxShares {
		return fmt.Errorf("more than %d sizes", maxShares)
	}
	var shares []Share
	left, open := 100, 0
	for part := range strings.SplitSeq(v, ":") {
		text, percent, has := strings.Cut(part, "/")
		block, err := o.block(text)
		if err != nil {
			return err
		}
		share := Share{Block: block, Percent: -1}
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
	s := Sizes{Min: shares[0].Block, Max: shares[0].Block, Split: shares}
	for i := range shares {
		if shares[i].Percent < 0 {
			shares[i].Percent = left / open
		}
		s.Min = min(s.Min, shares[i].Block)
		s.Max = max(s.Max, shares[i].Block)
	}
	// fio looks for the rarest size first.
	slices.SortStableFunc(shares, func(a, b Share) int { return a.Percent - b.Percent })
	o.setSizes(w, s)
	return nil
}

func setBlockAlign(o *Options, v string) error {
	return byDirection(numbers(v), func(w ddir, v string) (err error) {
		o.BlockAlign[w], err = o.block(v)
		return err
	})
}

func setFileSize(o *Options, v string) error {
	lo, hi, has := strings.Cut(v, "-")
	if !has {
		lo, hi, has = strings.Cut(v, ":")
	}
	least, err := o.size(lo)
	if err != nil {
		return err
	}
	if has {
		if most, err := o.size(hi); err != nil || most != least {
			return errors.New("files of random sizes are not supported; one size is")
		}
	}
	o.FileSize = least
	return nil
}

func setBuffered(o *Options, v string) error {
	buffered := false
	err := setFlag(&buffered, v)
	o.Direct = !buffered
	return err
}

func setMixWrite(o *Options, v string) error {
	n, err := percentage(v)
	o.MixRead = 100 - n
	return err
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

func setSync(o *Options, v string) error {
	switch v {
	case "", "1", "sync", "dsync":
		o.Sync = true
	case "0", "none":
		o.Sync = false
	default:
		return errors.New("known are none, sync and dsync")
	}
	return nil
}

// queueingEngines are those of fio that do not wait for each request.
var queueingEngines = []string{
	"libaio", "io_uring", "io_uring_cmd", "posixaio", "solarisaio", "windowsaio", "sg", "rbd",
	"rados", "nbd", "xnvme",
	"libblkio", "libiscsi", "gfapi_async", "spdk", "spdk_bdev", "guasi", "syslet-rw",
}

// idleEngines are those of fio whose requests leave the bytes of a file as they are.
var idleEngines = []string{
	"null", "cpuio", "falloc", "ftruncate", "e4defrag", "filecreate", "filestat", "filedelete",
	"dircreate", "dirstat", "dirdelete", "net", "netsplice", "exec",
}

func setEngine(o *Options, v string) error {
	o.NoData = slices.Contains(idleEngines, v)
	o.Async = slices.Contains(queueingEngines, v)
	return nil
}

func setKBBase(o *Options, v string) error {
	switch v {
	case "1000", "1024":
		o.KBBase, _ = strconv.Atoi(v)
		return nil
	}
	return errors.New("known are 1000 and 1024")
}

func setZoneMode(o *Options, v string) error {
	switch v {
	case "none", "strided":
		o.Strided = v == "strided"
		return nil
	}
	return errors.New(
		"known are none and strided; what a zoned device does with writes is not the job's to say")
}

func setPercentRandom(o *Options, v string) error {
	return byDirection(numbers(v), func(w ddir, v string) error {
		n, err := percentage(v)
		o.Sequential[w] = 100 - n
		return err
	})
}

func setFileService(o *Options, v string) error {
	service, postfix, has := strings.Cut(v, ":")
	turn := 1
	if has {
		n, err := requests(postfix)
		if err != nil {
			return err
		}
		turn = n
	}
	switch service {
	case "roundrobin":
	case "sequential":
		turn = math.MaxInt
	default:
		return errors.New(
			"known are roundrobin and sequential; of others the order of files is not known")
	}
	o.FileTurn = turn
	return nil
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
