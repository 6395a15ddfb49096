package tests

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// A subject is a kind of image that random command lines are tried on. The image is made once, and
// both shells get a copy of its folder: names in it are relative.
type subject struct {
	name string
	// make are command lines of sh that make the image "disk"; $SIZE is its length, $BLKSH ours.
	make []string
	// open are the words of qemu-io and of qemu-img that open it, and source what is opened; "" is
	// the image by its name.
	open   []string
	source string
	// layout: the same clusters must be at the same places of the file.
	layout bool
	// first comes before the commands that are drawn.
	first []string
	// slow: a key is derived for each image, so it is left to longer tiers.
	slow bool
	// compresses: the format takes write -c.
	compresses bool
	// ends is what lengths are made of, in bits. An image that is made shorter inside a cluster and
	// longer again has its old bytes again in the original, and zeroes in ours.
	ends int
	// least is the shortest length that truncate gives the image, in bytes.
	least int64
	// after are command lines of sh whose output must be the same too.
	after []string
}

// secretObject is what encrypted images need.
const secretObject = "--object secret,id=s,data=abc"

// subjects are what shall be alike. An image without an open of its own is opened by its format.
var subjects = slices.Concat(
	[]subject{
		{name: "raw", make: []string{"qemu-img create -q -f raw disk $SIZE"}, open: words("-f raw")},
		{name: "vdi", make: []string{"qemu-img create -q -f vdi disk $SIZE"}, open: words("-f vdi")},
		backed("backed", ""), backed("backed small clusters", "-o cluster_size=4k"),
		backed("backed extended", "-o extended_l2=on"),
		plainQcow2("with snapshots", "", "qemu-io -f qcow2 -c 'write -P 0x11 0 1M' disk",
			"qemu-img snapshot -c one disk", "qemu-io -f qcow2 -c 'write -P 0x22 512k 512k' disk",
			"qemu-img snapshot -c two disk"),
		plainQcow2("data file", "-o data_file=data"),
		plainQcow2("raw data file", "-o data_file=data,data_file_raw=on"),
		plainQcow2("data file, small clusters", "-o data_file=data,cluster_size=4k"),
		{
			name: "luks", slow: true, open: words(secretObject + " --image-opts"),
			source: "driver=luks,key-secret=s,file.filename=disk",
			make: []string{"$BLKSH " + secretObject +
				" create -f luks -o key-secret=s,iter-time=10 disk $SIZE"},
		},
		encryptedQcow2("luks", ",encrypt.iter-time=10"), encryptedQcow2("aes", ""),
		encryptedQcow2("luks", ",encrypt.iter-time=10,cluster_size=4k"),
		bitmapped("bitmaps", ""), bitmapped("bitmaps, small clusters", "-o cluster_size=4k"),
	},
	qcow2Options("", "compat=0.10", "cluster_size=4k", "cluster_size=2M", "lazy_refcounts=on",
		"extended_l2=on",
		"preallocation=metadata", "refcount_bits=1", "refcount_bits=64", "compression_type=zstd"),
)

// words are the words of a line without quotes.
func words(line string) []string { return strings.Fields(line) }

// plainQcow2 is a qcow2 image of some options, to which something was done.
func plainQcow2(name, options string, then ...string) subject {
	return subject{
		name: "qcow2 " + name, layout: true, compresses: true, open: words("-f qcow2"),
		make: append([]string{"qemu-img create -q -f qcow2 " + options + " disk $SIZE"}, then...),
	}
}

func qcow2Options(options ...string) []subject {
	var all []subject
	for _, o := range options {
		given := ""
		if o != "" {
			given = "-o " + o
		}
		s := plainQcow2(o, given)
		// A write of several clusters that fails at one of them leaves the others as it happens.
		s.compresses = o != "cluster_size=4k"
		if o == "cluster_size=2M" {
			s.ends = 21
		}
		all = append(all, s)
	}
	return all
}

// backed is a qcow2 image above another that is written in its first half.
func backed(name, options string) subject {
	s := plainQcow2(name, options)
	s.compresses = false
	s.make = []string{
		"qemu-img create -q -f qcow2 back $SIZE",
		"qemu-io -f qcow2 -c \"write -P 0x77 0 $((SIZE / 2))\" back",
		"qemu-img create -q -f qcow2 " + options + " -b back -F qcow2 disk $SIZE",
	}
	return s
}

