package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// nbdLoad is a load on an export: requests one after the other, over and over its length.
type nbdLoad struct {
	block, depth, requests int64
	write                  bool
}

func (l nbdLoad) mode() string {
	if l.write {
		return "write"
	}
	return "read"
}

// String is how the row of a load begins.
func (l nbdLoad) String() string {
	return fmt.Sprintf("%s %d KiB, depth %d", l.mode(), l.block>>10, l.depth)
}

// nbdLoads are the loads of the table.
func nbdLoads() []nbdLoad {
	var loads []nbdLoad
	for _, write := range []bool{false, true} {
		loads = append(loads,
			nbdLoad{4 << 10, 1, 40_000, write}, nbdLoad{4 << 10, 16, 100_000, write},
			nbdLoad{4 << 10, 64, 100_000, write}, nbdLoad{256 << 10, 16, 8192, write})
	}
	return loads
}

// nbdFigures are what one client did with one server: requests a second, and processor time of a
// request in microseconds.
type nbdFigures struct{ rate, client, server float64 }

func (f nbdFigures) ofClient() float64 { return f.client }

func (f nbdFigures) ofServer() float64 { return f.server }

// nbdServer is a program that serves file, or memory, on socket.
type nbdServer struct {
	name string
	argv func(b *bench, file, socket string) []string
}

func nbdServers() []nbdServer {
	return []nbdServer{
		{"nbdkit memory", func(b *bench, _, socket string) []string {
			return []string{"nbdkit", "-f", "-U", socket, "memory", fmt.Sprint(b.size)}
		}},
		{"nbdkit file", func(_ *bench, file, socket string) []string {
			return []string{"nbdkit", "-f", "-U", socket, "file", file}
		}},
		{"qemu-nbd", func(_ *bench, file, socket string) []string {
			return []string{"qemu-nbd", "-t", "-e", "0", "-f", "raw", "-k", socket, file}
		}},
		{"blksh", func(b *bench, file, socket string) []string {
			command := "serve --unix " + socket
			return []string{b.blksh, "-t", "writeback", "-f", "raw", "-c", command, file}
		}},
	}
}

// serveNBD runs a server on a socket while use does something with it, and returns the processor
// time that it took meanwhile.
func (b *bench) serveNBD(s nbdServer, file, socket string, use func() error) (
	time.Duration, error,
) {
	_ = os.Remove(socket)
	argv := s.argv(b, file, socket)
	cmd := exec.Command(argv[0], argv[1:]...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}()
	for {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			return 0, fmt.Errorf("%s: %w: %s", s.name, err, &said)
		case <-time.After(time.Millisecond):
		}
	}
	before, err := processTime(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := use(); err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	after, err := processTime(cmd.Process.Pid)
	return after - before, err
}

// processTime is the processor time of a process so far, by the clock that it has of its own:
// ticks are too coarse.
func processTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	const scheduler = 2
	err := unix.ClockGettime(int32(^pid)<<3|scheduler, &t)
	return time.Duration(t.Nano()), err
}

// nbdClient runs a load, and returns requests a second.
type nbdClient struct {
	name string
	can  func(nbdLoad) bool // nil: every load
	run  func(b *bench, l nbdLoad, socket string) (rate float64, u usage, err error)
}

func nbdClients() []nbdClient {
	return []nbdClient{
		{"blksh", nil, (*bench).nbdOurs},
		{"qemu-img bench", nil, (*bench).nbdImg},
		{"fio", nil, (*bench).nbdFio},
		{"nbdcopy", func(l nbdLoad) bool { return l.block == 256<<10 }, (*bench).nbdCopy},
	}
}

func uriOf(socket string) string { return "nbd+unix:///?socket=" + socket }

func (b *bench) nbdOurs(l nbdLoad, socket string) (float64, usage, error) {
	u, err := b.program(b.all, b.blksh, "--json", "-t", "writeback", "-f", "raw", "-c",
		fmt.Sprintf("bench -b %d -d %d -n %d %s", l.block, l.depth, l.requests, l.mode()),
		uriOf(socket))
	if err != nil {
		return 0, u, err
	}
	seconds, err := elapsed(u.out)
	return float64(l.requests) / seconds, u, err
}

func (b *bench) nbdImg(l nbdLoad, socket string) (float64, usage, error) {
	argv := []string{
		"qemu-img", "bench", "-f", "raw", "-t", "writeback", "-d", fmt.Sprint(l.depth),
		"-c", fmt.Sprint(l.requests), "-s", fmt.Sprint(l.block),
	}
	if l.write {
		argv = append(argv, "-w", "--pattern=0xcd") // zeroes could become holes
	}
	u, err := b.program(b.all, append(argv, uriOf(socket))...)
	if err != nil {
		return 0, u, err
	}
	seconds, err := completed(u.out)
	return float64(l.requests) / seconds, u, err
}

