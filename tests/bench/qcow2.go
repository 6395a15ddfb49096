package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// qcow2Load is a load on a qcow2 image.
type qcow2Load struct {
	name   string
	image  string // full, empty, zlib or zstd
	block  int64
	random bool
	write  bool
}

// String is how the row of a load begins.
func (l qcow2Load) String() string {
	order := "in order"
	if l.random {
		order = "random"
	}
	return fmt.Sprintf("| %s | %d KiB | %s |", l.name, l.block>>10, order)
}

// qcow2Loads are the rows of the table.
func qcow2Loads() []qcow2Load {
	var loads []qcow2Load
	for _, kind := range []struct {
		name, image string
		write       bool
	}{{"read", "full", false}, {"overwrite", "full", true}, {"allocating write", "empty", true}} {
		for _, block := range []int64{4 << 10, 1 << 20} {
			for _, random := range []bool{false, true} {
				loads = append(loads, qcow2Load{kind.name, kind.image, block, random, kind.write})
			}
		}
	}
	for _, image := range []string{"zlib", "zstd"} {
		for _, block := range []int64{4 << 10, 64 << 10, 1 << 20} {
			loads = append(loads, qcow2Load{name: image + " read", image: image, block: block})
		}
	}
	return loads
}

// qcow2 prints how long loads on qcow2 images take, with as many processors as there are.
func (b *bench) qcow2(depths []string) error {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		return fmt.Errorf("%w: it is in the Debian package qemu-utils", err)
	}
	if err := b.qcow2Images(); err != nil {
		return err
	}
	fmt.Println(
		"| qcow2 | block | order | depth | blksh s | qemu-img bench s | ratio | blksh CPU s | qemu-img | ratio |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, l := range qcow2Loads() {
		if !b.rows.MatchString(l.String()) {
			continue
		}
		for _, depth := range depths {
			if err := b.qcow2Row(l, depth); err != nil {
				return err
			}
		}
	}
	if err := b.qcow2Whole(); err != nil {
		return err
	}
	fmt.Printf("\nThe same number of requests, over %d MiB, in the page cache; seconds as either program reports them, of qemu-io those of the process. "+
		"A ratio above 1 says that blksh takes less.\n", b.size>>20)
	return nil
}

// qcow2Path is where an image of the table is.
func (b *bench) qcow2Path(name string) string { return filepath.Join(b.disk, name+".qcow2") }

// qcow2Images makes the images that are full: of bytes that compress to about half.
func (b *bench) qcow2Images() error {
	full, raw := b.qcow2Path("full"), filepath.Join(b.disk, "mixed")
	if err := b.mixedFile(raw); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-S", "0", raw, full},
		{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zlib", raw, b.qcow2Path("zlib")},
		{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", raw, b.qcow2Path("zstd")},
	} {
		if _, err := b.program(b.all, argv...); err != nil {
			return err
		}
	}
	return nil
}

// mixedFile makes a file of which every 16 clusters are 10 of words, 4 of random bytes and 2 of one
// byte.
func (b *bench) mixedFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = append(letters(rng, 2+rng.IntN(8)), ' ')
	}
	often := rand.NewZipf(rng, 1.1, 4, uint64(len(words)-1))
	cluster := make([]byte, 0, 64<<10+16)
	for at := range b.size >> 16 {
		cluster = cluster[:0]
		for len(cluster) < 64<<10 {
			switch k := at & 15; {
			case k < 10:
				cluster = append(cluster, words[often.Uint64()]...)
			case k < 14:
				cluster = binary.LittleEndian.AppendUint64(cluster, rng.Uint64())
			default:
				cluster = append(cluster, byte(at))
			}
		}
		if _, err := f.Write(cluster[:64<<10]); err != nil {
			return err
		}
	}
	return f.Close()
}

func letters(rng *rand.Rand, n int) []byte {
	word := make([]byte, n)
	for i := range word {
		word[i] = 'a' + byte(rng.IntN(26))
	}
	return word
}

// leastRequests keeps loads of large blocks from being over at once: they go over the image again.
const leastRequests = 8192

