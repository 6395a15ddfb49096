package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/blksh/blksh/verify/fio"
)

// A blockOption is an option that the blocks of a job depend on: what they are,
// where they are, and which write has which number.
type blockOption struct {
	name string // in journals, of all versions that have it
	of   func(*fio.Options) any
}

// blockOptions are what a journal tells of a job. One that gets a new option
// leaves older journals readable if its default means what was done before.
var blockOptions = []blockOption{
	{"Fio", func(o *fio.Options) any { return &o.Fio }},
	{"Thread", func(o *fio.Options) any { return &o.Thread }},
	{"Direction", func(o *fio.Options) any { return &o.Direction }},
	{"MinBlock", func(o *fio.Options) any { return &o.MinBlock }},
	{"MaxBlock", func(o *fio.Options) any { return &o.MaxBlock }},
	{"Split", func(o *fio.Options) any { return &o.Split }},
	{"Reads", func(o *fio.Options) any { return &o.Reads }},
	{"BSUnaligned", func(o *fio.Options) any { return &o.BSUnaligned }},
	{"Offset", func(o *fio.Options) any { return &o.Offset }},
	{"Size", func(o *fio.Options) any { return &o.Size }},
	{"IOSize", func(o *fio.Options) any { return &o.IOSize }},
	{"Part", func(o *fio.Options) any { return &o.Part }},
	{"FileLength", func(o *fio.Options) any { return &o.FileLength }},
	{"NoRandomMap", func(o *fio.Options) any { return &o.NoRandomMap }},
	{"Generator", func(o *fio.Options) any { return &o.Generator }},
	{"MixRead", func(o *fio.Options) any { return &o.MixRead }},
	{"Step", func(o *fio.Options) any { return &o.Step }},
	{"Run", func(o *fio.Options) any { return &o.Run }},
	{"Sequential", func(o *fio.Options) any { return &o.Sequential }},
	{"Distribution", func(o *fio.Options) any { return &o.Distribution }},
	{"Strided", func(o *fio.Options) any { return &o.Strided }},
	{"ZoneSize", func(o *fio.Options) any { return &o.ZoneSize }},
	{"ZoneRange", func(o *fio.Options) any { return &o.ZoneRange }},
	{"ZoneSkip", func(o *fio.Options) any { return &o.ZoneSkip }},
	{"Verify", func(o *fio.Options) any { return &o.Verify }},
	{"Interval", func(o *fio.Options) any { return &o.Interval }},
	{"HeaderOffset", func(o *fio.Options) any { return &o.HeaderOffset }},
	{"Pattern", func(o *fio.Options) any { return &o.Pattern }},
	{"PatternInterval", func(o *fio.Options) any { return &o.PatternInterval }},
	{"Compress", func(o *fio.Options) any { return &o.Compress }},
	{"Padding", func(o *fio.Options) any { return &o.Padding }},
	{"Generation", func(o *fio.Options) any { return &o.Generation }},
	{"RandSeed", func(o *fio.Options) any { return &o.RandSeed }},
	{"RandSeedGiven", func(o *fio.Options) any { return &o.RandSeedGiven }},
	{"RandRepeat", func(o *fio.Options) any { return &o.RandRepeat }},
	{"AllRandRepeat", func(o *fio.Options) any { return &o.AllRandRepeat }},
	{"Loops", func(o *fio.Options) any { return &o.Loops }},
	{"TimeBased", func(o *fio.Options) any { return &o.TimeBased }},
	{"NumberIOs", func(o *fio.Options) any { return &o.NumberIOs }},
	{"DoVerify", func(o *fio.Options) any { return &o.DoVerify }},
	{"Backlog", func(o *fio.Options) any { return &o.Backlog }},
	{"Async", func(o *fio.Options) any { return &o.Async }},
	{"TrimPercent", func(o *fio.Options) any { return &o.TrimPercent }},
	{"TrimBacklog", func(o *fio.Options) any { return &o.TrimBacklog }},
	{"TrimBatch", func(o *fio.Options) any { return &o.TrimBatch }},
	{"NrFiles", func(o *fio.Options) any { return &o.NrFiles }},
	{"FileTurn", func(o *fio.Options) any { return &o.FileTurn }},
	{"File", func(o *fio.Options) any { return &o.File }},
}

