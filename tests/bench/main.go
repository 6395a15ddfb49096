// Command bench measures the shell against fio and prints tables in Markdown.
//
//	go run ./tests/bench                 all tables, as the README has them
//	go run ./tests/bench -rounds 3 -size 256 -types crc32c,sha256
//	go run ./tests/bench -only verify -engine io_uring -size 256 -types crc32c,crc7
//	go run ./tests/bench -only qcow2 -depths 1,32
//	go run ./tests/bench -only durable -depths 1,32 -size 256
//	go run ./tests/bench -only nbd -size 512 -rounds 3 -rows 'depth 16|copy'
//	CEPH_CONF=ceph.conf go run ./tests/bench -only rbd -image rbd/scratch
//
// Every figure is the median of some rounds, in which the two programs take turns, so that what
// else the machine does meets both. Programs run on one processor. Blocks that tell whether they
// are intact lie in a file in memory (-engine io_uring: on a disk), and what counts is processor
// time, user and system, of the whole process; those of 4 KiB are measured by requests of 4 KiB, as
// fio makes them, and again with neighbours merged. Loads are measured by requests a second, on a
// file in the page cache and, with O_DIRECT, on a disk. Durable writes are set beside
// qemu-img bench, too. Loads on qcow2 images are set beside qemu-img bench and qemu-io, by the time
// they take. Loads on NBD exports, and copies to and from them, are set beside those of qemu-img,
// fio, qemu-io and nbdcopy, and our server beside nbdkit and qemu-nbd. Loads on an image in a Ceph
// cluster, which they overwrite, are set beside fio and rbd bench.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// bench is what all measurements share.
type bench struct {
	blksh, fio string // the programs
	dir        string // in memory
	disk       string // a directory on a disk
	rounds     int
	engine     string // of the table of blocks: psync or io_uring
	size       int64  // bytes of the file
	cpu        string
	all        string // the processors, as taskset takes them
	seconds    int    // of a load
	rows       *regexp.Regexp
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	b := &bench{}
	flag.IntVar(&b.rounds, "rounds", 7, "how often each figure is measured")
	flag.StringVar(&b.cpu, "cpu", strconv.Itoa(runtime.NumCPU()-1),
		"the processor that programs run on; the first may have interrupts to serve")
	flag.StringVar(&b.dir, "memory", "/dev/shm", "a directory in memory")
	flag.StringVar(&b.disk, "disk", os.TempDir(), "a directory on a disk, for O_DIRECT")
	flag.IntVar(&b.seconds, "seconds", 3, "how long a load lasts")
	size := flag.Int64("size", 1024,
		"MiB of the file; for checksums that take long a quarter of it")
	flag.StringVar(&b.engine, "engine", "psync",
		"psync or io_uring: how both programs read and write blocks that tell whether they are intact")
	types := flag.String("types",
		"crc32c,crc32c-intel,crc32,crc64,crc16,crc7,xxhash,md5,sha1,sha256,sha512,sha3-224,sha3-256,sha3-384,sha3-512,meta,pattern,pattern_hdr,null",
		"checksums to measure")
	gaining := flag.String("gaining", "crc32,crc64,crc16,crc7,sha256",
		"checksums to measure on two processors")
	blocks := flag.String("blocks", "4k,1m", "block sizes to measure")
	depths := flag.String("depths", "1,32,128", "depths of loads to measure")
	only := flag.String("only", "", "verify, gain, load, durable, qcow2, nbd or rbd: only that table")
	image := flag.String("image", "", "POOL/IMAGE for rbd, which is overwritten")
	flag.StringVar(&b.fio, "fio", "fio", "the fio to measure against")
	rows := flag.String("rows", "",
		"a regular expression: only rows of the tables of qcow2 and nbd that match")
	flag.Parse()
	b.size, b.all = *size<<20, fmt.Sprint("0-", runtime.NumCPU()-1)
	var err error
	if b.rows, err = regexp.Compile(*rows); err != nil {
		return err
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer os.RemoveAll(b.disk)
	b.describe()
	switch *only {
	case "qcow2":
		return b.qcow2(split(*depths))
	case "rbd":
		return b.rbd(*image)
	case "nbd":
		return b.nbd()
	case "durable":
		return b.durable(split(*depths))
	}
	for _, table := range []struct {
		name  string
		print func() error
	}{
		{"verify", func() error { return b.verification(split(*types), split(*blocks)) }},
		{"gain", func() error { return b.gains(split(*gaining), split(*blocks)) }},
		{"load", func() error { return b.loads(split(*depths)) }},
	} {
		if *only == "" || *only == table.name {
			if err := table.print(); err != nil {
				return err
			}
		}
	}
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// prepare finds fio, builds the shell, and makes directories of its own.
func (b *bench) prepare() (err error) {
	if b.fio, err = exec.LookPath(b.fio); err != nil {
		return fmt.Errorf("%w: it is in the Debian package fio", err)
	}
	if b.dir, err = os.MkdirTemp(b.dir, "blksh-bench."); err != nil {
		return err
	}
	if b.disk, err = os.MkdirTemp(b.disk, "blksh-bench."); err != nil {
		return err
	}
	b.blksh = filepath.Join(b.disk, "blksh")
	if out, err := exec.Command("go", "build", "-o", b.blksh,
		"./cmd/blksh").CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./cmd/blksh: %w\n%s", err, out)
	}
	return nil
}

// describe says what was measured on.
func (b *bench) describe() {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok &&
				strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	version, _ := exec.Command(b.fio, "--version").Output()
	fmt.Printf("%s, %d processors, Linux %s, %s, %s, %s; load at the beginning %s; medians of %d rounds.\n\n", model, runtime.NumCPU(),
		strings.TrimSpace(string(kernel)), strings.TrimSpace(string(version)), runtime.Version(),
		time.Now().Format(time.DateOnly), first, b.rounds)
}
