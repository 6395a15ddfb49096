package job

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/verify/fio"
)

// A fioPeer is the fio that these tests run, and how it writes.
type fioPeer struct {
	path    string
	release fio.Release
}

// findFio finds the peer of these tests: the fio that BLKSH_FIO names, or the one on the path.
func findFio(t *testing.T) fioPeer {
	name := os.Getenv("BLKSH_FIO")
	if name == "" {
		name = "fio"
	}
	path := blockdevtest.Peer(t, name, "fio")
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "fio-%d.%d", &major, &minor); err != nil {
		t.Fatalf("%s --version: %q: %v", path, out, err)
	}
	switch {
	case major == 3 && minor >= 41:
		return fioPeer{path, fio.Fio342}
	case major == 3 && minor >= 32 && minor <= 34:
		return fioPeer{path, fio.Fio333}
	}
	t.Skipf("%s is fio %d.%d, which writes like no release that is known", path, major, minor)
	return fioPeer{}
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
	"--rw=write --bs=4k --number_ios=10 --loops=2",
	"--rw=randwrite --bs=512 --random_generator=lfsr --loops=2",
	"--rw=randrw --bs=4k --rwmixread=30",
	"--rw=rw --bs=4k --rwmixread=70",
	"--rw=rw --bs=512 --rwmixread=30 --offset=8k",
	"--rw=randrw --bsrange=1k-8k --rwmixread=60 --random_generator=tausworthe64",
	"--rw=rw --bsrange=1k-8k --rwmixread=60",
	"--rw=randrw --bs=512 --rwmixread=50 --random_generator=lfsr",
	"--rw=randrw --bs=1k --number_ios=100",
	"--rw=rw --bs=4k --loops=2",
	"--rw=write --bsrange=1k-8k --randseed=5 --loops=2",
	"--rw=randwrite --bs=5k --norandommap --loops=2",
	"--rw=randwrite --bs=4k --number_ios=30 --loops=2",
}

// orderKinds differ in the order of their requests.
var orderKinds = []string{
	"--rw=write:4k --bs=4k",
	"--rw=write:8k --bs=4k --offset=8k",
	"--rw=write:-8k --bs=4k",
	"--rw=randwrite:4 --bs=4k",
	"--rw=randrw:3 --bs=2k",
	"--rw=randwrite --bs=4k --percentage_random=60",
	"--rw=randrw --bs=1k --percentage_random=100,50",
	"--rw=write --bs=4k --zonemode=strided --zonesize=16k --zoneskip=16k",
	"--rw=write --bs=4k --zonemode=strided --zonesize=32k --zonerange=16k --zoneskip=8k",
	"--rw=randwrite --bs=1k --random_distribution=zipf",
	"--rw=randwrite --bs=1k --random_distribution=zipf:1.3",
	"--rw=randwrite --bs=1k --random_distribution=zipf:0.7:0.3",
	"--rw=randwrite --bs=1k --random_distribution=pareto:0.3",
	"--rw=randwrite --bs=1k --random_distribution=normal:20",
	"--rw=randwrite --bs=1k --random_distribution=normal:10:0.8",
	"--rw=randwrite --bs=1k --random_distribution=zoned:60/10:30/20:10/70",
	"--rw=randrw --bs=1k --random_distribution=zipf --loops=2",
	"--rw=write --bs=4k --io_size=64k",
	"--rw=randwrite --bs=4k --io_size=64k",
	"--rw=randwrite --bs=4k --io_size=500k",
	"--rw=write --bs=4k --io_size=500k",
	"--rw=randwrite --bs=4k --norandommap --io_size=500k",
	"--rw=randrw --bs=4k,8k",
	"--rw=randrw --bs=8k,2k",
	"--rw=rw --bs=2k,8k",
	"--rw=randwrite --bs=4k,8k",
	"--rw=randrw --bs=,8k",
	"--rw=randrw --bsrange=1k-4k,2k-8k",
	"--rw=randrw --bssplit=1k/50:4k/50,2k/20:8k/80",
	"--rw=randrw --bs=4k,8k --verify_interval=1k",
}

