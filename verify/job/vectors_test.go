package job

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/verify/fio"
)

// A vector is one row of a table of images that some fio wrote, and perhaps somebody damaged.
type vector struct {
	file, writtenBy, options, what, truth string
}

// vectorDir is where a full set of such images is, if there is one here.
func vectorDir(t *testing.T) string {
	dir := os.Getenv("BLKSH_FIO_VECTORS")
	if dir == "" {
		t.Skip("BLKSH_FIO_VECTORS names no directory of images")
	}
	return dir
}

func readVectors(t *testing.T, dir string) (list []vector) {
	table, err := os.ReadFile(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(table)), "\n") {
		f := strings.Split(line, "\t")
		if i > 0 && len(f) >= 5 {
			list = append(list, vector{f[0], f[1], f[2], f[3], f[4]})
		}
	}
	return list
}

func (v vector) release() fio.Release {
	switch {
	case strings.HasPrefix(v.writtenBy, "fio-2."):
		return fio.Fio22
	case strings.HasPrefix(v.writtenBy, "fio-3.33"):
		return fio.Fio333
	}
	return fio.Fio342
}

// job makes options of a fio command line.
func (v vector) job(t *testing.T) fio.Options {
	o := fio.DefaultOptions()
	o.Fio = v.release()
	for _, word := range strings.Fields(v.options) {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if _, err := o.Set(name, value); err != nil {
			t.Fatalf("%s: %v", v.file, err)
		}
	}
	return o
}

// imageClock reads the clock of an image's headers, which nobody can predict.
func imageClock(img []byte, l *fio.Layout) fio.Clock {
	return func(off int64) (uint32, uint32) {
		p := img[off+int64(l.HeaderOffset):]
		return binary.LittleEndian.Uint32(p[24:]), binary.LittleEndian.Uint32(p[28:])
	}
}

// Whole images are predicted from the options of the job that wrote them.
func TestVectorsPredicted(t *testing.T) {
	dir := vectorDir(t)
	seen := map[string]bool{}
	for _, v := range readVectors(t, dir) {
		if v.truth != "intact" || seen[v.file] || v.what == "cross-version" ||
			strings.Contains(v.file, "bug-") {
			continue
		}
		seen[v.file] = true
		img, err := os.ReadFile(filepath.Join(dir, v.file))
		if err != nil {
			t.Fatal(err)
		}
		o := v.job(t)
		l, err := fio.NewLayout(&o)
		if err != nil {
			t.Errorf("%s: %v", v.file, err)
			continue
		}
		jobs, err := fio.NewOrder(t.Context(), l)
		if err != nil {
			t.Errorf("%s: %v", v.file, err)
			continue
		}
		b := fio.NewBuilder(l, imageClock(img, l))
		got := make([]byte, len(img))
		var r fio.Request
		for jobs.Next(&r) {
			b.Build(got[r.Off:r.Off+int64(r.N)], &r)
		}
		if !bytes.Equal(got, img) {
			m := 0
			for m < len(img) && got[m] == img[m] {
				m++
			}
			t.Errorf("%s (%s): differs at %d", v.file, v.options, m)
		}
	}
	t.Logf("%d images", len(seen))
}

// Every row of the table gets the verdict of its truth.
func TestVectorsTruth(t *testing.T) {
	dir := vectorDir(t)
	for _, v := range readVectors(t, dir) {
		f, err := os.Open(filepath.Join(dir, v.file))
		if err != nil {
			t.Fatal(err)
		}
		o := v.job(t)
		o.Fio = fio.FioAny
		var first *Bad
		j, err := New(o, Hooks{Bad: func(b *Bad) {
			if first == nil {
				c := *b
				first = &c
			}
		}})
		if err != nil {
			t.Fatalf("%s: %v", v.file, err)
		}
		r, err := j.Verify(t.Context(), openFile(f), VerifyOptions{})
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", v.file, err)
			continue
		}
		if r.Good() != v.good() {
			t.Errorf("%s (%s; %s): %v, want %s: %+v", v.file, v.options, v.what, r.Classes, v.truth,
				first)
		}
	}
}

// good is the verdict a vector is to get. Two intact images have what fio
// before 3.40 left in the data: an older header.
func (v vector) good() bool {
	if strings.HasSuffix(v.file, "bug-offset-pattern.img") && v.release() != fio.Fio342 {
		return false
	}
	return strings.HasPrefix(v.truth, "intact")
}

// Scanning the same images without their jobs finds the same, except where only the job knows.
func TestVectorsScan(t *testing.T) {
	dir := vectorDir(t)
	for _, v := range readVectors(t, dir) {
		f, err := os.Open(filepath.Join(dir, v.file))
		if err != nil {
			t.Fatal(err)
		}
		job := v.job(t)
		o := fio.DefaultOptions()
		o.Verify, o.Fio, o.Size, o.Holes = fio.TypeAny, fio.FioAny, job.Size, job.NoRandomMap ||
			strings.HasPrefix(v.file, "state")
		if job.Verify == "pattern" || job.Verify == fio.TypeNull {
			o.Verify, o.PatternInterval = job.Verify, job.PatternInterval
		}
		o.Pattern = job.Pattern
		var first *Bad
		j, err := New(o, Hooks{Bad: func(b *Bad) {
			if first == nil {
				c := *b
				first = &c
			}
		}})
		if err != nil {
			t.Fatalf("%s: %v", v.file, err)
		}
		r, err := j.Scan(t.Context(), openFile(f), 0)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", v.file, err)
			continue
		}
		unseen := strings.Contains(v.what, "older generation") &&
			!strings.Contains(v.what, "first 2048")
		if r.Good() != (v.good() || unseen) {
			t.Errorf("%s (%s; %s): %v, want %s: %+v", v.file, v.options, v.what, r.Classes, v.truth,
				first)
		}
	}
}
