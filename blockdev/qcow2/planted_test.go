package qcow2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
)

// These tests put one wrong value into one field of an image, for every field of every table, and
// ask both qemu-io and this package: who opens it, what reading gives, what writing does, what a
// check counts and what a repair leaves.

// TestPlantedAgrees compares with qemu-io and qemu-img.
func TestPlantedAgrees(t *testing.T) {
	needPeers(t)
	stride := blockdevtest.Rounds(251, 13, 1) // a slice of all of them
	n := 0
	for _, image := range hostileImages(t) {
		t.Run(image.name, func(t *testing.T) {
			for _, p := range newLayout(image.data).plants() {
				if n++; n%stride != 0 {
					continue
				}
				t.Run(p.String(), func(t *testing.T) {
					c := &contest{t: t, dir: t.TempDir(), image: p.put(image.data)}
					c.reads()
					c.maps()
					c.writes()
					compareChecks(t, c.dir, c.image)
				})
			}
		})
	}
}

// What qemu-img repairs is repaired, also if the image is marked as corrupt: numbers that are far
// off in what the rest stands on.
func TestRepairsAgree(t *testing.T) {
	needPeers(t)
	n := 0
	for _, image := range hostileImages(t) {
		l := newLayout(image.data)
		if l.snapshot == 0 {
			continue
		}
		end := (uint64(len(l.b)) + uint64(l.cluster) - 1) &^ (uint64(l.cluster) - 1)
		for _, p := range []planted{
			{"reftable[1]", l.reftable + 8, 8, end},
			{"reftable[1]", l.reftable + 8, 8, 1 << 45},
			{"reftable clusters", 56, 4, 100},
			{"snapshots", 60, 4, 1000},
			{"snapshot L1 offset", l.snapshot, 8, 1 << 45},
			{"snapshot L1 size", l.snapshot + 8, 4, 1 << 20},
			{"snapshot extra length", l.snapshot + 36, 4, 1 << 22},
		} {
			if n++; !blockdevtest.Sampled(n, 3) {
				continue
			}
			t.Run(image.name+"/"+p.String(), func(t *testing.T) {
				b := p.put(image.data)
				compareChecks(t, t.TempDir(), b)
				if l.version == 3 {
					binary.BigEndian.PutUint64(b[72:], 2)
					compareChecks(t, t.TempDir(), b)
				}
			})
		}
	}
}

// contest is one image that both programs are asked about.
type contest struct {
	t     *testing.T
	dir   string
	image []byte
}

// fresh writes the image to a file of that name.
func (c *contest) fresh(name string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, c.image, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *contest) open(path string, readOnly bool) (*blockdev.Device, error) {
	return blockdev.Open(context.Background(), path, blockdev.OpenConfig{
		Drivers: testDrivers, Format: "qcow2", Mode: driver.Mode{NoFlush: true, ReadOnly: readOnly},
	})
}

// answer is the outcome of an operation: an error number's words, or what was read.
type answer string

func answerOf(data []byte, err error) answer {
	if err != nil {
		return answer(driver.ErrnoText(driver.Errno(err)))
	}
	return answer(hex.EncodeToString(data))
}

// failed says that it is an error and no data.
func (a answer) failed() bool { return len(a) != 1024 }

var (
	dumpLine  = regexp.MustCompile(`^[0-9a-f]{8}: ((?: [0-9a-f]{2})+) `)
	openError = regexp.MustCompile(`(?m)can't open[^:]*: (.*)$`)
)