// encryptedQcow2 is an encrypted qcow2 image. Ours makes it: qemu-img gives up where it cannot
// measure how long a key takes.
func encryptedQcow2(format, options string) subject {
	s := plainQcow2(format+" "+options, "")
	s.make = []string{"$BLKSH " + secretObject + " create -f qcow2 -o encrypt.format=" + format +
		",encrypt.key-secret=s" + options + " disk $SIZE"}
	// what is compressed is stored in the clear, which ours refuses
	s.slow, s.compresses = true, false
	s.open, s.source = words(secretObject+" --image-opts"),
		"driver=qcow2,encrypt.key-secret=s,file.filename=disk"
	return s
}

// bitmapped is a qcow2 image with an enabled and a disabled bitmap, whose flags and places are
// looked at afterwards.
func bitmapped(name, options string) subject {
	s := plainQcow2(name, options, "qemu-img bitmap --add disk on",
		"qemu-img bitmap --add -g 512 disk fine",
		"qemu-img bitmap --add disk off", "qemu-img bitmap --disable disk off")
	s.least = 512 // bitmaps of an empty image are lost, which qemu-io tells with a random number
	// qemu-io stores bitmaps also where nothing changes.
	s.first = []string{"write 0 1"}
	s.after = []string{"qemu-img info disk | sed -n '/bitmaps/,/refcount/p'"}
	return s
}

// slowness is how many turns of other subjects one of a slow subject takes.
const slowness = 6

// TestDiffers runs random command lines with the installed qemu-io and with ours. What both say and
// what is then in the images must be the same, and ours must be sound. BLKSH_SEED is the first seed
// of its turns, BLKSH_TURNS how many command lines each subject gets.
func TestDiffers(t *testing.T) {
	t.Parallel()
	ref := reference(t)
	turns := number(t, "BLKSH_TURNS", blockdevtest.Rounds(1, 6, 60))
	seed := number(t, "BLKSH_SEED", 1)
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			turns := turns
			if s.slow {
				turns /= slowness
			}
			if turns == 0 {
				t.Skip("takes a while")
			}
			for turn := range turns {
				differ(t, ref, s, uint64(seed+turn))
			}
		})
	}
}

// number is that of the environment.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// differ is one turn: both programs get the same line.
func differ(t *testing.T, ref program, s subject, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, uint64(len(s.name))))
	d := drawn{
		Rand: r, unit: []int64{512, 512, 4096, 65536, 1}[r.IntN(5)],
		size: []int64{1 << 20, 4 << 20, 64 << 20}[r.IntN(3)], compresses: s.compresses,
		ends: max(s.ends, 16), least: s.least,
	}
	made := t.TempDir()
	for _, line := range s.make {
		given := fmt.Sprintf("SIZE=%d; BLKSH=%s; ", d.size, asBlksh.path)
		if out, err := sh(made, given+line); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	commands := d.commands()
	args := slices.Concat(s.open,
		[][]string{nil, nil, {"-n"}, {"-t", "writeback"}, {"-d", "unmap"}}[r.IntN(5)])
	for _, c := range slices.Concat(s.first, commands) {
		args = append(args, "-c", c)
	}
	args = append(args, s.opened())
	var answers [2]answer
	var left [2]string
	for i, p := range []program{ref, asQemuIO.as("qemu-7.2")} {
		dir := filepath.Join(t.TempDir(), "d")
		if out, err := exec.Command("cp", "-r", "--sparse=always", made,
			dir).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
		var err error
		if answers[i], err = p.run(run{dir: dir, args: args}); err != nil {
			t.Fatal(err)
		}
		f := filter{}
		answers[i].stdout, answers[i].stderr = f.text(answers[i].stdout), f.text(answers[i].stderr)
		left[i] = leaves(t, s, dir)
		if i == 1 {
			same(t, s, filepath.Dir(dir), answers, left, fmt.Sprintf("seed %d: %q", seed, args))
		}
		defer os.RemoveAll(dir)
	}
}

// opened is what stands for the image "disk" in a command line.
func (s subject) opened() string { return cmp.Or(s.source, "disk") }

// leaves is what the image tells of itself afterwards: its guest data, its map, what the subject
// asks for, and what a check of it finds.
func leaves(t *testing.T, s subject, dir string) string {
	t.Helper()
	lines := slices.Clone(s.after)
	open := strings.Join(s.open, " ")
	lines = append(lines,
		"qemu-img convert "+open+" -O raw "+s.opened()+" guest && sha256sum guest && rm guest")
	if s.layout {
		// Zeroes that go with a cluster may be a hole of the file, which each program decides.
		lines = append(lines, "stat -c %s *",
			"for f in *; do cp --sparse=never $f full && mv full $f; done",
			"qemu-img map --output=json "+open+" "+s.opened())
	}
	if strings.Contains(open+s.opened(), "qcow2") {
		lines = append(lines, "qemu-img check "+open+" "+s.opened()+" | head -n 1")
	}
	var b strings.Builder
	for _, line := range lines {
		out, err := sh(dir, line)
		fmt.Fprintf(&b, "$ %s\n%s%v\n", line, out, err)
	}
	return b.String()
}

