package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// cephSize is the length of the images, 16 objects.
const cephSize = 64 << 20

// A cephJob verifies images of a cluster as a person would, with the program p.
type cephJob struct {
	p    program
	ceph *blockdevtest.Ceph
}

// TestCeph runs the job with a server between the program and the cluster.
func TestCeph(t *testing.T) {
	t.Parallel()
	blockdevtest.Peer(t, "qemu-nbd", "qemu-utils")
	cephJob{asBlksh, blockdevtest.StartCeph(t)}.run(t)
}

// TestCephDirect runs it with the program that has librbd in it.
func TestCephDirect(t *testing.T) {
	t.Parallel()
	blockdevtest.ExtraFile(t, "/usr/include/rbd/librbd.h", "librbd-dev")
	ceph := blockdevtest.StartCeph(t)
	p := program{path: filepath.Join(t.TempDir(), "blksh")}
	build := exec.Command("go", "build", "-tags", "rbd", "-o", p.path, "../cmd/blksh")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	must(t, build)
	cephJob{p, ceph}.run(t)
	t.Run("create", cephJob{p, ceph}.create)
}

// create copies into an image that is made for it.
func (j cephJob) create(t *testing.T) {
	from := j.ceph.Image(t, "whole", cephSize)
	to := strings.Replace(from, "whole", "copied", 1)
	j.expect(t, "exit 0", from, "write -q -P 5 1M 9M", "copy "+to)
	j.expect(t, "exit 0", to, "read -q -P 5 1M 9M", "length", "truncate 70M", "read -q -P 0 64M 6M")
	j.expect(t, "exit 2", from, "copy "+to)
	inside := strings.Replace(from, "whole", "inside", 1)
	j.expect(t, "exit 0", from, "copy -f qcow2 --verify "+inside)
	must(t, exec.Command(j.p.path, "-r", "-f", "qcow2", "-c", "read -q -P 5 1M 9M", "-c", "check",
		inside))
}

func (j cephJob) run(t *testing.T) {
	t.Run("verify", j.verify)
	t.Run("holes", j.holes)
	t.Run("copy", j.copies)
	t.Run("killed", j.killed)
}

// expect runs commands on the image of that name and wants a status. It returns what they said.
func (j cephJob) expect(t *testing.T, status, image string, commands ...string) string {
	t.Helper()
	args := []string{"-f", "raw", "-t", "writeback", image}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	a, err := j.p.run(run{dir: t.TempDir(), args: args})
	if err != nil {
		t.Fatal(err)
	}
	if a.status != status {
		t.Fatalf("%q: %s, want %s\n%s%s", args, a.status, status, a.stdout, a.stderr)
	}
	return a.stdout
}

// verify writes blocks that fio finds intact through librbd, and finds those of fio and the one
// that is damaged.
func (j cephJob) verify(t *testing.T) {
	image := j.ceph.Image(t, "verified", cephSize)
	j.expect(t, "exit 0", image, "verify_write --fio 3.33 -t sha256 -b 64k --order random -d 16")
	j.expect(t, "exit 0", image, "verify_read -d 16")
	if fio, err := exec.LookPath("fio"); err == nil {
		const options = "--name=job --ioengine=rbd --clientname=admin --pool=rbd --rbdname=verified " +
			"--bs=64k --size=64m --iodepth=16 --thread --verify_state_save=0"
		j.ceph.Run(t, fio, strings.Fields(options+" --rw=randwrite --verify=sha256 --verify_only")...)
		j.ceph.Run(t, fio, strings.Fields(options+" --rw=write --verify=crc32c --do_verify=0")...)
		j.expect(t, "exit 0", image, "verify_read -t crc32c -d 16")
	}

	file := filepath.Join(t.TempDir(), "job.fio")
	const text = "[global]\nverify=sha256\nsize=16m\n[low]\nrw=write\nbs=256k\n" +
		"[high]\nrw=randwrite\nbs=4k\noffset=32m\niodepth=16\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "exit 0", image, "verify_job "+file)
	j.expect(t, "exit 0", image, "verify_job --read "+file)
	j.expect(t, "exit 1", image, "write -q -P 1 33M 100", "verify_job --read "+file)
}

