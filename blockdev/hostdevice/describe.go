package hostdevice

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
)

var _ driver.Stored = (*device)(nil)

// attribute is something that sysfs tells of a disk.
type attribute struct {
	key, file string // the file is in the folder of the disk
	tell      func(text string) any
}

// attributes are told in this order, those that a disk has.
var attributes = []attribute{
	{"model", "device/model", asText},
	{"vendor", "device/vendor", asText},
	{"serial", "device/serial", asText},
	{"rotational", "queue/rotational", asBool},
	{"removable", "removable", asBool},
	{"logical block", "queue/logical_block_size", asBytes},
	{"physical block", "queue/physical_block_size", asBytes},
	{"minimum request", "queue/minimum_io_size", asBytes},
	{"optimal request", "queue/optimal_io_size", asGiven},
	{"discard unit", "queue/discard_granularity", asGiven},
	{"discard limit", "queue/discard_max_bytes", asLimit},
	{"zeroing limit", "queue/write_zeroes_max_bytes", asLimit},
	{"write cache", "queue/write_cache", asText},
	{"zoned", "queue/zoned", asText},
}

func asText(text string) any { return text }

func asBool(text string) any { return text != "0" }

// asBytes is nil for what is no number.
func asBytes(text string) any {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil
	}
	return driver.Bytes(n)
}

// asGiven is asBytes where 0 says that the disk does not tell.
func asGiven(text string) any {
	if text == "0" {
		return nil
	}
	return asBytes(text)
}

// asLimit is asBytes where 0 says that the disk cannot do it.
func asLimit(text string) any {
	if text == "0" {
		return "none, it cannot do that"
	}
	return asBytes(text)
}

// DescribeStorage tells what the system knows of the disk, its partitions, and who uses it. Nothing
// of that is known of a character device.
func (d *device) DescribeStorage() []driver.Detail {
	if !d.block {
		return nil
	}
	return append(describeDisk(d.folder()), d.DescribeUses()...)
}

// folder is that of the device in sysfs, "" if it has none.
func (d *device) folder() string {
	var st unix.Stat_t
	if err := d.With(func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return ""
	}
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	folder, err := filepath.EvalSymlinks(link)
	if err != nil {
		return ""
	}
	return folder
}

// describeDisk reads the folder of a disk or of one of its partitions. A partition is described by
// the disk it is on.
func describeDisk(folder string) []driver.Detail {
	if folder == "" {
		return nil
	}
	var list []driver.Detail
	disk := folder
	if _, ok := readAttribute(folder, "partition"); ok {
		disk = filepath.Dir(folder)
		list = append(list, driver.Detail{Key: "partition of", Value: "/dev/" + deviceName(disk)})
	}
	for _, a := range attributes {
		text, ok := readAttribute(disk, a.file)
		if !ok || text == "" {
			continue
		}
		if value := a.tell(text); value != nil {
			list = append(list, driver.Detail{Key: a.key, Value: value})
		}
	}
	if parts := partitions(folder); len(parts) > 0 {
		list = append(list, driver.Detail{Key: "partitions", Sub: parts})
	}
	return list
}

func readAttribute(folder, file string) (text string, ok bool) {
	b, err := os.ReadFile(filepath.Join(folder, file))
	return strings.TrimSpace(string(b)), err == nil
}

// deviceName is what the device of a folder is called in /dev, where "!" stands for "/".
func deviceName(folder string) string {
	return strings.ReplaceAll(filepath.Base(folder), "!", "/")
}

// partitions lists those of a disk in the order in which they lie on it.
func partitions(folder string) []driver.Detail {
	files, _ := filepath.Glob(filepath.Join(folder, "*", "partition")) // the pattern is well-formed
	type part struct {
		name        string
		start, size driver.Bytes
	}
	var parts []part
	for _, f := range files {
		p := part{name: deviceName(filepath.Dir(f))}
		p.start, p.size = sectors(filepath.Dir(f), "start"), sectors(filepath.Dir(f), "size")
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.start, b.start) })
	var list []driver.Detail
	for _, p := range parts {
		list = append(list, driver.Detail{Key: "/dev/" + p.name, Sub: []driver.Detail{
			{Key: "offset", Value: p.start},
			{Key: "length", Value: p.size},
		}})
	}
	return list
}

// sectors reads a number of sectors of 512 bytes, whatever those of the disk are, and gives bytes.
// What is no such number counts as 0.
func sectors(folder, file string) driver.Bytes {
	text, _ := readAttribute(folder, file)
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > math.MaxInt64/driver.SectorSize {
		return 0
	}
	return driver.Bytes(n * driver.SectorSize)
}