// qcow2Row measures one load at one depth.
func (b *bench) qcow2Row(l qcow2Load, depth string) error {
	length := b.size
	if l.image == "empty" && l.random && l.block > 64<<10 {
		length *= 16 // so that hardly any block is drawn twice and found there
	}
	requests := b.size / l.block
	if l.image == "full" {
		requests = max(requests, leastRequests)
	}
	var ourCPU, theirCPU []float64
	measure := func(
		cpu *[]float64, run func(image string) (usage, error),
		seconds func([]byte) (float64, error),
	) func() (float64, error) {
		return func() (float64, error) {
			image := b.qcow2Path(l.image)
			if l.image == "empty" {
				if _, err := b.program(b.all, "qemu-img", "create", "-f", "qcow2", image,
					strconv.FormatInt(length, 10)); err != nil {
					return 0, err
				}
			}
			u, err := run(image)
			if err != nil {
				return 0, err
			}
			*cpu = append(*cpu, u.cpu.Seconds())
			return seconds(u.out)
		}
	}
	ours, theirs, err := contest(b.rounds,
		measure(&ourCPU,
			func(image string) (usage, error) { return b.ourBench(l, image, depth, requests) },
			elapsed),
		measure(&theirCPU,
			func(image string) (usage, error) {
				return b.theirBench(l, image, depth, requests, length)
			}, completed))
	if err != nil {
		return err
	}
	qcow2Print(fmt.Sprintf("%s %s |", l, depth), ours, theirs, median(ourCPU), median(theirCPU))
	return nil
}

func qcow2Print(row string, ours, theirs, ourCPU, theirCPU float64) {
	fmt.Printf("%s %.3f | %.3f | %.2f | %.2f | %.2f | %.2f |\n", row, ours, theirs, theirs/ours,
		ourCPU, theirCPU, theirCPU/ourCPU)
}

func (b *bench) ourBench(l qcow2Load, image, depth string, requests int64) (usage, error) {
	mode := "read"
	if l.write {
		mode = "write"
	}
	if l.random {
		mode = "rand" + mode
	}
	argv := []string{b.blksh, "--json", "-t", "writeback", "-f", "qcow2"}
	if !l.write {
		argv = append(argv, "-r")
	}
	return b.program(b.all,
		append(argv, "-c",
			fmt.Sprintf("bench -b %d -d %s -n %d %s", l.block, depth, requests, mode), image)...)
}

// theirBench has qemu-img go through the image in steps, which are so long for a random order that
// all blocks come once in a scattered order: the golden section of the image or of what it takes as
// a step, made coprime to the number of blocks.
func (b *bench) theirBench(l qcow2Load, image, depth string, requests,
	length int64,
) (usage, error) {
	step := l.block
	if l.random {
		blocks := length / l.block
		n := int64(float64(min(blocks, math.MaxInt32/l.block)) * 0.6180339887)
		for new(big.Int).GCD(nil, nil, big.NewInt(n), big.NewInt(blocks)).Int64() != 1 {
			n++
		}
		step *= n
	}
	argv := []string{
		"qemu-img", "bench", "-f", "qcow2", "-t", "writeback", "-d", depth, "-c",
		fmt.Sprint(requests), "-s", fmt.Sprint(l.block), "-S", fmt.Sprint(step),
	}
	if l.write {
		argv = append(argv, "-w")
	}
	return b.program(b.all, append(argv, image)...)
}

// elapsed is how long the load of a JSON report took, in seconds.
func elapsed(out []byte) (float64, error) {
	e, err := loadIn(out)
	return e.Elapsed / float64(time.Second), err
}

var completion = regexp.MustCompile(`Run completed in ([0-9.]+) seconds`)

// completed is what qemu-img bench says in place of elapsed.
func completed(out []byte) (float64, error) {
	m := completion.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no time in %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// qcow2Whole has both shells read whole images with one command, as qemu-io does it: into memory of
// that length.
func (b *bench) qcow2Whole() error {
	for _, image := range []string{"full", "zlib", "zstd"} {
		row := fmt.Sprintf("| %s, read with qemu-io | all | at once | 1 |", image)
		if !b.rows.MatchString(row) {
			continue
		}
		var ourCPU, theirCPU []float64
		read := func(cpu *[]float64, program ...string) func() (float64, error) {
			return func() (float64, error) {
				u, err := b.program(b.all,
					append(program, "-r", "-f", "qcow2", "-c",
						fmt.Sprintf("read 0 %d", min(b.size, 2047<<20)), b.qcow2Path(image))...)
				*cpu = append(*cpu, u.cpu.Seconds())
				return u.wall.Seconds(), err
			}
		}
		ours, theirs, err := contest(b.rounds, read(&ourCPU, b.blksh, "--dialect", "qemu-7.2"),
			read(&theirCPU, "qemu-io"))
		if err != nil {
			return err
		}
		qcow2Print(row, ours, theirs, median(ourCPU), median(theirCPU))
	}
	return nil
}
