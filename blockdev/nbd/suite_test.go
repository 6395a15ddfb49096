package nbd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// peer is a server of others that the suite runs on.
type peer struct {
	name, program, pkg string
	// command serves a fresh disk of size bytes, all zeroes, on the socket that systemd would give.
	command func(t testing.TB, size int64) string
	// tier is the first that runs the suite on it.
	tier int
	// row is what the server does, besides that it has no truncate.
	row blockdevtest.Row
}

// kit is nbdkit with arguments, in which %d is the size of the disk.
func kit(tier int, name, args string, row blockdevtest.Row) peer {
	return peer{
		name: "nbdkit " + name, row: row, program: "nbdkit", pkg: "nbdkit", tier: tier,
		command: func(_ testing.TB, size int64) string { return fmt.Sprintf("nbdkit -f "+args, size) },
	}
}

// fileScript is a disk of nbdkit's plugin eval: of calls of the shell, on a file.
const fileScript = `eval ` +
	`config='ln -sf "$(realpath "$3")" $tmpdir/$2' ` +
	`get_size='stat -Lc %s $tmpdir/file' ` +
	`pread='dd if=$tmpdir/file iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none' ` +
	`can_write='exit 0' can_flush='exit 0' ` +
	`pwrite='dd of=$tmpdir/file conv=notrunc oflag=seek_bytes seek=$4 status=none' ` +
	`flush='sync -d $tmpdir/file'`

func peers() []peer {
	handles := blockdevtest.Row{}
	noZeroes := blockdevtest.Row{Zero: blockdevtest.Refused}
	return []peer{
		kit(1, "memory", "memory %d", handles),
		{
			name: "qemu-nbd", program: "qemu-nbd", pkg: "qemu-utils", tier: 1,
			command: func(t testing.TB, size int64) string {
				return "qemu-nbd -t -e 0 -f raw --discard=unmap " + image(t, size)
			},
		},
		kit(1, "blocksize-policy", "--filter=blocksize-policy memory %d blocksize-minimum=4096 "+
			"blocksize-preferred=4096 blocksize-maximum=64k blocksize-error-policy=error", handles),
		{
			name: "nbdkit file", program: "nbdkit", pkg: "nbdkit", tier: 2,
			command: func(t testing.TB, size int64) string { return "nbdkit -f file " + image(t, size) },
		},
		{
			name: "nbdkit eval", program: "nbdkit", pkg: "nbdkit",
			tier: 3, // because each request is a process
			row:  blockdevtest.Row{Discard: blockdevtest.Refused},
			command: func(t testing.TB, size int64) string {
				return "nbdkit -f " + fileScript + " file=" + image(t, size)
			},
		},
		{
			name: "qemu-nbd of qcow2", program: "qemu-nbd", pkg: "qemu-utils", tier: 2,
			command: func(t testing.TB, size int64) string {
				name := filepath.Join(t.TempDir(), "image")
				run(t, "qemu-img", "create", "-q", "-f", "qcow2", name, fmt.Sprint(size))
				return "qemu-nbd -t -e 0 -f qcow2 --discard=unmap " + name
			},
		},
		{
			name: "qemu-storage-daemon", program: "qemu-storage-daemon", pkg: "qemu-system-common",
			tier: 2,
			command: func(t testing.TB, size int64) string {
				return "qemu-storage-daemon --blockdev driver=file,node-name=f,discard=unmap,filename=" +
					image(t, size) + " --nbd-server addr.type=fd,addr.str=3 " +
					"--export type=nbd,id=e,node-name=f,name=,writable=on"
			},
		},
		kit(2, "simple replies", "--no-sr memory %d", handles),
		kit(2, "masked", "--mask-handshake=0 memory %d", handles),
		kit(2, "cow", "--filter=cow memory %d", noZeroes),
		kit(2, "cache", "--filter=noextents --filter=cache memory %d", handles),
		kit(2, "blocksize", "--filter=blocksize memory %d minblock=4k maxdata=64k", handles),
		kit(2, "exitlast", "--filter=exitlast memory %d", handles),
		kit(2, "rate", "--filter=rate memory %d rate=2G", handles),
		kit(2, "log", "--filter=log memory %d logfile=/dev/null", handles),
		kit(2, "delay", "--filter=delay memory %d rdelay=1ms wdelay=1ms", handles),
		kit(2, "retry", "--filter=retry memory %d", handles),
		kit(2, "noextents", "--filter=noextents memory %d", handles),
		kit(2, "nozero", "--filter=nozero memory %d", noZeroes),
		kit(2, "slow zeroes", "--filter=nozero memory %d zeromode=notrim fastzeromode=slow", handles),
		kit(2, "discarded fua", "--filter=fua memory %d fuamode=discard", handles),
		kit(2, "emulated fua", "--filter=fua memory %d fuamode=emulate", handles),
		kit(2, "forced fua", "--filter=fua memory %d fuamode=force", handles),
		kit(2, "no multi-conn", "--filter=multi-conn memory %d multi-conn-mode=disable", handles),
		kit(2, "emulated multi-conn", "--filter=multi-conn memory %d multi-conn-mode=emulate", handles),
		kit(2, "noparallel", "--filter=noparallel memory %d serialize=all-requests", handles),
		kit(2, "swab", "--filter=swab memory %d swab-bits=16", handles),
		kit(2, "truncate", "--filter=truncate memory 2M truncate=%d", handles),
		kit(2, "offset", "--filter=offset memory 2M offset=512 range=%d", handles),
	}
}

