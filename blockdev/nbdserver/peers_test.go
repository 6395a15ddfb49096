package nbdserver_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/drivers"
	"github.com/blksh/blksh/blockdev/nbdserver"
)

// serveImage serves a fresh image of a format, 8 MiB of zeroes, and returns a URI of it.
func serveImage(t *testing.T, format string) string {
	t.Helper()
	name := image(t, 8<<20)
	if format != "raw" {
		run(t, "qemu-img", "create", "-q", "-f", format, name, "8M")
	}
	d, err := blockdev.Open(context.Background(), name, blockdev.OpenConfig{
		Drivers: drivers.All(), Format: format, Mode: blockdev.Mode{Unmap: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		run(t, "qemu-img", "info", "-f", format, name)
		if format != "raw" {
			run(t, "qemu-img", "check", "-q", "-f", format, name)
		}
	})
	path := serve(t, &nbdserver.Server{Exports: []nbdserver.Export{{Name: "disk", Disk: d}}})
	return "nbd+unix:///disk?socket=" + path
}

// libnbdScript holds a server against what its flags, the specification and libnbd say. The sizes
// are those of serveImage.
const libnbdScript = `
import errno, nbd, os, sys
h = nbd.NBD()
h.set_strict_mode(0)
h.add_meta_context("base:allocation")
h.add_meta_context("qemu:allocation-depth")
h.connect_uri(sys.argv[1])
size = 8 << 20
assert h.get_size() == size and not h.is_read_only()
assert h.get_structured_replies_negotiated() and h.get_protocol() == "newstyle-fixed"
for can in (h.can_flush, h.can_fua, h.can_trim, h.can_zero, h.can_fast_zero, h.can_cache,
            h.can_df, h.can_multi_conn):
    assert can(), can
assert h.get_block_size(nbd.SIZE_MINIMUM) == 1
assert h.get_block_size(nbd.SIZE_MAXIMUM) == 32 << 20

def fails(number, request, *args):
    try:
        request(*args)
    except nbd.Error as e:
        assert e.errnum == number, (request, args, e)
        return
    assert False, (request, args)

data = os.urandom(300_001)
h.pwrite(data, 1_000_001, nbd.CMD_FLAG_FUA)
assert h.pread(300_003, 1_000_000) == b"\0" + data + b"\0"
assert h.pread(300_003, 1_000_000, nbd.CMD_FLAG_DF) == b"\0" + data + b"\0"
h.zero(100_000, 1_000_001, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
h.zero(1 << 20, 4 << 20, 0)
h.trim(50_000, 1_200_000, nbd.CMD_FLAG_FUA)
h.cache(size, 0)
h.flush()
assert h.pread(100_000, 1_000_001) == bytes(100_000)
assert h.pread(90_000, 1_101_001) == data[101_000:191_000]

pieces = []
def chunk(buf, off, status, err):
    pieces.append((off, len(buf), status))
h.pread_structured(size, 0, chunk)
pieces.sort()
at = 0
for off, n, status in pieces:
    assert off == at and n > 0, pieces
    at += n
assert at == size and pieces[0][2] == nbd.READ_HOLE, pieces

seen = {}
def extents(context, off, entries, err):
    total = sum(entries[0::2])
    assert off == 0 and 0 < total <= size and 0 not in entries[0::2], (context, off, entries)
    seen[context] = entries
h.block_status(size, 0, extents)
assert set(seen) == {"base:allocation", "qemu:allocation-depth"}, seen
assert seen["base:allocation"][1] & 2, seen
def one(context, off, entries, err):
    assert len(entries) == 2 and entries[0] <= 5_000_000, entries
h.block_status(5_000_000, 0, one, nbd.CMD_FLAG_REQ_ONE)

fails(errno.EINVAL, h.pread, 2, size - 1)
fails(errno.ENOSPC, h.pwrite, b"ab", size - 1)
fails(errno.ENOSPC, h.zero, 2, size - 1)
fails(errno.EINVAL, h.trim, 2, size - 1)
fails(errno.EINVAL, h.cache, 2, size - 1)
fails(errno.EINVAL, h.block_status, 2, size - 1, extents)
fails(errno.EINVAL, h.pread, 512, 0, nbd.CMD_FLAG_REQ_ONE)
h.pread(0, 0)
h.pwrite(b"", 0)

slots = [nbd.Buffer(4096) for _ in range(200)]
for i in range(200):
    h.pwrite(bytes([i]) * 4096, 2 << 20 | i * 4096)
cookies = [h.aio_pread(b, 2 << 20 | i * 4096) for i, b in enumerate(slots)]
while h.aio_in_flight() > 0:
    h.poll(-1)
for i, b in enumerate(slots):
    assert h.aio_command_completed(cookies[i]) and b.to_bytearray() == bytes([i]) * 4096, i
h.shutdown()
`

// TestLibnbd has libnbd's binding for Python ask for all that there is, also at and behind the
// bounds, of raw and qcow2 images.
func TestLibnbd(t *testing.T) {
	blockdevtest.Peer(t, "qemu-img", "qemu-utils")
	python := blockdevtest.Python(t, "nbd", "python3-libnbd")
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			run(t, python, "-c", libnbdScript, serveImage(t, format))
		})
	}
}

