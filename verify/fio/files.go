package fio

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// usualFormat is how fio names the files of a job that does not name them.
const usualFormat = "$jobname.$jobnum.$filenum"

// Files are the names of the job's files: those given, or one of filename_format
// for each of nrfiles, in the directory of the job.
func (o *Options) Files() []string {
	names := o.Filenames
	if len(names) == 0 {
		names = make([]string, max(o.NrFiles, 1))
		for i := range names {
			names[i] = o.fileName(i)
		}
	}
	if o.Directory == "" {
		return names
	}
	directories := splitNames(o.Directory) // clones take turns
	in := directories[o.Clone%len(directories)]
	placed := make([]string, len(names))
	for i, name := range names {
		if placed[i] = name; !filepath.IsAbs(name) {
			placed[i] = strings.TrimSuffix(in, "/") + "/" + name
		}
	}
	return placed
}

// FileCount is how many files the job has.
func (o *Options) FileCount() int {
	if len(o.Filenames) > 0 {
		return len(o.Filenames)
	}
	return max(o.NrFiles, 1)
}

// fileName is the name of file i. Keywords may be in capitals, as in fio. What one stands for is
// not looked at again.
func (o *Options) fileName(i int) string {
	keywords := regexp.MustCompile(`(?i)\$(jobname|jobnum|filenum|clientuid)`)
	format := cmp.Or(o.FilenameFormat, usualFormat)
	return keywords.ReplaceAllStringFunc(format, func(word string) string {
		switch strings.ToLower(word) {
		case "$jobname":
			return cmp.Or(o.Section, o.Name)
		case "$jobnum":
			return strconv.Itoa(o.Clone)
		case "$filenum":
			return strconv.Itoa(i)
		}
		return "" // of a client: there is none
	})
}

// On is the job on files that are so long, in bytes: -1 for those that do not
// exist yet. What is said in parts of a file becomes Offset, Size and Part.
func (o Options) On(lengths []int64) (Options, error) {
	length := lengths[0]
	for _, n := range lengths {
		if n != length &&
			(o.Size == 0 && o.FileSize == 0 || o.OffsetPercent > 0 ||
				o.OffsetIncrementPercent > 0) {
			return o, fmt.Errorf(
				"files of %d and %d bytes: a job on files of different lengths needs size=", length,
				n)
		}
		length = max(length, n)
	}
	if err := o.setStart(length); err != nil {
		return o, err
	}
	part, err := o.extent(length, int64(len(lengths)))
	if err != nil {
		return o, err
	}
	if o.SizePercent > 0 && o.SizePercent < 100 {
		whole := part + o.Offset
		part = min(percentOf(whole, o.SizePercent), part)
		part -= part % int64(o.least())
	}
	total := part * int64(len(lengths))
	if o.IOSizePercent > 0 && o.IOSizePercent < 100 {
		total = percentOf(part, o.IOSizePercent) * int64(len(lengths))
	}
	if o.Size == 0 || o.Size > total {
		o.Size = total
	}
	if o.Size < int64(o.least()) {
		return o, fmt.Errorf("job %s: nothing fits into %d bytes, as a block has %d", o.Name,
			o.Size, o.least())
	}
	o.Part, o.FileLength = part, max(length, o.Offset+part)
	o.SizePercent, o.IOSizePercent, o.OffsetPercent, o.OffsetIncrement,
		o.OffsetIncrementPercent = 0, 0, 0, 0, 0
	return o, nil
}

// percentOf is n in a hundred of whole, which may be large.
func percentOf(whole int64, n int) int64 {
	return whole/100*int64(n) + whole%100*int64(n)/100
}

// setStart sets Offset in files of that length.
func (o *Options) setStart(length int64) error {
	known := max(length, 0)
	start, increment := o.Offset, o.OffsetIncrement
	if o.OffsetPercent > 0 {
		start = percentOf(known, o.OffsetPercent)
	}
	if o.OffsetIncrementPercent > 0 {
		increment = percentOf(known, o.OffsetIncrementPercent)
	}
	if clone := int64(o.Clone); clone > 0 && increment > (1<<62-start)/clone {
		return fmt.Errorf("offset_increment %d of job %d is out of range", increment, clone)
	}
	start += increment * int64(o.Clone)
	if o.OffsetPercent > 0 || o.OffsetIncrementPercent > 0 {
		align := cmp.Or(o.OffsetAlign, int64(o.least()))
		start = (start + align - 1) / align * align
	}
	o.Offset = start
	return nil
}

// extent is how much of each of n files of that length the job is about.
func (o *Options) extent(length, n int64) (part int64, err error) {
	switch {
	case o.FileSize > 0:
		part = o.FileSize - o.Offset
	case o.Size > 0:
		part = o.Size / n
	case length < 0:
		return 0, fmt.Errorf("job %s needs size= or filesize=: its file does not exist", o.Name)
	default:
		part = length - o.Offset
	}
	if part < 0 {
		return 0, fmt.Errorf("offset %d is behind the end of the file", o.Offset)
	}
	return part, nil
}