// holes gives parts of an image back and looks for them.
func (j cephJob) holes(t *testing.T) {
	image := j.ceph.Image(t, "holes", cephSize)
	j.expect(t, "exit 0", image, "write -q -P 1 0 64M", "discard -q 8M 8M",
		"write -q -z -u 20M 4M", "write -q -z 24M 1M", "flush",
		"iszero 8M 8M", "iszero 20M 5M", "read -q -P 1 0 8M", "read -q -P 1 25M 39M")
	for off, data := range map[int64]bool{
		0: true, 8 << 20: false, 16 << 20: true, 20 << 20: false,
	} {
		if said := j.at(t, image, off); said.Data != data || said.Zero == data {
			t.Errorf("at %d: %+v", off, said)
		}
	}
	j.ceph.Run(t, "rbd", "snap", "create", "rbd/holes@then")
	j.expect(t, "exit 0", image, "write -q -P 2 0 64M", "flush")
	then := strings.Replace(image, "holes", "holes@then", 1)
	blksh := []string{"-r", "-f", "raw", "-c", "iszero 8M 8M", "-c", "read -P 1 0 8M", then}
	if a, err := j.p.run(run{dir: t.TempDir(), args: blksh}); err != nil || a.status != "exit 0" {
		t.Errorf("%q: %v, %+v", blksh, err, a)
	}
	j.expect(t, "exit 3", then, "write 0 4k")
}

// A cephRun is what map says of a run.
type cephRun struct {
	Offset, Length int64
	Data, Zero     bool
}

// at is the run that begins at an offset.
func (j cephJob) at(t *testing.T, image string, off int64) cephRun {
	t.Helper()
	args := []string{"--json", "-r", "-f", "raw", "-c", "map", image}
	a, err := j.p.run(run{dir: t.TempDir(), args: args})
	if err != nil || a.status != "exit 0" {
		t.Fatalf("%q: %v, %+v", args, err, a)
	}
	for line := range strings.Lines(a.stdout) {
		var r cephRun
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Offset == off && (r.Data || r.Zero) {
			return r
		}
	}
	t.Fatalf("nothing begins at %d:\n%s", off, a.stdout)
	return cephRun{}
}

// copies brings an image out and into another one, and compares with what rbd brings out.
func (j cephJob) copies(t *testing.T) {
	from, to := j.ceph.Image(t, "from", cephSize), j.ceph.Image(t, "to", cephSize)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	j.expect(t, "exit 0", from, "write -q -P random:7 3M 9M", "write -q -P 2 50M 1M", "flush")
	j.expect(t, "exit 0", from, "copy --verify "+in("out.qcow2"), "copy "+in("out.raw"))
	for name, image := range map[string]string{"from": "rbd/from", "to": "rbd/to"} {
		if name == "to" {
			must(t, exec.Command(j.p.path, "-r", "-c", "copy -n --verify "+to, in("out.qcow2")))
		}
		j.ceph.Run(t, "rbd", "export", "--no-progress", image, in(name))
		must(t, exec.Command("cmp", in(name), in("out.raw")))
	}
}

// killed kills the writer of a journal, and every other time the server with it, whose cache is
// lost then. What was flushed is there.
func (j cephJob) killed(t *testing.T) {
	for i := range min(kills(), 20) {
		image := j.ceph.Image(t, fmt.Sprint("killed", i), killSize)
		rng := rand.New(rand.NewPCG(2, uint64(i)))
		kill := (*os.Process).Kill
		if i%2 == 1 {
			kill = killWithServer
		}
		noted := killedWriter(t, j.p, "raw", image, 2000+rng.IntN(40000), kill)
		journal := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(journal, noted, 0o600); err != nil {
			t.Fatal(err)
		}
		j.expect(t, "exit 0", image, "verify_read --journal "+journal)
	}
}

// killWithServer kills the programs that p has started first.
func killWithServer(p *os.Process) error {
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Pid))
	if err != nil {
		return err
	}
	for _, file := range children {
		list, _ := os.ReadFile(file) // the thread may have ended
		for _, child := range strings.Fields(string(list)) {
			var pid int
			if _, err := fmt.Sscan(child, &pid); err != nil {
				return err
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
	}
	return p.Kill()
}
