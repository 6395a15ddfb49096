package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// rbdLoads are the loads on an image in a Ceph cluster.
var rbdLoads = []struct {
	kind, block     string
	depth, requests int
}{
	{"randread", "4k", 1, 4096},
	{"randread", "4k", 16, 16384},
	{"randread", "4k", 64, 16384},
	{"randwrite", "4k", 16, 8192},
	{"read", "1m", 16, 512},
}

// rbdClient is a program that makes one of these loads and says how many requests a second that
// were. The processor time of each goes to cpu, in microseconds.
type rbdClient func(load int, cpu *[]float64) (float64, error)

// rbd sets clients of a cluster beside each other. It overwrites the image, of which librbd keeps
// nothing back.
func (b *bench) rbd(poolAndImage string) error {
	pool, image, ok := strings.Cut(poolAndImage, "/")
	if !ok {
		return errors.New("-image is to be POOL/IMAGE")
	}
	conf, err := os.ReadFile(os.Getenv("CEPH_CONF"))
	if err != nil {
		return fmt.Errorf("the cluster is that of CEPH_CONF: %w", err)
	}
	uncached := filepath.Join(b.dir, "ceph.conf")
	conf = append(conf, "\n[client]\nrbd cache = false\n"...)
	if err := os.WriteFile(uncached, conf, 0o600); err != nil {
		return err
	}
	if err := os.Setenv("CEPH_CONF", uncached); err != nil {
		return err
	}
	direct := filepath.Join(b.disk, "blksh-rbd")
	build := exec.Command("go", "build", "-tags", "rbd", "-o", direct, "./cmd/blksh")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build -tags rbd ./cmd/blksh: %w\n%s", err, out)
	}
	name := "rbd:" + poolAndImage
	if _, err := b.program(b.all, direct, "-t", "writeback", "-f", "raw", "-c",
		"write -q -P random:1 0..end", name); err != nil { // so that all objects are there
		return err
	}
	return b.compareRBD([]rbdClient{
		func(i int, cpu *[]float64) (float64, error) { return b.ourRBD(direct, name, i, cpu) },
		func(i int, cpu *[]float64) (float64, error) { return b.ourRBD(b.blksh, name, i, cpu) },
		func(i int, cpu *[]float64) (float64, error) { return b.fioRBD(pool, image, i, cpu) },
		func(i int, cpu *[]float64) (float64, error) { return b.rbdBench(pool, image, i, cpu) },
	})
}

// compareRBD has the clients take turns and prints a row for each load.
func (b *bench) compareRBD(clients []rbdClient) error {
	fmt.Println("| load | depth | requests a second: blksh with librbd | blksh over qemu-nbd | fio " +
		"| rbd bench | CPU µs a request: blksh with librbd | blksh and qemu-nbd | fio | rbd bench |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for i, l := range rbdLoads {
		cpu := make([][]float64, len(clients))
		turns := make([]func() (float64, error), len(clients))
		for c, client := range clients {
			turns[c] = func() (float64, error) { return client(i, &cpu[c]) }
		}
		rates, err := medians(b.rounds, turns...)
		if err != nil {
			return err
		}
		fmt.Printf("| %s %s | %d |", l.kind, l.block, l.depth)
		for _, rate := range rates {
			fmt.Printf(" %.0f |", rate)
		}
		for _, times := range cpu {
			fmt.Printf(" %.0f |", median(times))
		}
		fmt.Println()
	}
	return nil
}

// spent is the processor time of a request, in microseconds: of the program and of what it started.
func spent(u usage, load int) float64 {
	return float64(u.cpu.Microseconds()) / float64(rbdLoads[load].requests)
}

func (b *bench) ourRBD(blksh, name string, load int, cpu *[]float64) (float64, error) {
	l := rbdLoads[load]
	u, err := b.program(b.all, blksh, "--json", "-t", "writeback", "-f", "raw", "-c",
		fmt.Sprintf("bench -b %s -d %d -n %d %s", l.block, l.depth, l.requests, l.kind), name)
	if err != nil {
		return 0, err
	}
	*cpu = append(*cpu, spent(u, load))
	e, err := loadIn(u.out)
	return e.Iops, err
}

func (b *bench) fioRBD(pool, image string, load int, cpu *[]float64) (float64, error) {
	l := rbdLoads[load]
	u, err := b.program(b.all, b.fio, "--name=job", "--ioengine=rbd", "--clientname=admin",
		"--pool="+pool, "--rbdname="+image, "--rw="+l.kind, "--norandommap", "--bs="+l.block,
		fmt.Sprint("--iodepth=", l.depth), fmt.Sprint("--number_ios=", l.requests), "--thread",
		"--output-format=json")
	if err != nil {
		return 0, err
	}
	*cpu = append(*cpu, spent(u, load))
	job, err := fioJob(u.out)
	return job.Read.Iops + job.Write.Iops, err
}

// benchRate finds the rate in the last line of rbd bench.
var benchRate = regexp.MustCompile(`ops/sec: ([0-9.]+)`)

func (b *bench) rbdBench(pool, image string, load int, cpu *[]float64) (float64, error) {
	l := rbdLoads[load]
	kind, random := strings.CutPrefix(l.kind, "rand")
	pattern := "seq"
	if random {
		pattern = "rand"
	}
	size := map[string]int{"4k": 4 << 10, "1m": 1 << 20}[l.block]
	u, err := b.program(b.all, "rbd", "bench", "--io-type", kind, "--io-pattern", pattern,
		"--io-size", fmt.Sprint(size), "--io-threads", fmt.Sprint(l.depth),
		"--io-total", fmt.Sprint(size*l.requests), pool+"/"+image)
	if err != nil {
		return 0, err
	}
	*cpu = append(*cpu, spent(u, load))
	found := benchRate.FindSubmatch(u.out)
	if found == nil {
		return 0, fmt.Errorf("no rate in %s", u.out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
