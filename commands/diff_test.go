package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Bytes that are equal are not counted among those that differ, however near they lie.
func TestBytesThatDiffer(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open -a other mem:64k")
	o.must(0, "open -a one mem:64k")
	o.must(0, "use one")
	o.must(0, "write -q -P 1 100 1")
	o.must(0, "write -q -P 2 612 2")
	o.must(0, "write -q -P 3 32k 1")
	for line, kind := range map[string]string{"iszero": "not_zero", "compare other": "different"} {
		const want = `[{"offset":100,"length":514,"bad":3},{"offset":32768,"length":1,"bad":1}]`
		if e := find(t, o.must(1, line), kind); e.Bytes != 4 || e.Count != 2 ||
			string(e.Ranges) != want {
			t.Errorf("%s: %d bytes in %d ranges: %s", line, e.Bytes, e.Count, e.Ranges)
		}
	}
}

// Of the bytes that differ it is told how many are zero on one side.
func TestCompareZeroes(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open -a other mem:64k")
	o.must(0, "open -a one mem:64k")
	o.must(0, "write -q -P 7 0 1003") // only in other
	o.must(0, "use other")
	o.must(0, "write -q -P 1 500 20")
	o.must(0, "write -q -P 2 40k 5k")
	e := find(t, o.must(1, "compare one"), "different")
	if e.Bytes != 1003+5<<10 || e.NotHere != 983 || e.NotThere != 5<<10 {
		t.Errorf("%d bytes, %d zero here, %d zero there", e.Bytes, e.NotHere, e.NotThere)
	}
}

// What was stopped goes on where it says: the two parts find what one would.
func TestCompareResumes(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open -a other mem:1M")
	o.must(0, "open -a one mem:1M")
	o.must(0, "write -q -P 7 100 1")
	o.must(0, "write -q -P 7 600k 2")
	for line, kind := range map[string]string{"iszero": "not_zero", "compare other": "different"} {
		for from, bytes := range map[string]int64{
			"0": 3, "100": 3, "101": 2, "600k": 2, "614401": 1,
		} {
			if e := find(t, o.must(1, line+" --resume "+from), kind); e.Bytes != bytes {
				t.Errorf("%s from %s: %d bytes, want %d", line, from, e.Bytes, bytes)
			}
		}
		o.must(0, line+" --resume 614402")
		o.must(0, line+" --resume 1M")
		o.must(2, line+" --resume 1048577")
		o.must(0, line+" --resume 300k 200k 200k")
		o.must(1, line+" --resume 100 100 200k")
	}
}

// Images of different lengths are told apart, with what lies behind the end of the shorter one.
func TestCompareLengths(t *testing.T) {
	dir := t.TempDir()
	image := func(size, from int) string {
		p := make([]byte, size)
		for i := from; i < size; i++ {
			p[i] = 5
		}
		name := filepath.Join(dir, fmt.Sprintf("%d-%d", size, from))
		if err := os.WriteFile(name, p, 0o666); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		here, there           string
		status, strict, bytes int
		lengths, zero         bool
	}{
		{image(64<<10, 64<<10), image(64<<10, 64<<10), 0, 0, 0, false, false},
		{image(64<<10, 64<<10), image(65<<10, 65<<10), 0, 1, 0, true, true},
		{image(65<<10, 65<<10), image(64<<10, 64<<10), 0, 1, 0, true, true},
		{image(64<<10, 64<<10), image(65<<10, 65000), 1, 1, 66560 - 65000, true, false},
		{image(64<<10, 60000), image(65<<10, 65<<10), 1, 1, 65536 - 60000, true, true},
		{image(1000, 1000), image(1020, 1020), 0, 1, 0, true, true},
	} {
		o := newObjects(t)
		o.must(0, "open -r -o driver=raw "+c.here)
		for status, line := range map[int]string{
			c.status:      "compare -f raw " + c.there,
			c.strict + 10: "compare -s -f raw " + c.there,
		} {
			list := o.must(status%10, line)
			bytes, told := int64(0), false
			for _, e := range list {
				if e.Kind == "lengths" || e.Kind == "other_length" {
					told = true
					if e.Zero != c.zero || e.Here == e.There {
						t.Errorf("%s of %s: %+v", line, c.here, e)
					}
				}
				bytes += e.Bytes
			}
			if told != c.lengths || bytes != int64(c.bytes) {
				t.Errorf("%s of %s: %+v", line, c.here, list)
			}
		}
		o.must(0, "compare -s -f raw "+c.there+" 0 512") // a range has one length
	}
}