// sh runs a line of the shell with the installed programs.
func sh(dir, line string) (string, error) {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// same wants equal answers and equal images.
func same(t *testing.T, s subject, dir string, answers [2]answer, left [2]string, what string) {
	t.Helper()
	for _, part := range []struct{ name, want, got string }{
		{"status", answers[0].status, answers[1].status},
		{"stdout", answers[0].stdout, answers[1].stdout},
		{"stderr", answers[0].stderr, answers[1].stderr},
		{"image", left[0], left[1]},
	} {
		if part.want != part.got {
			t.Errorf("%s, %s\n%s of the original\n%s\nof ours\n%s", s.name, what, part.name,
				part.want, part.got)
			return
		}
	}
}

// drawn draws commands on an image of size bytes, whose requests are made of whole units.
type drawn struct {
	*rand.Rand
	unit, size int64
	compresses bool
	ends       int
	least      int64
}

// commands are some. Requests in the background are waited for, as their order is open.
func (d *drawn) commands() []string {
	var all []string
	for range 3 + d.IntN(22) {
		c := d.command()
		all = append(all, c)
		if strings.HasPrefix(c, "aio_") {
			all = append(all, "aio_flush")
		}
	}
	return all
}

// number is an offset or a length below most, as a person types it.
func (d *drawn) number(most int64) string {
	n := d.Int64N(most/d.unit) * d.unit
	switch {
	case n > 0 && n%(1<<20) == 0 && d.IntN(2) == 0:
		return fmt.Sprintf("%d%c", n>>20, "mM"[d.IntN(2)])
	case n > 0 && n%1024 == 0 && d.IntN(2) == 0:
		return fmt.Sprintf("%d%c", n>>10, "kK"[d.IntN(2)])
	case d.IntN(7) == 0:
		return fmt.Sprintf("%#x", n)
	}
	return strconv.FormatInt(n, 10)
}

// one is one of some words.
func (d *drawn) one(words ...string) string { return words[d.IntN(len(words))] }

// command draws one. Some reach past the end.
func (d *drawn) command() string {
	off, n := d.number(d.size+d.size/8), d.number(1<<20)
	if n == "0" && d.IntN(10) > 0 {
		n = strconv.FormatInt(d.unit*int64(1+d.IntN(63)), 10)
	}
	pattern := " -P " + d.one("0", "0xa5", "17", "0xff", "205", "0x01") + " "
	quiet := d.one("", "", "", " -q", " -C")
	several := " " +
		off + strings.Repeat(" "+strconv.FormatInt(d.unit*int64(1+d.IntN(15)), 10), 1+d.IntN(4))
	range1 := " " + off + " " + n
	kinds := []struct {
		weight int
		line   string
	}{
		{6, "write" + quiet + pattern + off + " " + n},
		{6, "read" + quiet + range1},
		{3, "read" + quiet + pattern + off + " " + n},
		{2, "write" + quiet + " -z" + range1},
		{1, "write" + quiet + " -zu" + range1},
		{2, "discard" + quiet + range1},
		{1, "write" + quiet + " -f" + pattern + off + " " + n},
		{1, fmt.Sprintf("read -P 0 -s %d -l %d %s %d", d.IntN(1024), d.IntN(1024), off, 1+d.IntN(4095))},
		{1, fmt.Sprintf("read -v %s %d", off, 1+d.IntN(79))},
		{1, "writev" + quiet + pattern + strings.TrimPrefix(several, " ")},
		{1, "readv" + quiet + several},
		{1, "aio_write" + quiet + pattern + off + " " + n},
		{1, "aio_read" + quiet + range1},
		{1, "alloc" + range1},
		{1, "map"},
		{1, "length"},
		{1, "flush"},
		{1, "truncate " + strconv.FormatInt(
			max(d.least, d.Int64N(1+d.size>>d.ends)<<d.ends), 10)},
		{1, d.one("read", "read 0 1z", "write -P 256 0 512", "nosuch", "readv 0", "read 0 -1",
			"write -z -P 1 0 512",
			"read -P 1 -l 9999 0 512", "write -u 0 512", "truncate -1", "write -b -z 0 512")},
	}
	if d.compresses {
		kinds[0].weight++
		if d.IntN(24) == 0 {
			return fmt.Sprintf("write -c%s%d 64k", pattern, d.Int64N(d.size>>16)<<16)
		}
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := d.IntN(total)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			return k.line
		}
	}
	return "length"
}
