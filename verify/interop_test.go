package verify

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fioCommand is the path of fio, the peer of these tests.
func fioCommand(t *testing.T) string {
	path, err := exec.LookPath("fio")
	if err != nil {
		if os.Getenv("BLKSH_TIER") >= "2" {
			t.Fatal("fio is missing: install Debian's package fio")
		}
		t.Skip("needs Debian's package fio")
	}
	return path
}

// kinds are ways of writing blocks that differ in more than their type.
var kinds = []string{
	"--rw=write --bs=4k",
	"--rw=randwrite --bs=4k",
	"--rw=write --bs=8k --verify_interval=1k",
	"--rw=write --bs=4k --verify_offset=512",
	"--rw=write --bs=4k --verify_pattern=%o\"abc\"0x00ff",
	"--rw=randwrite --bsrange=1k-8k",
}

// moreKinds are tried with one type.
var moreKinds = []string{
	"--rw=randwrite --bs=4k --norandommap",
	"--rw=randwrite --bs=512 --random_generator=lfsr",
	"--rw=randwrite --bs=1k --random_generator=tausworthe64",
	"--rw=write --bsrange=1k-16k",
	"--rw=write --bs=1000 --verify_interval=250",
	"--rw=write --bs=4k --buffer_compress_percentage=30",
	"--rw=write --bs=4k --buffer_compress_percentage=100",
	"--rw=write --bs=4k --randseed=4711",
	"--rw=randwrite --bs=4k --allrandrepeat=1",
	"--rw=write --bs=4k --offset=64k",
	"--rw=randwrite --bs=4k --offset=64k",
	"--rw=write --bs=4k --loops=2",
	"--rw=randwrite --bssplit=1k/30:4k/50:8k/20",
}

// interopCases are command lines of fio; the short tier takes a slice of them,
// for fio takes half a second to start.
func interopCases() (list []string) {
	const slice = 4
	short := os.Getenv("BLKSH_TIER") < "2"
	for i, name := range Types() {
		if name == TypeAny || name == typeNull || name == "pattern_hdr" {
			continue
		}
		for k, kind := range kinds {
			if short && (i%slice != 0 || (i+k)%len(kinds) != 0) {
				continue
			}
			if name == typePattern && !strings.Contains(kind, "pattern") {
				kind += " --verify_pattern=0xdeadbeef"
			}
			list = append(list, kind+" --verify="+name)
		}
	}
	for i, kind := range moreKinds {
		if !short || i%slice == 0 {
			list = append(list, kind+" --verify=crc32c", kind+" --verify=meta")
		}
	}
	return list
}

// interopOptions are the options of a command line of fio 3.33.
func interopOptions(t *testing.T, line string) Options {
	o := DefaultOptions()
	o.Fio = Fio333
	for _, word := range strings.Fields(line) {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if _, err := o.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func fio(t *testing.T, command, line, more string, files ...string) {
	args := append(strings.Fields(line+" "+more), "--name=job", "--thread", "--verify_state_save=0", "--ioengine=psync")
	for _, file := range files {
		args = append(args, "--filename="+file)
	}
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Dir = filepath.Dir(files[0])
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "verify") && strings.Contains(string(out), "bad") {
		t.Errorf("fio %s %s: %v\n%s", line, more, err, out)
	}
}

const interopSize = " --size=192k"

// What fio wrote is found to be exactly what its job writes.
func TestReadsFio(t *testing.T) {
	command := fioCommand(t)
	for i, line := range interopCases() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "image")
			fio(t, command, line+interopSize, "--do_verify=0", name)
			f, err := os.Open(name) // not before: fio makes another file
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			o := interopOptions(t, line+interopSize)
			o.Content = ContentOn
			var bad string
			r := run(t, f, o, Hooks{Bad: func(b *Bad) { bad = fmt.Sprintf("%d: %v", b.Off, b.Cause) }}, (*Job).Verify)
			if !r.Good() || !r.Done || r.Blocks == 0 || r.Unfaithful > 0 {
				t.Errorf("%s: %+v: %s", line, r, bad)
			}
		})
	}
}

// What is written here fio takes for its own.
func TestWritesForFio(t *testing.T) {
	command := fioCommand(t)
	for i, line := range interopCases() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			o := interopOptions(t, line+interopSize)
			o.DoVerify = false
			f := tempFile(t, o.Offset+o.Size)
			run(t, f, o, Hooks{}, (*Job).Write)
			more := "--verify_only"
			if o.Loops > 1 {
				line = strings.ReplaceAll(line, "--loops=2", "")
			}
			fio(t, command, line+interopSize, more, f.Name())
		})
	}
}

// The files of one job take turns.
func TestReadsFioFiles(t *testing.T) {
	command := fioCommand(t)
	dir := t.TempDir()
	line := "--rw=randwrite --bs=4k --verify=md5" + interopSize
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	fio(t, command, line, "--do_verify=0", a, b)
	o := interopOptions(t, line)
	o.Filenames = []string{a, b}
	for i, name := range o.Files() {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		o.File = i
		if r := run(t, f, o, Hooks{}, (*Job).Verify); !r.Good() || r.Checked != o.Size/2 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