// TestFio has fio's engine write blocks that it can verify, over and over, and verify them.
func TestFio(t *testing.T) {
	fio := blockdevtest.Peer(t, "fio", "fio")
	blockdevtest.Peer(t, "qemu-img", "qemu-utils")
	if exec.Command(fio, "--enghelp=nbd").Run() != nil {
		blockdevtest.Need(t, "fio with the engine nbd")
	}
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			run(t, fio, "--name=job", "--ioengine=nbd", "--uri="+serveImage(t, format), "--size=8M",
				"--bsrange=512-64k", "--blockalign=512", "--rw=randrw", "--iodepth=32", "--thread",
				"--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--fsync=37",
				"--loops=2")
		})
	}
}

// TestInfo compares what nbdinfo and qemu-img say of an export with what was written to it.
func TestInfo(t *testing.T) {
	blockdevtest.Peer(t, "nbdinfo", "libnbd-bin")
	blockdevtest.Peer(t, "qemu-io", "qemu-utils")
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			uri := serveImage(t, format)
			run(t, "qemu-io", "-f", "raw", "-c", "write -P 5 1M 1M", "-c", "write -zu 5M 1M", uri)
			var list []struct {
				Offset, Length int64
				Type           int
			}
			answer(t, &list, "nbdinfo", "--json", "--map", uri)
			var runs [][3]int64
			for _, e := range list {
				runs = append(runs, [3]int64{e.Offset, e.Length, int64(e.Type)})
			}
			const mib = 1 << 20
			want := [][3]int64{{0, mib, 3}, {mib, mib, 0}, {2 * mib, 6 * mib, 3}}
			if !reflect.DeepEqual(runs, want) {
				t.Errorf("nbdinfo: %v, want %v", runs, want)
			}
			var extents []struct {
				Start, Length int64
				Data, Zero    bool
			}
			answer(t, &extents, "qemu-img", "map", "--output=json", "-f", "raw", uri)
			data := int64(0)
			for _, e := range extents {
				if e.Data == e.Zero {
					t.Errorf("qemu-img map: %+v", e)
				}
				if e.Data {
					data += e.Length
				}
			}
			if data != mib {
				t.Errorf("qemu-img map: %d bytes of data, want %d", data, mib)
			}
			var info struct {
				Exports []struct {
					Name string `json:"export-name"`
					Size int64  `json:"export-size"`
				}
			}
			answer(t, &info, "nbdinfo", "--json", uri)
			if len(info.Exports) != 1 || info.Exports[0].Size != 8*mib {
				t.Errorf("nbdinfo: %+v", info)
			}
		})
	}
}

// answer reads what a program prints as JSON.
func answer(t *testing.T, to any, program string, args ...string) {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err == nil {
		err = json.Unmarshal(out, to)
	}
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// TestConvert has qemu-img and nbdcopy bring a disk in and out, over several connections.
func TestConvert(t *testing.T) {
	blockdevtest.Peer(t, "nbdcopy", "libnbd-bin")
	blockdevtest.Peer(t, "qemu-img", "qemu-utils")
	ctx := context.Background()
	source := filepath.Join(t.TempDir(), "source")
	run(t, "qemu-img", "create", "-q", "-f", "raw", source, "8M")
	d := open(t, source, blockdev.Mode{})
	block := make([]byte, 70_001)
	for i := range int64(30) {
		for j := range block {
			block[j] = byte(int64(j)*(2*i+1)>>3 + i)
		}
		if err := d.Write(ctx, driver.Vec{block}, i*270_000, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"raw", "qcow2"} {
		for name, copied := range map[string]func(uri string){
			"nbdcopy": func(uri string) { run(t, "nbdcopy", "--flush", source, uri) },
			"nbdcopy of zeroes": func(uri string) {
				run(t, "nbdcopy", "--destination-is-zero", "--connections=4", source, uri)
			},
			"qemu-img": func(uri string) {
				run(t, "qemu-img", "convert", "-U", "-n", "-W", "-m", "16", "-f", "raw", "-O",
					"raw",
					source, uri)
			},
		} {
			t.Run(format+" "+name, func(t *testing.T) {
				uri := serveImage(t, format)
				copied(uri)
				run(t, "qemu-img", "compare", "-U", "-f", "raw", "-F", "raw", source, uri)
				out := filepath.Join(t.TempDir(), "out")
				run(t, "nbdcopy", "--connections=4", uri, out)
				run(t, "qemu-img", "compare", "-U", "-f", "raw", "-F", "raw", source, out)
			})
		}
	}
}