func (b *bench) nbdFio(l nbdLoad, socket string) (float64, usage, error) {
	u, err := b.program(b.all, b.fio, "--name=job", "--ioengine=nbd", "--uri="+uriOf(socket),
		fmt.Sprintf("--size=%d", b.size), fmt.Sprintf("--bs=%d", l.block), "--rw="+l.mode(),
		fmt.Sprintf("--io_size=%d", l.requests*l.block), fmt.Sprintf("--iodepth=%d", l.depth),
		"--thread", "--output-format=json")
	if err != nil {
		return 0, u, err
	}
	job, err := fioJob(u.out)
	return job.Read.Iops + job.Write.Iops, u, err
}

// nbdCopy has nbdcopy go over the export in its own way, whole, in requests of 256 KiB, as often as
// it takes.
func (b *bench) nbdCopy(l nbdLoad, socket string) (float64, usage, error) {
	argv := []string{"nbdcopy", "--no-extents", uriOf(socket), "null:"}
	if l.write {
		argv = []string{"nbdcopy", "--no-extents", filepath.Join(b.dir, "source"), uriOf(socket)}
	}
	var all usage
	done := int64(0) // bytes
	for ; done < l.requests*l.block; done += b.size {
		u, err := b.program(b.all, argv...)
		if err != nil {
			return 0, u, err
		}
		all.wall += u.wall
		all.cpu += u.cpu
	}
	return float64(done/l.block) / all.wall.Seconds(), all, nil
}

// nbd prints what our client and our server take beside those of others.
func (b *bench) nbd() error {
	for program, pkg := range map[string]string{
		"nbdkit": "nbdkit", "nbdcopy": "libnbd-bin", "qemu-nbd": "qemu-utils",
	} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: it is in the Debian package %s", err, pkg)
		}
	}
	for _, table := range []func() error{b.nbdLoads, b.nbdVerify, b.nbdCopies} {
		if err := table(); err != nil {
			return err
		}
	}
	return nil
}

// nbdLoads prints two tables: our client beside the best of the others on each server, and our
// server beside the better of the others under each client.
func (b *bench) nbdLoads() error {
	file := filepath.Join(b.dir, "full")
	for _, f := range []string{file, filepath.Join(b.dir, "source")} {
		if err := b.patternFile(f, "random:1"); err != nil {
			return err
		}
	}
	clients := "| server | load | blksh/s | best/s | ratio | blksh CPU µs | least | ratio |\n" +
		strings.Repeat("| --- ", 8) + "|\n"
	servers := "| client | load | blksh/s | better/s | ratio | blksh CPU µs | less | ratio |\n" +
		strings.Repeat("| --- ", 8) + "|\n"
	none := true
	for _, l := range nbdLoads() {
		if !b.rows.MatchString(l.String()) {
			continue
		}
		none = false
		m, err := b.nbdMatrix(l, file)
		if err != nil {
			return err
		}
		for i, s := range nbdServers()[:3] {
			clients += nbdRow(s.name, l, m[i][0], m[i][1:], nbdFigures.ofClient)
		}
		for j, c := range nbdClients() {
			if m[3][j].rate > 0 {
				servers += nbdRow(c.name, l, m[3][j], []nbdFigures{m[1][j], m[2][j]},
					nbdFigures.ofServer)
			}
		}
	}
	if none {
		return nil
	}
	fmt.Printf("Our client, beside the best of qemu-img bench, fio and nbdcopy:\n\n%s\n", clients)
	fmt.Printf("Our server, beside the better of nbdkit file and qemu-nbd:\n\n%s\n", servers)
	return nil
}

// nbdRow sets figures of ours beside the best of others, rate and processor time apart.
func nbdRow(name string, l nbdLoad, ours nbdFigures, others []nbdFigures,
	cpu func(nbdFigures) float64,
) string {
	best, least := 0.0, 0.0
	for _, f := range others {
		best = max(best, f.rate)
		if x := cpu(f); x > 0 && (least == 0 || x < least) {
			least = x
		}
	}
	return fmt.Sprintf("| %s | %s | %.0f | %.0f | %.2f | %.1f | %.1f | %.2f |\n", name, l,
		ours.rate, best, ours.rate/best, cpu(ours), least, cpu(ours)/least)
}