// shortKinds go over their range again after they were verified, for they have moved too little.
// Of rw=rw:8k fio 3.33 takes its own blocks for bad ones.
var shortKinds = []string{
	"--rw=write:8k --bs=4k",
	"--rw=write:16k --bs=4k --offset=8k",
	"--rw=write --bs=4k --zonemode=strided --zonesize=16k --zoneskip=48k",
	"--rw=rw --bs=2k,8k",
}

// kindsOf342 are kinds that only new releases have.
var kindsOf342 = []string{
	"--rw=write --bs=8k --verify_pattern=%o0xab --verify_pattern_interval=1k",
	"--rw=write --bs=8k --verify_pattern=%o0xab --verify_pattern_interval=512 --verify_interval=2k",
	"--rw=write --bs=4k --verify_pattern=\"x\" --verify_offset=1000",
}

// cases are command lines of fio; the short tier takes a slice of them, for fio
// takes half a second to start.
func (f fioPeer) cases() (list []string) {
	const slice = 4
	short := !blockdevtest.Thorough()
	moreKinds := moreKinds
	if f.release == fio.Fio342 {
		moreKinds = slices.Concat(moreKinds, kindsOf342)
	}
	for i, name := range fio.Types() {
		if name == fio.TypeAny || name == "pattern_hdr" && f.release < fio.Fio342 {
			continue
		}
		for k, kind := range kinds {
			if short && (i%slice != 0 || (i+k)%len(kinds) != 0) {
				continue
			}
			if strings.HasPrefix(name, "pattern") && !strings.Contains(kind, "pattern") {
				kind += " --verify_pattern=0xdeadbeef"
			}
			list = append(list, kind+" --verify="+name)
		}
	}
	for i, kind := range orderKinds {
		if !short || i%slice == 1 {
			list = append(list, kind+" --verify=crc32c")
		}
	}
	for i, kind := range moreKinds {
		if !short || i%slice == 0 {
			list = append(list, kind+" --verify=crc32c", kind+" --verify=meta")
		}
	}
	return list
}

