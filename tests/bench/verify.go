package main

import (
	"fmt"
	"path/filepath"
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
					func() (float64, error) { return b.ours(kind, block, phase) },
					func() (float64, error) { return b.theirs(kind, block, phase) })
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

// perGiB is a run as processor seconds a GiB.
func (b *bench) perGiB(u usage, err error) (float64, error) {
	return u.cpu.Seconds() * (1 << 30) / float64(b.size), err
}

func (b *bench) ours(kind, block, phase string) (float64, error) {
	command := fmt.Sprintf("verify_write -o end_fsync=0 -t %s -b %s 0 %d", kind, block, b.size)
	if phase == "verify" {
		command = fmt.Sprintf("verify_read --exact --fio 3.42 -t %s -b %s 0 %d", kind, block, b.size)
	}
	file := filepath.Join(b.dir, "ours")
	return b.perGiB(b.program(b.cpu, b.blksh, "-t", "writeback", "-f", "raw", "-c", "truncate "+fmt.Sprint(b.size), "-c", command, b.made(file)))
}

func (b *bench) theirs(kind, block, phase string) (float64, error) {
	argv := []string{
		b.fio, "--name=job", "--filename=" + filepath.Join(b.dir, "theirs"), fmt.Sprintf("--size=%d", b.size), "--bs=" + block, "--rw=write",
		"--verify=" + kind, "--ioengine=psync", "--thread", "--verify_state_save=0", "--fallocate=none",
	}
	if phase == "verify" {
		return b.perGiB(b.program(b.cpu, append(argv, "--verify_only")...))
	}
	return b.perGiB(b.program(b.cpu, append(argv, "--do_verify=0")...))
}