// oldOptions are what journals of version 1 tell besides: how the job was run.
const oldOptions = `Name Runtime IODepth Workers MaxRequest VerifyOnly Fsync EndFsync Holes Content HeaderSeed
	Sequence TrimZero StopAtFirst Dump StateSave StateLoad Flushed AuxPath Filenames NumJobs Clone`

// blocksOf is what the blocks of a job depend on; all else is as usual. Files
// count, whatever their names are.
func blocksOf(o *fio.Options) fio.Options {
	b := fio.DefaultOptions()
	for _, option := range blockOptions {
		set(option.of(&b), option.of(o))
	}
	b.NrFiles = o.FileCount()
	return b
}

// set makes the value behind one pointer that behind another of the same type.
func set(to, from any) { reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem()) }

// writeBlockOptions is the line of a journal that tells what the blocks depend on.
func writeBlockOptions(o *fio.Options) ([]byte, error) {
	b := blocksOf(o)
	values := make(map[string]any, len(blockOptions))
	for _, option := range blockOptions {
		values[option.name] = option.of(&b)
	}
	line, err := json.Marshal(values)
	return append(line, '\n'), err
}

// readBlockOptions reads the line of a journal of a version.
func readBlockOptions(line []byte, version int) (fio.Options, error) {
	o := fio.DefaultOptions()
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &values); err != nil {
		return o, err
	}
	for _, option := range blockOptions {
		value, told := values[option.name]
		if !told {
			continue
		}
		if err := json.Unmarshal(value, option.of(&o)); err != nil {
			return o, fmt.Errorf("%s: %w", option.name, err)
		}
		delete(values, option.name)
	}
	if version == 1 {
		if err := takeOldOptions(values, &o); err != nil {
			return o, err
		}
	}
	for name := range values {
		return o, fmt.Errorf(
			"option %q is not known here: a newer version wrote the journal, and has to read it",
			name)
	}
	anyTime(&o)
	return o, possible(&o)
}

// anyTime lets a job that ends by time be verified: the journal tells how far it
// came, whatever time it took.
func anyTime(o *fio.Options) {
	if o.TimeBased {
		o.Runtime = max(o.Runtime, 1)
	}
}

// takeOldOptions takes out what is not about blocks.
func takeOldOptions(values map[string]json.RawMessage, o *fio.Options) error {
	var names []json.RawMessage
	if list, told := values["Filenames"]; told {
		if err := json.Unmarshal(list, &names); err != nil {
			return fmt.Errorf("names of files: %w", err)
		}
	}
	if len(names) > 0 {
		o.NrFiles = len(names)
	}
	for name := range strings.FieldsSeq(oldOptions) {
		delete(values, name)
	}
	return nil
}

// possible bounds the numbers that are calculated with before a job is checked.
func possible(o *fio.Options) error {
	switch {
	case o.NrFiles < 1 || o.NrFiles > fio.MaxJobs:
		return fmt.Errorf("%d files are not within 1 and %d", o.NrFiles, fio.MaxJobs)
	case o.Loops < 0 || o.Loops > math.MaxInt32:
		return fmt.Errorf("%d loops are not within 0 and %d", o.Loops, math.MaxInt32)
	case o.Size < 0 || o.Offset < 0:
		return errors.New("the size or the offset is negative")
	}
	return nil
}

// Job is the job of the journal, to be run as how says: what its blocks depend
// on is the journal's, the rest how's.
func (j *Journal) Job(how fio.Options) fio.Options {
	for _, option := range blockOptions {
		set(option.of(&how), option.of(&j.Options))
	}
	how.Filenames = nil
	anyTime(&how)
	return how
}

// continues makes sure that the journal is that of the job.
func (j *Journal) continues(o *fio.Options) error {
	theirs, ours := blocksOf(&j.Options), blocksOf(o)
	i := slices.IndexFunc(blockOptions, func(option blockOption) bool {
		return !reflect.DeepEqual(option.of(&theirs), option.of(&ours))
	})
	if i < 0 {
		return nil
	}
	option := blockOptions[i]
	return fmt.Errorf("the journal is that of a job with other options: its %s is %s, not %s",
		option.name,
		valueWord(option.of(&theirs)), valueWord(option.of(&ours)))
}

// valueWord is the value behind a pointer, as journals have it.
func valueWord(p any) []byte {
	word, err := json.Marshal(p)
	if err != nil {
		return []byte("unknown")
	}
	return bytes.TrimSpace(word)
}
