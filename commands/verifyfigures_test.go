package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// find is the event of a kind among those that a line told.
func find(t *testing.T, list []told, kind string) told {
	t.Helper()
	for _, e := range list {
		if e.Kind == kind {
			return e
		}
	}
	t.Fatalf("no %s among %+v", kind, list)
	return told{}
}

// What is told of a verification is what was done, and not what was asked for.
func TestFigures(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open mem:1M")
	if e := find(t, o.must(0, "verify_write 0 10000"), "blocks_written"); e.Bytes != 8192 ||
		e.Writes != 2 || e.Length != 10000 {
		t.Errorf("less than a whole block at the end: %+v", e)
	}
	if e := find(t, o.must(0, "verify_read -t crc32c --exact 0 10000"),
		"verdict"); e.Checked != 8192 || e.Blocks != 2 {
		t.Errorf("and when it is verified: %+v", e)
	}
	if e := find(t, o.must(0, "verify_write -o loops=2 0 64k"),
		"blocks_written"); e.Bytes != 128<<10 || e.Writes != 32 {
		t.Errorf("two loops: %+v", e)
	}
	journal := filepath.Join(t.TempDir(), "journal")
	o.must(0, "verify_write -o number_ios=5 --journal "+journal)
	if e := find(t, o.must(0, "verify_read --journal "+journal), "verdict"); e.Checked != 5*4096 ||
		e.Blocks != 5 || e.Length != 1<<20 {
		t.Errorf("with a journal: %+v", e)
	}
	o.must(0, "write -q -z 0 1M")
	o.must(0, "verify_write 512k 256k")
	if e := find(t, o.must(0, "verify_read --holes"), "verdict"); e.Checked != 256<<10 ||
		e.Unchecked != 768<<10 {
		t.Errorf("with holes: %+v", e)
	}
	o.must(0, "verify_write -o norandommap=1 --order random 0 512k")
	if e := find(t,
		o.must(0, "verify_read -t crc32c --exact -o norandommap=1 --order random 0 512k"), "verdict"); e.Checked != e.Blocks*4096 || e.Blocks >= 128 {
		t.Errorf("blocks that were written more than once: %+v", e)
	}
}

// Data that nothing was compared with are told apart from those that are proved.
func TestFiguresOfHeaders(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open mem:64k")
	for _, kind := range []string{"meta", "pattern_hdr"} {
		o.must(0, "verify_write -t "+kind+" -P 0xdeadbeef")
		o.must(0, "write -q -P 7 13k 3k")
		if e := find(t, o.must(0, "verify_read"), "verdict"); e.Checked != 0 ||
			e.HeadersOnly != 64<<10 || e.Blocks != 16 {
			t.Errorf("%s: %+v", kind, e)
		}
		if e := find(t, o.must(1, "verify_read -P 0xdeadbeef"), "damaged"); e.Checked != 64<<10 ||
			e.HeadersOnly != 0 {
			t.Errorf("%s with its pattern: %+v", kind, e)
		}
	}
}

// A verification of nothing is no success, and neither is a job that has no room for a block.
func TestNothingIsNoSuccess(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open mem:64k")
	for _, c := range []struct {
		line, kind string
		status     int
	}{
		{"verify_read --holes", "nothing_verified", 1},
		{"verify_read -t pattern -P 1 0 100", "nothing_verified", 1},
		{"verify_read -t null", "nothing_verified", 1},
		{"verify_read -t crc32c --exact 0 4095", "nothing_verified", 1},
		{"verify_write 0 10", "bad_value", 2},
		{"verify_write 0 4095", "bad_value", 2},
		{"verify_write -b 128k", "bad_value", 2},
		{"verify_write -t any", "conflict", 2},
	} {
		find(t, o.must(c.status, c.line), c.kind)
	}
	for i, b := range o.content() {
		if b != 0 {
			t.Fatalf("something was written at %d", i)
		}
	}
	name := filepath.Join(t.TempDir(), "small.fio")
	job := "[small]\nrw=write\nbs=4k\nsize=4095\nverify=crc32c\nverify_state_save=0\n[large]\nrw=write\nsize=32k\nverify=md5\nverify_state_save=0\n"
	if err := os.WriteFile(name, []byte(job), 0o666); err != nil {
		t.Fatal(err)
	}
	find(t, o.must(2, "verify_job --section small "+name), "bad_value")
	o.must(0, "verify_job --section large "+name)
	find(t, o.must(2, "verify_job --read "+name), "bad_value")
}