// options are those of a command line.
func (f fioPeer) options(t *testing.T, line string) fio.Options {
	o := fio.DefaultOptions()
	o.Fio = f.release
	for _, word := range strings.Fields(line) {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		if _, err := o.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// disowns says why fio takes even its own blocks for bad ones, if it does.
func (f fioPeer) disowns(line string) string {
	mixed := strings.Contains(line, "randrw") || strings.Contains(line, "--rw=rw")
	for _, d := range []struct {
		what  string
		mixed bool // only of jobs that read as well
		why   string
	}{
		{"lfsr", true, "the register takes another step when it is replayed"},
		{"verify_backlog", true, "reads of a backlog take from the draws of the job"},
		{"randrw:", true, "seeds are compared of blocks that were written again"},
		{"random_distribution", true, "seeds are compared of blocks that were written again"},
		{"percentage_random", false, "seeds are compared of blocks that were written again"},
		{"norandommap", true, "seeds are compared of blocks that were written again"},
	} {
		if f.release == fio.Fio333 && (mixed || !d.mixed) && strings.Contains(line, d.what) {
			return "fio 3.33 takes its own blocks for bad ones: " + d.why
		}
	}
	return ""
}

// drawLine makes a job of any order, sizes and length that the two have in common.
func drawLine(t *rapid.T) string {
	pick := func(name string, list ...string) string {
		return rapid.SampledFrom(list).Draw(t, name)
	}
	rw := pick("rw", "write", "randwrite", "rw", "randrw")
	sizes := []string{
		" --bs=4k", " --bs=1k", " --bs=512", " --bsrange=1k-8k",
		" --bssplit=1k/30:4k/50:8k/20",
	}
	random := strings.HasPrefix(rw, "rand")
	// fio draws places in units of one size and makes requests of the other, and loses itself when
	// it replays them
	if !random {
		sizes = append(sizes, " --bs=2k,8k")
	}
	line := "--rw=" + rw + pick("sizes", sizes...) +
		pick("verify", " --verify=crc32c", " --verify=md5", " --verify=crc64", " --verify=xxhash",
			" --verify=sha1") +
		pick("more", "", "", " --loops=2", " --number_ios=23", " --io_size=100k",
			" --verify_backlog=8", " --randseed=77", " --offset=16k")
	if random {
		line += pick("order", "", "", " --percentage_random=70", " --random_distribution=zipf:1.2",
			" --random_distribution=normal:25", " --norandommap")
	}
	return line
}

// Each side finds what the other wrote intact, whatever the job.
func TestInteropDraws(t *testing.T) {
	peer := findFio(t)
	if blockdevtest.Tier() < 2 {
		t.Skip("fio takes half a second to start")
	}
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		line := drawLine(rt) + interopSize
		o := peer.options(t, line)
		theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
		o.Filenames = []string{theirs}
		more := ""
		if peer.disowns(line) != "" {
			more, o.DoVerify = "--do_verify=0", false
		}
		if _, err := New(o, Hooks{}); err != nil {
			rt.Skip(err)
		}
		_ = os.Remove(theirs)
		peer.run(rt, line, more, theirs)
		f, err := os.Open(theirs)
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		bad := ""
		if r := run(rt, f, o,
			Hooks{Bad: func(b *Bad) { bad = fmt.Sprintf("%d: %v", b.Off, b.Cause) }},
			doVerify); !r.Good() || r.Blocks == 0 {
			rt.Fatalf("%s: %+v: %s", line, r, bad)
		}
		if more != "" {
			return
		}
		g, err := os.Create(ours)
		if err != nil {
			rt.Fatal(err)
		}
		defer g.Close()
		if err := g.Truncate(o.Offset + o.Size); err != nil {
			rt.Fatal(err)
		}
		o.Filenames = []string{ours}
		run(rt, g, o, Hooks{}, doWrite)
		peer.run(rt, strings.ReplaceAll(line, "--loops=2", ""), "--verify_only", ours)
	})
}

// verification are the options to verify what was written here: with all checks
// of a header, unless fio's own blocks fail them.
func (f fioPeer) verification(line string) string {
	if f.release < fio.Fio342 || strings.Contains(line, "norandommap") ||
		strings.Contains(line, "loops") {
		return "--verify_only"
	}
	return "--verify_only --verify_header_seed=1 --verify_write_sequence=1"
}

func (f fioPeer) run(t rapid.TB, line, more string, files ...string) {
	args := append(strings.Fields(line+" "+more), "--name=job", "--thread", "--verify_state_save=0",
		"--ioengine=psync", "--clocksource=clock_gettime") // others it compares first, for long
	for _, file := range files {
		args = append(args, "--filename="+file)
	}
	cmd := exec.Command(f.path, args...)
	cmd.Dir = filepath.Dir(files[0])
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "verify") &&
		strings.Contains(string(out), "bad") {
		t.Errorf("fio %s %s: %v\n%s", line, more, err, out)
	}
}

const interopSize = " --size=192k"

// What fio wrote is found to be exactly what its job writes.
func TestInteropReads(t *testing.T) {
	peer := findFio(t)
	peer.reads(t, peer.cases(), " --do_verify=0")
	for i, kind := range shortKinds {
		if blockdevtest.Sampled(i, 3) {
			peer.reads(t, []string{kind + " --verify=md5"}, "")
		}
	}
}

