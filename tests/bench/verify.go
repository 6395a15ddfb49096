package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// blocksRun is one pass over blocks that tell whether they are intact: what is measured.
type blocksRun struct {
	cpus        string
	kind, block string
	// how long requests may be that neighbours are merged into; "" for those of the job
	merge string
	phase string // write or verify
	size  int64  // bytes of the file
}

// mergeTo is the length of merged requests, for blocks that are smaller.
const mergeTo = "256k"

// cheap are the types that need the whole file to be measured: in a second a processor does a
// gigabyte or more. The others have a quarter.
var cheap = []string{"null", "meta", "pattern", "pattern_hdr", "crc32c", "crc32c-intel", "xxhash"}

// sizeFor is the size of the file for a type.
func (b *bench) sizeFor(kind string) int64 {
	if slices.Contains(cheap, kind) {
		return b.size
	}
	return b.size / 4
}

// verification prints what writing and verifying blocks takes, by the requests of the job and by
// merged ones.
func (b *bench) verification(types, blocks []string) error {
	fmt.Println(
		"| checksum | block | requests | write: blksh | fio | ratio | verify: blksh | fio | ratio |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, kind := range types {
		for _, block := range blocks {
			if err := b.rowsFor(kind, block); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nProcessor seconds a GiB, user and system, on one processor; %s. ", b.means())
	fmt.Printf("Files of %d MiB for %s, of %d MiB for the rest.\n\n", b.size>>20,
		strings.Join(cheap, ", "), b.size>>22)
	return nil
}

// means says by which means both programs do their requests.
func (b *bench) means() string {
	if b.engine == "io_uring" {
		return "both with io_uring and O_DIRECT, 16 requests under way, on a disk"
	}
	return "both with plain calls on a file in memory"
}

// rowsFor measures a type with blocks of a size.
func (b *bench) rowsFor(kind, block string) error {
	merges := []string{""}
	if block == "4k" {
		merges = append(merges, mergeTo)
	}
	rows := make([]string, len(merges))
	for _, phase := range []string{"write", "verify"} {
		r := blocksRun{cpus: b.cpu, kind: kind, block: block, phase: phase, size: b.sizeFor(kind)}
		turns := []func() (float64, error){func() (float64, error) { return r.perGiB(b.theirs(r)) }}
		for _, merge := range merges {
			ours := r
			ours.merge = merge
			turns = append(turns, func() (float64, error) { return ours.perGiB(b.ours(ours)) })
		}
		figures, err := medians(b.rounds, turns...)
		if err != nil {
			return err
		}
		for i := range rows {
			rows[i] += fmt.Sprintf(" %.3f | %.3f | %.2f |", figures[i+1], figures[0],
				figures[i+1]/figures[0])
		}
	}
	for i, merge := range merges {
		requests := "as asked"
		if merge != "" {
			requests = "--merge " + merge
		}
		fmt.Printf("| %s | %s | %s |%s\n", kind, block, requests, rows[i])
	}
	return nil
}

// gains prints how much sooner blocks are verified with a second processor.
func (b *bench) gains(types, blocks []string) error {
	if runtime.NumCPU() < 2 {
		fmt.Print("There is no second processor to gain from.\n\n")
		return nil
	}
	fmt.Println("| checksum | block | one processor | two | gain |")
	fmt.Println("| --- | --- | --- | --- | --- |")
	for _, kind := range types {
		for _, block := range blocks {
			r := blocksRun{cpus: b.cpu, kind: kind, block: block, phase: "write", size: b.size}
			if _, err := b.ours(r); err != nil {
				return err
			}
			on := func(cpus string) func() (float64, error) {
				r := r
				r.cpus, r.phase = cpus, "verify"
				return func() (float64, error) {
					u, err := b.ours(r)
					return u.wall.Seconds(), err
				}
			}
			one, two, err := contest(b.rounds, on(b.cpu), on(b.pair()))
			if err != nil {
				return err
			}
			fmt.Printf("| %s | %s | %.3f | %.3f | %.2f |\n", kind, block, one, two, one/two)
		}
	}
	fmt.Printf("\nSeconds that verifying %d MiB takes, by the clock on the wall; the machine must have nothing else to do.\n\n", b.size>>20)
	return nil
}

// pair is the processor of the measurements and a neighbour of it.
func (b *bench) pair() string {
	if n, err := strconv.Atoi(b.cpu); err == nil && n > 0 {
		return fmt.Sprintf("%d,%d", n-1, n)
	}
	return "0,1"
}

// perGiB is a run as processor seconds a GiB.
func (r blocksRun) perGiB(u usage, err error) (float64, error) {
	return u.cpu.Seconds() * (1 << 30) / float64(r.size), err
}

// somePattern is that of the types which check one.
const somePattern = "0xdeadbeef"

// depth is how many requests both programs have under way where a file is not in memory.
const depth = "16"

func (b *bench) ours(r blocksRun) (usage, error) {
	command := "verify_write -o end_fsync=0"
	if r.phase == "verify" {
		command = "verify_read --exact --fio 3.42"
	}
	if strings.HasPrefix(r.kind, "pattern") {
		command += " -o verify_pattern=" + somePattern
	}
	if r.merge != "" {
		command += " --merge " + r.merge
	}
	command += fmt.Sprintf(" -t %s -b %s -d %s 0 %d", r.kind, r.block, depth, r.size)
	argv := []string{b.blksh, "-t", "writeback", "-f", "raw"}
	file := filepath.Join(b.dir, "ours")
	if b.engine == "io_uring" {
		argv = []string{b.blksh, "-t", "none", "-i", "io_uring", "-f", "raw"}
		file = filepath.Join(b.disk, "ours")
	}
	u, err := b.program(r.cpus,
		append(argv, "-c", "truncate --shrink "+fmt.Sprint(r.size), "-c", command, b.made(file))...)
	var exit *exec.ExitError
	if r.kind == "null" && r.phase == "verify" && errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // all was read, but nothing tells whether it is right
	}
	return u, err
}

func (b *bench) theirs(r blocksRun) (usage, error) {
	file := filepath.Join(b.dir, "theirs")
	by := []string{"--ioengine=psync"}
	if b.engine == "io_uring" {
		file = filepath.Join(b.disk, "theirs")
		by = []string{"--ioengine=io_uring", "--iodepth=" + depth, "--direct=1"}
	}
	argv := append([]string{
		b.fio, "--name=job", "--filename=" + file, fmt.Sprintf("--size=%d", r.size), "--bs=" +
			r.block, "--rw=write",
		"--thread", "--verify_state_save=0", "--fallocate=none",
	}, by...)
	if strings.HasPrefix(r.kind, "pattern") {
		argv = append(argv, "--verify_pattern="+somePattern)
	}
	if r.kind != "pattern_hdr" { // which a pattern alone means, also to releases before 3.40
		argv = append(argv, "--verify="+r.kind)
	}
	if r.phase == "verify" {
		return b.program(b.cpu, append(argv, "--verify_only")...)
	}
	return b.program(b.cpu, append(argv, "--do_verify=0")...)
}
