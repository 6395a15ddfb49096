package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// durableRequests is how many writes a load makes for each of those that it has under way.
const durableRequests = 256

// durable prints how many writes of 4 KiB a second are on stable storage before they are reported:
// on a file, beside fio and qemu-img bench, and on a qcow2 image, beside qemu-img bench. The space
// of both is there before.
func (b *bench) durable(depths []string) error {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		return fmt.Errorf("%w: it is in the Debian package qemu-utils", err)
	}
	fmt.Println("| durable writes of 4 KiB to | depth | blksh/s | qemu-img/s | ratio | fio/s | ratio |")
	fmt.Println(strings.Repeat("| --- ", 7) + "|")
	for _, format := range []string{"raw", "qcow2"} {
		image := filepath.Join(b.disk, "durable."+format)
		if _, err := b.program(b.all, "qemu-img", "create", "-f", format, "-o",
			"preallocation=full", image, fmt.Sprint(b.size)); err != nil {
			return err
		}
		for _, depth := range depths {
			if err := b.durableRow(format, image, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) durableRow(format, image, depth string) error {
	var deep int64
	if _, err := fmt.Sscan(depth, &deep); err != nil {
		return fmt.Errorf("depth %q: %w", depth, err)
	}
	requests := durableRequests * deep
	// load runs a program, and returns its requests a second.
	load := func(seconds func([]byte) (float64, error), argv ...string) func() (float64, error) {
		return func() (float64, error) {
			u, err := b.program(b.all, argv...)
			if err != nil {
				return 0, err
			}
			s, err := seconds(u.out)
			return float64(requests) / s, err
		}
	}
	turns := []func() (float64, error){
		load(elapsed, b.blksh, "--json", "-f", format, "-c",
			fmt.Sprintf("bench -b 4k -d %s -n %d write", depth, requests), image),
		load(completed, "qemu-img", "bench", "-w", "-f", format, "-t", "writethrough", "-d", depth,
			"-c", fmt.Sprint(requests), "-s", "4096", image),
	}
	if format == "raw" {
		turns = append(turns, load(func(out []byte) (float64, error) {
			job, err := fioJob(out)
			return float64(requests) / job.Write.Iops, err
		}, b.fio, "--name=job", "--filename="+image, "--ioengine=io_uring", "--sync=dsync",
			"--rw=write", "--bs=4096", "--iodepth="+depth, fmt.Sprintf("--size=%d", b.size),
			fmt.Sprintf("--io_size=%d", requests<<12), "--output-format=json"))
	}
	rates, err := medians(b.rounds, turns...)
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %s | %.0f | %.0f | %.2f |", format, depth, rates[0], rates[1],
		rates[0]/rates[1])
	if len(rates) > 2 {
		fmt.Printf(" %.0f | %.2f |\n", rates[2], rates[0]/rates[2])
	} else {
		fmt.Println("  |  |")
	}
	return nil
}