func (f fioPeer) reads(t *testing.T, lines []string, more string) {
	peer := f
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "image")
			line += interopSize + more
			peer.run(t, line, "", name)
			f, err := os.Open(name) // not before: fio makes another file
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			o := peer.options(t, line)
			o.Content, o.Filenames = fio.ContentOn, []string{name}
			var bad string
			r := run(t, f, o,
				Hooks{Bad: func(b *Bad) { bad = fmt.Sprintf("%d: %v", b.Off, b.Cause) }},
				doVerify)
			if !r.Good() || !r.Done || r.Blocks == 0 || r.ContentMismatches > 0 {
				t.Errorf("%s: %+v: %s", line, r, bad)
			}
		})
	}
}

// What is written here fio takes for its own.
func TestInteropWrites(t *testing.T) {
	peer := findFio(t)
	for i, line := range peer.cases() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			if why := peer.disowns(line); why != "" {
				t.Skip(why)
			}
			o := peer.options(t, line+interopSize)
			o.DoVerify = false
			f := tempFile(t, o.Offset+o.Size)
			o.Filenames = []string{f.Name()}
			run(t, f, o, Hooks{}, doWrite)
			once := strings.ReplaceAll(line, "--loops=2", "")
			peer.run(t, once+interopSize, peer.verification(line), f.Name())
		})
	}
}

// The files of one job take turns.
func TestInteropReadsFiles(t *testing.T) {
	peer := findFio(t)
	dir := t.TempDir()
	line := "--rw=randwrite --bs=4k --verify=md5" + interopSize
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	peer.run(t, line, "--do_verify=0", a, b)
	o := peer.options(t, line)
	o.Filenames = []string{a, b}
	for i, name := range o.Files() {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		o.File = i
		if r := run(t, f, o, Hooks{}, doVerify); !r.Good() || r.Checked != o.Size/2 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// loopDevice makes a block device of n zero bytes.
func loopDevice(t *testing.T, n int64) string {
	if os.Getuid() != 0 {
		t.Skip("needs root for a loop device")
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show",
		tempFile(t, n).Name()).CombinedOutput()
	if err != nil {
		if blockdevtest.Tier() >= 2 {
			t.Fatalf("losetup of Debian's package mount: %v: %s", err, out)
		}
		t.Skipf("needs losetup of Debian's package mount and a loop device: %v: %s", err, out)
	}
	name := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", name).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", name, err, out)
		}
	})
	return name
}

// What one side trims the other wants to be zeroes.
func TestInteropTrims(t *testing.T) {
	peer := findFio(t)
	if peer.release < fio.Fio342 {
		t.Skip("fio 3.33 aborts where it trims what it verifies")
	}
	line := "--rw=randwrite --bs=4k --verify=crc32c --size=1m --trim_percentage=50 --trim_backlog=16"
	name := loopDevice(t, 1<<20)
	peer.run(t, line, "", name)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r := run(t, f, peer.options(t, line), Hooks{}, doVerify); !r.Good() || r.Blocks == 0 {
		t.Errorf("%+v", r)
	}
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	if r := run(t, f, peer.options(t, line), Hooks{}, doWrite); r.Trimmed == 0 {
		t.Errorf("%+v", r)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	peer.run(t, line, "--verify_only", name)
}

// Every option of fio and of its engines has a row in the table.
func TestTableIsComplete(t *testing.T) {
	peer := findFio(t)
	lists := func(arg string) []string {
		// It fails for an engine that is not installed, and lists nothing.
		out, _ := exec.CommandContext(t.Context(), peer.path, arg).Output()
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	lines := lists("--cmdhelp=all")
	if len(lines) < 200 {
		t.Fatalf("fio lists only %d options", len(lines))
	}
	for i, engine := range lists("--enghelp")[1:] {
		if blockdevtest.Sampled(i, 8) {
			lines = append(lines, lists("--enghelp="+strings.TrimSpace(engine))...)
		}
	}
	for _, line := range lines {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(line, ": ") { // said of an engine without options
			continue
		}
		o := fio.DefaultOptions()
		if _, err := o.Set(strings.TrimSuffix(name, ":"), ""); err != nil &&
			strings.Contains(err.Error(), "none of that name") {
			t.Error(err)
		}
	}
}