// What is to be written must have a type, however the job is told.
func TestAnyTypeIsForReading(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open mem:64k")
	name := filepath.Join(t.TempDir(), "any.fio")
	if err := os.WriteFile(name, []byte("[a]\nrw=write\nverify=any\nverify_state_save=0\n"),
		0o666); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"verify_write -t any", "verify_write -o verify=any",
		"verify_job " + name,
	} {
		o.must(2, line)
	}
	for i, b := range o.content() {
		if b != 0 {
			t.Fatalf("something was written at %d", i)
		}
	}
	o.must(0, "verify_write")
	o.must(0, "verify_read -t any")
	o.must(0, "verify_job --read "+name)
}

// The length of blocks that was asked for is not passed over in silence where they have another.
func TestOtherBlockLength(t *testing.T) {
	o := newObjects(t)
	o.must(0, "open mem:1M")
	o.must(0, "verify_write -b 64k")
	if e := find(t, o.must(0, "verify_read -b 4k"), "job_note"); e.Option != "-b" {
		t.Errorf("%+v", e)
	}
	for _, line := range []string{"verify_read", "verify_read -b 64k"} {
		for _, e := range o.must(0, line) {
			if e.Kind == "job_note" {
				t.Errorf("%s: %+v", line, e)
			}
		}
	}
}

// A file that ends within a sector has no blocks behind its end, and one that lost the end of its
// last block is damaged.
func TestEndWithinSector(t *testing.T) {
	name := filepath.Join(t.TempDir(), "odd")
	o := newObjects(t)
	o.must(0, "open mem:64k")
	o.must(0, "verify_write -b 64 -t crc32c 0 768")
	blocks := o.content()[:64<<10]
	for _, size := range []int{256, 64, 576} {
		if err := os.WriteFile(name, blocks[:size], 0o666); err != nil {
			t.Fatal(err)
		}
		o.must(0, "open -a odd -r -o driver=raw "+name)
		o.must(0, "use odd")
		if e := find(t, o.must(0, "verify_read"), "verdict"); e.Blocks != int64(size/64) ||
			e.Checked != int64(size) {
			t.Errorf("%d bytes: %+v", size, e)
		}
		o.must(0, "close")
	}
	o.must(0, "verify_write -t meta")
	blocks = o.content()
	for _, lost := range []int{1, 100, 511, 600} {
		if err := os.WriteFile(name, blocks[:len(blocks)-lost], 0o666); err != nil {
			t.Fatal(err)
		}
		o.must(0, "open -a odd -r -o driver=raw "+name)
		o.must(0, "use odd")
		if e := find(t, o.must(1, "verify_read"), "damaged"); e.Bad != 1 ||
			e.Classes["cut-off"] != 1 {
			t.Errorf("%d bytes lost: %+v", lost, e)
		}
		o.must(0, "close")
	}
}

// Where several images are open, the verdict names the one that it is about; what was dumped is
// told.
func TestVerdictNames(t *testing.T) {
	dir := t.TempDir()
	o := newObjects(t)
	o.must(0, "open -a one mem:64k")
	o.must(0, "open -a two mem:64k")
	job := filepath.Join(dir, "two.fio")
	if err := os.WriteFile(job,
		[]byte("[j]\nfilename=one:two\nrw=write\nsize=128k\nverify=crc32c\nverify_state_save=0\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.must(0, "verify_job --write "+job)
	o.must(0, "use two")
	o.must(0, "write -q -z 8k 4k")
	list := o.must(1, fmt.Sprintf("verify_job --read --dump %s %s", filepath.Join(dir, "bad"), job))
	if e := find(t, list, "verdict"); e.File != "one" {
		t.Errorf("%+v", e)
	}
	if e := find(t, list, "damaged"); e.File != "two" {
		t.Errorf("%+v", e)
	}
	if e := find(t, list, "dumped"); e.Blocks != 1 || !strings.HasSuffix(e.Dir, "bad") ||
		e.Prefix != "two" {
		t.Errorf("%+v", e)
	}
	if _, err := os.Stat(filepath.Join(dir, "bad", "two.8192.received")); err != nil {
		t.Error(err)
	}
}
