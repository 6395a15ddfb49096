package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// verification prints what writing and verifying blocks takes.
func (b *bench) verification(types, blocks []string) error {
	fmt.Println("| checksum | block | write: blksh | fio | ratio | verify: blksh | fio | ratio |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, kind := range types {
		for _, block := range blocks {
			row := fmt.Sprintf("| %s | %s |", kind, block)
			for _, phase := range []string{"write", "verify"} {
				ours, theirs, err := contest(b.rounds,
					func() (float64, error) { return b.perGiB(b.ours(b.cpu, kind, block, phase)) },
					func() (float64, error) { return b.perGiB(b.theirs(kind, block, phase)) })
				if err != nil {
					return err
				}
				row += fmt.Sprintf(" %.3f | %.3f | %.2f |", ours, theirs, ours/theirs)
			}
			fmt.Println(row)
		}
	}
	fmt.Print("\nProcessor seconds a GiB, user and system, on one processor.\n\n")
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
			if _, err := b.ours(b.cpu, kind, block, "write"); err != nil {
				return err
			}
			on := func(cpus string) func() (float64, error) {
				return func() (float64, error) {
					u, err := b.ours(cpus, kind, block, "verify")
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
func (b *bench) perGiB(u usage, err error) (float64, error) {
	return u.cpu.Seconds() * (1 << 30) / float64(b.size), err
}

// somePattern is that of the types which check one.
const somePattern = "0xdeadbeef"

func (b *bench) ours(cpus, kind, block, phase string) (usage, error) {
	command := "verify_write -o end_fsync=0"
	if phase == "verify" {
		command = "verify_read --exact --fio 3.42"
	}
	if strings.HasPrefix(kind, "pattern") {
		command += " -o verify_pattern=" + somePattern
	}
	command += fmt.Sprintf(" -t %s -b %s 0 %d", kind, block, b.size)
	file := filepath.Join(b.dir, "ours")
	return b.program(cpus, b.blksh, "-t", "writeback", "-f", "raw", "-c", "truncate "+fmt.Sprint(b.size), "-c", command, b.made(file))
}

func (b *bench) theirs(kind, block, phase string) (usage, error) {
	argv := []string{
		b.fio, "--name=job", "--filename=" + filepath.Join(b.dir, "theirs"), fmt.Sprintf("--size=%d", b.size), "--bs=" + block, "--rw=write",
		"--ioengine=psync", "--thread", "--verify_state_save=0", "--fallocate=none",
	}
	if strings.HasPrefix(kind, "pattern") {
		argv = append(argv, "--verify_pattern="+somePattern)
	}
	if kind != "pattern_hdr" { // which a pattern alone means, also to releases before 3.40
		argv = append(argv, "--verify="+kind)
	}
	if phase == "verify" {
		return b.program(b.cpu, append(argv, "--verify_only")...)
	}
	return b.program(b.cpu, append(argv, "--do_verify=0")...)
}
