package tests

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fixtures makes the images that scripts name. Each is made once, when the
// first script asks for it, and copied for every case.
var fixtures = fixtureMaker{made: map[string]error{}}

type fixtureMaker struct {
	mu   sync.Mutex
	dir  string
	made map[string]error
}

// errNoImager says that a fixture needs qemu-img and there is none.
var errNoImager = errors.New("qemu-img is not installed")

// A plainFile is a few bytes, extended with a hole.
type plainFile struct {
	content string
	size    int64 // 0: as long as the content
}

func (p plainFile) write(path string) error {
	if err := os.WriteFile(path, []byte(p.content), 0o666); err != nil || p.size == 0 {
		return err
	}
	return os.Truncate(path, p.size)
}

// plain are the fixtures that no tool is needed for.
var plain = map[string]plainFile{
	"raw.img":   {rawContent(), 1 << 20},
	"disk.img":  {rawContent(), 64 << 20},
	"odd.img":   {strings.Repeat("0123456789", 100), 0},
	"empty.img": {"", 0},
	"pat3":      {"abc", 0},
	"hdr":       {"QFI\xfb\x00\x00\x00\x03", 0}, // begins as a qcow2 image does
	"events":    {"nosuch_event_name\n", 0},
	"blkdebug.conf": {`[inject-error]
event = "read_aio"
errno = "5"
once = "off"
sector = "16"
`, 0},
}

// rawContent is a byte ladder, a line of text at 256 and 0xaa from 4096 to 8191.
func rawContent() string {
	b := make([]byte, 8192)
	for i := range 256 {
		b[i] = byte(i)
	}
	copy(b[256:], "Hello, qemu-io! 0123456789 tab\tnewline\n~_-{}")
	for i := 4096; i < len(b); i++ {
		b[i] = 0xaa
	}
	return string(b)
}

const fixtureSecret = "secret,id=s0,data=123456"

// imaged are the fixtures that qemu-img makes, by its arguments.
var imaged = map[string][]string{
	"q.qcow2":       {"convert", "-f", "raw", "-O", "qcow2", "raw.img", "q.qcow2"},
	"ov.qcow2":      {"create", "-f", "qcow2", "-b", "q.qcow2", "-F", "qcow2", "ov.qcow2"},
	"v2.qcow2":      {"create", "-f", "qcow2", "-o", "cluster_size=4096,compat=0.10", "v2.qcow2", "10M"},
	"aes.qcow2":     {"create", "--object", fixtureSecret, "-f", "qcow2", "-o", "encrypt.format=aes,encrypt.key-secret=s0", "aes.qcow2", "1M"},
	"zstd.qcow2":    {"create", "-f", "qcow2", "-o", "compression_type=zstd", "zstd.qcow2", "1M"},
	"extl2.qcow2":   {"create", "-f", "qcow2", "-o", "extended_l2=on", "extl2.qcow2", "1M"},
	"lazy.qcow2":    {"create", "-f", "qcow2", "-o", "lazy_refcounts=on,refcount_bits=1", "lazy.qcow2", "1M"},
	"extdata.qcow2": {"create", "-f", "qcow2", "-o", "data_file=ext.data,data_file_raw=on", "extdata.qcow2", "1M"},
	"bmless.qcow2":  {"create", "-f", "qcow2", "bmless.qcow2", "1M"},
	"luks.qcow2":    {"create", "--object", fixtureSecret, "-f", "qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=50", "luks.qcow2", "1M"},
	"base2.qcow2":   {"create", "-f", "qcow2", "base2.qcow2", "1M"},
	"orphan.qcow2":  {"create", "-f", "qcow2", "-b", "base2.qcow2", "-F", "qcow2", "orphan.qcow2"},
	"huge.qcow2":    {"create", "-f", "qcow2", "huge.qcow2", "3T"},
	"disk.qcow2":    {"create", "-f", "qcow2", "disk.qcow2", "64M"},
}

// An edit overwrites bytes of an image.
type edit struct {
	offset int64
	bytes  []byte
}