// nbdMatrix is what each client does with each server, in their orders; nothing where a client
// cannot run the load. All take turns.
func (b *bench) nbdMatrix(l nbdLoad, file string) ([][]nbdFigures, error) {
	servers, clients := nbdServers(), nbdClients()
	all := make([][]nbdFigures, len(servers))
	type samples struct{ rate, client, server []float64 }
	got := make([][]samples, len(servers))
	for i := range servers {
		all[i], got[i] = make([]nbdFigures, len(clients)), make([]samples, len(clients))
	}
	for range b.rounds {
		for i, s := range servers {
			for j, c := range clients {
				if c.can != nil && !c.can(l) {
					continue
				}
				f, err := b.nbdOnce(s, c, l, file)
				if err != nil {
					return nil, err
				}
				x := &got[i][j]
				x.rate, x.client = append(x.rate, f.rate), append(x.client, f.client)
				x.server = append(x.server, f.server)
			}
		}
	}
	for i := range got {
		for j, x := range got[i] {
			if len(x.rate) > 0 {
				all[i][j] = nbdFigures{median(x.rate), median(x.client), median(x.server)}
			}
		}
	}
	return all, nil
}

func (b *bench) nbdOnce(s nbdServer, c nbdClient, l nbdLoad, file string) (nbdFigures, error) {
	var f nbdFigures
	socket := b.socket("only")
	cpu, err := b.serveNBD(s, file, socket, func() (err error) {
		if s.name == "nbdkit memory" { // it has to hold something
			if _, err := b.program(b.all, "nbdcopy", file, uriOf(socket)); err != nil {
				return err
			}
		}
		var u usage
		f.rate, u, err = c.run(b, l, socket)
		f.client = u.cpu.Seconds() * 1e6 / float64(l.requests)
		return err
	})
	f.server = cpu.Seconds() * 1e6 / float64(l.requests)
	return f, err
}

// nbdVerify has both shells check a pattern over the whole export.
func (b *bench) nbdVerify() error {
	const row = "read -P"
	if !b.rows.MatchString(row) {
		return nil
	}
	file := filepath.Join(b.dir, "pattern")
	if err := b.patternFile(file, "0xab"); err != nil {
		return err
	}
	fmt.Println("| `read -P` of | blksh s | qemu-io s | ratio | blksh MiB | blksh CPU s | " +
		"qemu-io |")
	fmt.Println(strings.Repeat("| --- ", 7) + "|")
	for _, s := range nbdServers()[1:3] {
		var ourCPU, theirCPU, memory []float64
		shell := func(cpu *[]float64, program ...string) func() (float64, error) {
			return func() (seconds float64, err error) {
				socket := b.socket("only")
				_, err = b.serveNBD(s, file, socket, func() error {
					u, err := b.program(b.all, append(program, "-r", "-f", "raw", "-c",
						fmt.Sprintf("read -P 0xab 0 %d", b.size), uriOf(socket))...)
					*cpu, seconds = append(*cpu, u.cpu.Seconds()), u.wall.Seconds()
					if program[0] == b.blksh {
						memory = append(memory, float64(u.memory>>20))
					}
					return err
				})
				return seconds, err
			}
		}
		ours, theirs, err := contest(b.rounds, shell(&ourCPU, b.blksh), shell(&theirCPU, "qemu-io"))
		if err != nil {
			return err
		}
		fmt.Printf("| %d MiB, %s | %.3f | %.3f | %.2f | %.0f | %.2f | %.2f |\n", b.size>>20, s.name,
			ours, theirs, theirs/ours, median(memory), median(ourCPU), median(theirCPU))
	}
	fmt.Println()
	return nil
}

// nbdCopying is a copy of an image that is half holes, by our shell and by those who can do it.
type nbdCopying struct {
	name               string
	ours, nbdcopy, img []string
}