// peer runs commands of qemu-io, and returns an answer for each, or why the image does not open.
func (c *contest) peer(
	path string, readOnly bool, commands []string,
) (answers []answer, refused string) {
	c.t.Helper()
	args := []string{"-f", "qcow2", "-t", "unsafe"}
	if readOnly {
		args = append(args, "-r")
	}
	for _, line := range commands {
		args = append(args, "-c", line)
	}
	cmd := exec.Command("qemu-io", append(args, path)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	if m := openError.FindStringSubmatch(stderr.String()); m != nil {
		return nil, m[1]
	}
	data := []byte{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if m := dumpLine.FindStringSubmatch(line); m != nil {
			b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
			if err != nil {
				c.t.Fatal(err)
			}
			data = append(data, b...)
			continue
		}
		_, words, failed := strings.Cut(line, " failed: ")
		if failed {
			data = data[:0]
		}
		done := strings.HasPrefix(line, "read ") || strings.HasPrefix(line, "wrote ") ||
			strings.HasPrefix(line, "discard ")
		switch {
		case failed:
			answers = append(answers, answer(words))
		case done:
			answers = append(answers, answerOf(data, nil))
			data = data[:0]
		}
	}
	return answers, ""
}

// ownWords are where this package says something else than qemu-io, by the words of the latter:
// sizes beyond 63 bits are no sizes, and data files are not supported.
var ownWords = map[string]string{
	"Could not refresh total sector count: File too large": "Image is too big",
	"'data-file' is required for this image":               "Unsupported qcow2 feature(s): ",
}

// sameRefusal compares why an image does not open, and says whether it opened for both. qemu-io
// loads dirty bitmaps, which this package does not use.
func (c *contest) sameRefusal(what string, err error, refused string) bool {
	c.t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if strings.Contains(strings.ToLower(refused), "bitmap") {
		return false
	}
	if ours, ok := ownWords[refused]; ok && strings.HasPrefix(got, ours) {
		return false
	}
	if got != refused {
		c.t.Errorf("%s: open says %q, qemu-io %q", what, got, refused)
		return false
	}
	return err == nil
}

// spots are offsets that are looked at: sectors of the first clusters, and some behind them.
func (c *contest) spots(size int64) []int64 {
	cluster := int64(1) << binary.BigEndian.Uint32(c.image[20:])
	var list []int64
	for i := range int64(11) {
		list = append(list, i*cluster, i*cluster+cluster-512)
	}
	list = append(list, size/2&^511, size-512)
	kept := list[:0]
	for _, off := range list {
		if off >= 0 && off+512 <= size {
			kept = append(kept, off)
		}
	}
	return kept
}

// guestSize is what both must take for the length of the guest.
func (c *contest) guestSize() int64 {
	return int64(min(binary.BigEndian.Uint64(c.image[24:]), 1<<62)) &^ 511
}

func (c *contest) reads() {
	c.t.Helper()
	path := c.fresh("read")
	d, err := c.open(path, true)
	if err == nil {
		defer d.Close()
	}
	var commands []string
	spots := c.spots(c.guestSize())
	for _, off := range spots {
		commands = append(commands, fmt.Sprintf("read -v %d 512", off))
	}
	want, refused := c.peer(path, true, commands)
	if !c.sameRefusal("read", err, refused) {
		return
	}
	if len(want) != len(spots) {
		c.t.Fatalf("%d answers of qemu-io for %d reads", len(want), len(spots))
	}
	for i, off := range spots {
		p := make([]byte, 512)
		if got := answerOf(p, d.Read(context.Background(), driver.Vec{p}, off, 0)); got != want[i] {
			c.t.Errorf("read at %d: %.80s, qemu-io: %.80s", off, got, want[i])
		}
	}
}

// maps compares what both know about where data is. This package may know more zeroes: those of a
// hole in the file, or behind its end.
func (c *contest) maps() {
	c.t.Helper()
	path := c.fresh("map")
	d, err := c.open(path, true)
	if err != nil {
		return // reads has compared that
	}
	defer d.Close()
	if _, refused := c.peer(path, true, nil); refused != "" {
		return
	}
	type extent struct {
		Start, Length int64
		Zero, Data    bool
		Offset        *int64
	}
	var list []extent
	cmd := exec.Command("qemu-img", "map", "-U", "--output=json", "--max-length=1M", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	theirs := err
	if theirs == nil {
		if err := json.Unmarshal(out, &list); err != nil {
			c.t.Fatalf("%v\n%s", err, out)
		}
	}
	end := min(d.Size(), 1<<20)
	var ours error
	for off := int64(0); off < end; {
		e, err := d.Status(context.Background(), off, end-off)
		if err != nil {
			ours = err
			break
		}
		for theirs == nil && len(list) > 0 && off >= list[0].Start+list[0].Length {
			list = list[1:]
		}
		if theirs == nil && len(list) > 0 {
			w := list[0]
			if w.Zero && !e.Zero || e.Zero && !w.Zero && !readsZero(d, e) || w.Data != e.Data ||
				w.Offset != nil && e.Depth == 0 && e.HostOff >= 0 &&
					*w.Offset+off-w.Start != e.HostOff {
				c.t.Errorf("map at %d: %+v, qemu-img %+v", off, e, w)
				return
			}
		}
		off += e.Len
	}
	if (ours == nil) != (theirs == nil) {
		c.t.Errorf("map: %v, qemu-img: %v\n%s", ours, theirs, stderr.String())
	}
}

// readsZero says whether an extent reads as zeroes.
func readsZero(d *blockdev.Device, e driver.Extent) bool {
	p := make([]byte, e.Len)
	return d.Read(context.Background(), driver.Vec{p}, e.Off, 0) == nil &&
		!bytes.ContainsFunc(p, func(r rune) bool { return r != 0 })
}

// writes does the same writes with both. Of an image that was sound both must say and leave the
// same; in a damaged one, where the damage shows depends on what is allocated when, and what was
// written must be read again if qemu-io can do that.
func (c *contest) writes() {
	c.t.Helper()
	before, _, sound := peerCheck(c.t, c.fresh("before"))
	sound = sound && before.Corruptions+before.CheckErrors == 0 &&
		// else qemu-io guards their directory, also where there is none
		autoclear(c.image)&bitmapsBit == 0
	theirs, ours := c.fresh("theirs"), c.fresh("ours")
	d, err := c.open(ours, false)
	var writes, reads []string
	var spots []int64
	for i, off := range c.spots(c.guestSize()) {
		if i%3 == 0 {
			spots = append(spots, off)
			writes = append(writes, fmt.Sprintf("write -P 0x%x %d 512", 0x30+len(spots), off))
			reads = append(reads, fmt.Sprintf("read -v %d 512", off))
		}
	}
	want, refused := c.peer(theirs, false, append(writes, reads...))
	if !c.sameRefusal("write", err, refused) {
		return
	}
	if len(want) < 2*len(spots) { // an assertion has ended it
		want, sound = make([]answer, 2*len(spots)), false
	}
	got := make([]answer, 2*len(spots))
	ctx := context.Background()
	for i, off := range spots {
		got[i] = answerOf(nil, d.Write(ctx, driver.Vec{pattern(i)}, off, 0))
	}
	for i, off := range spots {
		p := make([]byte, 512)
		got[len(spots)+i] = answerOf(p, d.Read(ctx, driver.Vec{p}, off, 0))
	}
	err = d.Close()
	broken := false
	for i, off := range spots {
		mine, theirs, right := got[len(spots)+i], want[len(spots)+i], answerOf(pattern(i), nil)
		broken = broken || got[i] != ""
		if got[i] == "" && mine != right && !mine.failed() && theirs == right {
			c.t.Errorf("wrote at %d, and read %.40s", off, mine)
		}
		if sound && (got[i] != want[i] || mine != theirs) {
			c.t.Errorf("write at %d: %q, then read %.40s; qemu-io: %q, then read %.40s", off,
				got[i], mine, want[i], theirs)
		}
	}
	if !sound {
		return
	}
	// a header that has no room for itself
	if err != nil && !broken && !errors.Is(err, syscall.ENOSPC) {
		c.t.Errorf("close: %v", err)
	}
	a, _, okA := peerCheck(c.t, theirs)
	b, _, okB := peerCheck(c.t, ours)
	if okA != okB || a.Corruptions != b.Corruptions || a.CheckErrors != b.CheckErrors {
		c.t.Errorf("after writing: ours %+v (%v), qemu-io's %+v (%v)", b, okB, a, okA)
	}
	sameContents(c.t, theirs, ours)
}

// pattern is what the i-th write writes.
func pattern(i int) []byte { return bytes.Repeat([]byte{0x31 + byte(i)}, 512) }