// edited are q.qcow2 with a field of its header overwritten.
var edited = map[string]edit{
	"ver9.qcow2":     {4, be32(9)},
	"cbits.qcow2":    {20, be32(40)},
	"magic.qcow2":    {0, []byte("QFIx")},
	"incompat.qcow2": {72, be64(1 << 40)},
	"corrupt.qcow2":  {72, be64(2)},
	"dirty.qcow2":    {72, be64(1)},
	"l1far.qcow2":    {40, be64(0x123)},
	"norefs.qcow2":   {56, be32(0)},
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// dependencies are the fixtures that must exist to make another; companions
// are the files that must lie beside it when it is used.
var (
	dependencies = map[string][]string{
		"q.qcow2": {"raw.img"}, "ov.qcow2": {"q.qcow2"},
		"orphan.qcow2": {"base2.qcow2"}, "bm.qcow2": {"bmless.qcow2"},
	}
	companions = map[string][]string{"ov.qcow2": {"q.qcow2"}, "extdata.qcow2": {"ext.data"}}
)

// workDir makes a directory with copies of the named fixtures. The test skips
// if one of them takes a peer that is not installed.
func workDir(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := fixtures.copyTo(dir, names...); errors.Is(err, errNoImager) {
		without(t, "qemu-utils")
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyTo puts fresh copies of the named fixtures into dir.
func (f *fixtureMaker) copyTo(dir string, names ...string) error {
	for _, name := range names {
		f.mu.Lock()
		err := f.make(name)
		f.mu.Unlock()
		if err != nil {
			return err
		}
		for _, file := range append([]string{name}, companions[name]...) {
			if p, ok := plain[file]; ok {
				if err := p.write(filepath.Join(dir, file)); err != nil {
					return err
				}
				continue
			}
			if err := copySparse(filepath.Join(f.dir, file), filepath.Join(dir, file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// make makes a fixture and what it depends on, once. f.mu is held.
func (f *fixtureMaker) make(name string) error {
	if err, done := f.made[name]; done {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o777); err != nil {
		return err
	}
	var err error
	for _, dep := range dependencies[name] {
		err = errors.Join(err, f.make(dep))
	}
	if err == nil {
		err = f.makeOne(name)
	}
	f.made[name] = err
	return err
}

func (f *fixtureMaker) makeOne(name string) error {
	path := filepath.Join(f.dir, name)
	if p, ok := plain[name]; ok {
		return p.write(path)
	}
	if args, ok := imaged[name]; ok {
		return f.imager(args...)
	}
	if e, ok := edited[name]; ok {
		return f.editCopy(path, e)
	}
	switch name {
	case "bm.qcow2":
		if err := os.Rename(filepath.Join(f.dir, "bmless.qcow2"), path); err != nil {
			return err
		}
		return f.imager("bitmap", "--add", name, "b0")
	case "short.qcow2":
		if err := f.editCopy(path, edit{}); err != nil {
			return err
		}
		return os.Truncate(path, 60)
	case "l2bad.qcow2":
		return f.breakL2(path)
	}
	return fmt.Errorf("no fixture is called %q", name)
}

// imager runs qemu-img. Creating a LUKS image times the key derivation, which
// fails now and then on a busy machine; that is no failure of what is tested.
func (f *fixtureMaker) imager(args ...string) error {
	path, err := exec.LookPath("qemu-img")
	if err != nil {
		return errNoImager
	}
	var out []byte
	for range 5 {
		cmd := exec.Command(path, args...)
		cmd.Dir = f.dir
		if out, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("qemu-img %v: %w: %s", args, err, out)
}

// writeLinked writes an empty qcow2 image of 1 MiB that stands on what the name says and records no
// format of it.
func writeLinked(t *testing.T, path, backing string) {
	t.Helper()
	const cluster = 1 << 16
	b := make([]byte, 4*cluster)
	header := slices.Concat([]byte("QFI\xfb"), be32(3), be64(512), be32(uint32(len(backing))),
		be32(16), be64(1<<20),
		be32(0), be32(1), be64(3*cluster), be64(cluster), be32(1), make([]byte, 36), be32(4),
		be32(104), be64(0))
	copy(b, header)
	copy(b[512:], backing)
	copy(b[cluster:], be64(2*cluster))
	copy(b[2*cluster:], []byte{0, 1, 0, 1, 0, 1, 0, 1})
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// editCopy writes q.qcow2 to path with e applied.
func (f *fixtureMaker) editCopy(path string, e edit) error {
	if err := f.make("q.qcow2"); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(f.dir, "q.qcow2"))
	if err != nil {
		return err
	}
	copy(b[e.offset:], e.bytes)
	return os.WriteFile(path, b, 0o666)
}

// breakL2 makes a q.qcow2 whose first L2 entry points between two clusters.
func (f *fixtureMaker) breakL2(path string) error {
	const offsetMask = 0x00fffffffffffe00
	if err := f.make("q.qcow2"); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(f.dir, "q.qcow2"))
	if err != nil {
		return err
	}
	l1 := binary.BigEndian.Uint64(b[40:])
	l2 := binary.BigEndian.Uint64(b[l1:]) & offsetMask
	return f.editCopy(path, edit{int64(l2), be64(1<<63 | 0x50200)})
}

// copySparse copies a file; blocks of zeroes become holes.
func copySparse(from, to string) error {
	const block = 4096
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	zeroes := make([]byte, block)
	for off := 0; off < len(b); off += block {
		chunk := b[off:min(off+block, len(b))]
		if bytes.Equal(chunk, zeroes[:len(chunk)]) {
			continue
		}
		if _, err := f.WriteAt(chunk, int64(off)); err != nil {
			return err
		}
	}
	return errors.Join(f.Truncate(int64(len(b))), f.Close())
}