// nbdCopyings are the rows of the table. The export of half is on the socket from, the other on to.
// All flush what they have written in the end.
func (b *bench) nbdCopyings(half string) []nbdCopying {
	from, to := uriOf(b.socket("from")), uriOf(b.socket("to"))
	out := filepath.Join(b.dir, "out")
	shell := func(format, command, image string) []string {
		return []string{b.blksh, "-f", format, "-c", command, image}
	}
	convert := func(format, as, image, target string, more ...string) []string {
		argv := append([]string{
			"qemu-img", "convert", "-t", "writeback", "-f", format, "-O", as,
		}, more...)
		return append(argv, image, target)
	}
	return []nbdCopying{
		{
			"from an export", shell("raw", "copy --force -f raw "+out, from),
			[]string{"nbdcopy", "--flush", from, out},
			convert("raw", "raw", from, out),
		},
		{
			"to an export", shell("raw", "copy -n -f raw "+to, half),
			[]string{"nbdcopy", "--flush", half, to},
			convert("raw", "raw", half, to, "-n"),
		},
		{
			"between exports", shell("raw", "copy -n -f raw "+to, from),
			[]string{"nbdcopy", "--flush", from, to},
			convert("raw", "raw", from, to, "-n"),
		},
		{"between exports, verified", shell("raw", "copy --verify -n -f raw "+to, from), nil, nil},
		{
			"qcow2 to an export", shell("qcow2", "copy -n -f raw "+to, half+".qcow2"), nil,
			convert("qcow2", "raw", half+".qcow2", to, "-n"),
		},
		{
			"from an export to qcow2", shell("raw", "copy --force -f qcow2 "+out, from), nil,
			convert("raw", "qcow2", from, out),
		},
	}
}

func (b *bench) socket(name string) string { return filepath.Join(b.dir, name+".sock") }

// nbdCopyRow measures one copy.
func (b *bench) nbdCopyRow(c nbdCopying, half, target string) error {
	var wall, cpu [3][]float64
	var memory []float64
	for range b.rounds {
		for i, argv := range [][]string{c.ours, c.nbdcopy, c.img} {
			if argv == nil {
				continue
			}
			u, err := b.nbdCopyOnce(argv, half, target)
			if err != nil {
				return err
			}
			wall[i], cpu[i] = append(wall[i], u.wall.Seconds()), append(cpu[i], u.cpu.Seconds())
			if i == 0 {
				memory = append(memory, float64(u.memory>>20))
			}
		}
	}
	row, best := "| "+c.name, 0.0
	for _, list := range wall {
		row += nbdFigure(list)
	}
	for _, list := range wall[1:] {
		if len(list) > 0 && (best == 0 || median(list) < best) {
			best = median(list)
		}
	}
	if best > 0 {
		row += fmt.Sprintf(" | %.2f", best/median(wall[0]))
	} else {
		row += " | "
	}
	for _, list := range cpu {
		row += nbdFigure(list)
	}
	fmt.Printf("%s | %.0f |\n", row, median(memory))
	return nil
}

// nbdFigure is the field of a table for the median of seconds, empty if there are none.
func nbdFigure(list []float64) string {
	if len(list) == 0 {
		return " | "
	}
	return fmt.Sprintf(" | %.3f", median(list))
}

// nbdCopyOnce runs a copier between two servers of nbdkit.
func (b *bench) nbdCopyOnce(argv []string, half, target string) (u usage, err error) {
	_ = os.Remove(filepath.Join(b.dir, "out"))
	_ = os.Remove(target)
	if err := os.Truncate(b.made(target), b.size); err != nil {
		return u, err
	}
	kit := nbdServers()[1]
	_, err = b.serveNBD(kit, half, b.socket("from"), func() error {
		_, err := b.serveNBD(kit, target, b.socket("to"), func() (err error) {
			u, err = b.program(b.all, argv...)
			return err
		})
		return err
	})
	return u, err
}

// nbdCopies has copiers take an image to, from and between exports, over as many connections as
// they like.
func (b *bench) nbdCopies() error {
	half, target := filepath.Join(b.dir, "half"), filepath.Join(b.dir, "target")
	script := []string{b.blksh, "-f", "raw", "-c", fmt.Sprintf("truncate %d", b.size)}
	for off := int64(0); off < b.size; off += 2 << 20 {
		script = append(script, "-c", fmt.Sprintf("write -q -P random:%d %d 1M", off>>20, off))
	}
	if _, err := b.program(b.all, append(script, b.made(half))...); err != nil {
		return err
	}
	convert := []string{"qemu-img", "convert", "-O", "qcow2", half, half + ".qcow2"}
	if _, err := b.program(b.all, convert...); err != nil {
		return err
	}
	fmt.Println("| copy | blksh s | nbdcopy s | qemu-img s | ratio | blksh CPU s | nbdcopy | " +
		"qemu-img | blksh MiB |")
	fmt.Println(strings.Repeat("| --- ", 9) + "|")
	for _, c := range b.nbdCopyings(half) {
		if !b.rows.MatchString("copy " + c.name) {
			continue
		}
		if err := b.nbdCopyRow(c, half, target); err != nil {
			return err
		}
	}
	return nil
}
