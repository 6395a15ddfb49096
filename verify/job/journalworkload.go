package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/blksh/blksh/verify/fio"
)

// oldOptions are what journals of version 1 tell besides: how the job was run.
const oldOptions = `Name Runtime IODepth Workers MaxRequest VerifyOnly Fsync EndFsync
	Holes Content HeaderSeed Sequence TrimZero StopAtFirst Dump StateSave StateLoad Flushed AuxPath
	Filenames NumJobs Clone`

// workloadFields are the fields of a workload. Journals of all versions have the same names for
// them; see fieldName. A new field leaves older journals readable if its default means what was
// done before.
func workloadFields() []reflect.StructField {
	return reflect.VisibleFields(reflect.TypeFor[fio.Workload]())
}

func fieldName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// writeWorkload is the line of a journal that tells what the blocks depend on.
func writeWorkload(w *fio.Workload) ([]byte, error) {
	line, err := json.Marshal(w)
	return append(line, '\n'), err
}

// readWorkload reads the line of a journal of a version. What it does not tell is as usual.
func readWorkload(line []byte, version int) (fio.Workload, error) {
	w := fio.DefaultOptions().Workload
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &values); err != nil {
		return w, err
	}
	into := reflect.ValueOf(&w).Elem()
	for _, f := range workloadFields() {
		value, told := values[fieldName(f)]
		if !told {
			continue
		}
		if err := json.Unmarshal(value, into.FieldByIndex(f.Index).Addr().Interface()); err != nil {
			return w, fmt.Errorf("%s: %w", fieldName(f), err)
		}
		delete(values, fieldName(f))
	}
	if version == 1 {
		if err := takeOldOptions(values, &w); err != nil {
			return w, err
		}
	}
	for name := range values {
		return w, fmt.Errorf(
			"option %q is not known here: a newer version wrote the journal, and has to read it",
			name)
	}
	return w, possible(&w)
}

// takeOldOptions takes out what is not about blocks.
func takeOldOptions(values map[string]json.RawMessage, w *fio.Workload) error {
	var names []json.RawMessage
	if list, told := values["Filenames"]; told {
		if err := json.Unmarshal(list, &names); err != nil {
			return fmt.Errorf("names of files: %w", err)
		}
	}
	if len(names) > 0 {
		w.NrFiles = len(names)
	}
	for name := range strings.FieldsSeq(oldOptions) {
		delete(values, name)
	}
	return nil
}

// possible bounds the numbers that are calculated with before a job is checked.
func possible(w *fio.Workload) error {
	switch {
	case w.NrFiles < 1 || w.NrFiles > fio.MaxJobs:
		return fmt.Errorf("%d files are not within 1 and %d", w.NrFiles, fio.MaxJobs)
	case w.Loops < 0 || w.Loops > math.MaxInt32:
		return fmt.Errorf("%d loops are not within 0 and %d", w.Loops, math.MaxInt32)
	case w.Size < 0 || w.Offset < 0 || w.Only.From < 0 || w.Only.To < w.Only.From:
		return errors.New("the size or the offset is negative")
	}
	return nil
}

// Options are those of the journal's job: what its blocks depend on is the journal's, the rest
// how's. A job that ended by time can be verified, for the journal tells how far it came.
func (j *Journal) Options(how fio.Options) fio.Options {
	how.Workload, how.Filenames = j.Workload, nil
	if how.TimeBased {
		how.Runtime = max(how.Runtime, 1)
	}
	return how
}

// continues makes sure that the journal is that of the job.
func (j *Journal) continues(w *fio.Workload) error {
	theirs, ours := reflect.ValueOf(j.Workload), reflect.ValueOf(*w)
	for _, f := range workloadFields() {
		a, b := theirs.FieldByIndex(f.Index).Interface(), ours.FieldByIndex(f.Index).Interface()
		if !reflect.DeepEqual(a, b) {
			return fmt.Errorf(
				"the journal is that of a job with other options: its %s is %s, not %s",
				fieldName(f),
				valueWord(a), valueWord(b))
		}
	}
	return nil
}

// valueWord is a value as journals have it.
func valueWord(v any) []byte {
	word, err := json.Marshal(v)
	if err != nil {
		return []byte("unknown")
	}
	return word
}