// TestSuite runs the suite of all drivers over servers of others.
func TestSuite(t *testing.T) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			if blockdevtest.Tier() < p.tier {
				t.Skip("tier", p.tier)
			}
			t.Parallel()
			blockdevtest.Peer(t, p.program, p.pkg)
			p.row.Truncate = blockdevtest.Refused
			blockdevtest.Run(t, blockdevtest.Subject{
				Driver: nbd.Command,
				Options: func(t testing.TB, size int64) *driver.Options {
					var o driver.Options
					o.Set("command", p.command(t, size))
					return &o
				},
				Row: p.row,
			})
		})
	}
}

// TestSuiteReference runs the suite over the server of those who specify the protocol, which knows
// neither structured replies nor block status.
func TestSuiteReference(t *testing.T) {
	if blockdevtest.Tier() < 2 {
		t.Skip("tier 2")
	}
	t.Parallel()
	blockdevtest.Peer(t, "nbd-server", "nbd-server")
	blockdevtest.Run(t, blockdevtest.Subject{
		Driver: nbd.Driver,
		Options: func(t testing.TB, size int64) *driver.Options {
			var o driver.Options
			o.Set("path", reference(t, image(t, size)))
			o.Set("export", "disk")
			return &o
		},
		Row: blockdevtest.Row{Truncate: blockdevtest.Refused},
	})
}

// reference starts nbd-server on a file, for as long as the test runs, and returns its socket.
func reference(t testing.TB, file string) string {
	t.Helper()
	dir := t.TempDir()
	socket, cfg := filepath.Join(dir, "sock"), filepath.Join(dir, "config")
	text := fmt.Sprintf("[generic]\nunixsock = %s\nallowlist = true\n[disk]\nexportname = %s\n"+
		"flush = true\nfua = true\ntrim = true\n", socket, file)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// It goes into the background, notes there who it is, and then listens.
	pidFile := filepath.Join(dir, "pid")
	run(t, "nbd-server", "-C", cfg, "-p", pidFile)
	t.Cleanup(func() {
		for tick := time.Tick(time.Millisecond); ; <-tick {
			text, _ := os.ReadFile(pidFile)
			if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGTERM)
				return
			}
		}
	})
	for tick := time.Tick(time.Millisecond); ; <-tick {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return socket
		}
	}
}

// image is a raw image of size bytes, all zeroes.
func image(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	run(t, "truncate", "-s", fmt.Sprint(size), name)
	return name
}
