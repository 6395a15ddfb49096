package blockdev

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
)

// foreignHeads begin files of each format of others: all of a magic and nothing behind it.
var foreignHeads = map[string][]string{
	"bochs": {
		"Bochs Virtual HD Image" + strings.Repeat("\x00", 10) + "Redolog" +
			strings.Repeat("\x00", 9) + "Growing" +
			strings.Repeat("\x00", 9) + "\x00\x00\x02\x00",
	},
	"cloop":     {"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"},
	"luks":      {"LUKS\xba\xbe\x00\x01", "LUKS\xba\xbe\x00\x02"},
	"parallels": {"WithoutFreeSpace\x02\x00\x00\x00", "WithouFreSpacExt\x02\x00\x00\x00"},
	"qcow":      {"QFI\xfb\x00\x00\x00\x01"},
	"qed":       {"QED\x00"},
	"vdi":       {strings.Repeat("<", 64) + "\x7f\x10\xda\xbe"},
	"vhdx":      {"vhdxfile"},
	"vmdk": {
		"KDMV", "COWD", "\xbe\xba\xfe\xca\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00",
		"# Disk DescriptorFile\nversion=1\n", "# Disk DescriptorFile\r\nencoding=\"UTF-8\"\r\n",
		"#x\n \nversion=3\r\n",
	},
	"vpc": {"conectix"},
}

// QEMU takes these for raw; its own way of guessing does the same.
var rawToQEMU = []string{"LUKS\xba\xbe\x00\x02", "\xbe\xba\xfe\xca", "# Disk DescriptorFile\r\nenc"}

func isRawToQEMU(head string) bool {
	for _, h := range rawToQEMU {
		if strings.HasPrefix(head, h) {
			return true
		}
	}
	return false
}

// mustBeForeign opens name and wants it refused as an image of format, "" if it is raw.
func mustBeForeign(t *testing.T, cfg OpenConfig, name, format string) {
	t.Helper()
	cfg.Mode.ReadOnly = true
	d, err := Open(t.Context(), name, cfg)
	if err == nil {
		defer d.Close()
	}
	var foreign *ForeignFormatError
	switch {
	case format == "" && err != nil:
		t.Errorf("%q: %v", name, err)
	case format != "" && (!errors.As(err, &foreign) || foreign.Format != format):
		t.Errorf("%q: %v, want format %s", name, err, format)
	}
}

// An image of a format without a driver is never taken for raw: at the top, behind another image,
// and cut off behind its magic.
func TestForeignFormats(t *testing.T) {
	for format, heads := range foreignHeads {
		for _, head := range heads {
			files := map[string]*ram{
				"x": ramFile(head), "short": {data: []byte(head)},
				"over": ramFile("Lx\n"),
			}
			cfg := testConfig(t, files)
			for _, name := range []string{
				"x", "short", "over",
				`json:{"file":{"driver":"ram","filename":"x"}}`,
			} {
				mustBeForeign(t, cfg, name, format)
				cfg.LikeQEMU = true
				if isRawToQEMU(head) {
					mustBeForeign(t, cfg, name, "")
				} else {
					mustBeForeign(t, cfg, name, format)
				}
				cfg.LikeQEMU = false
			}
			cfg.Format = "raw"
			mustBeForeign(t, cfg, "x", "")
		}
	}
}

// What only resembles a format is raw: less than its magic, another version, the magic of a disc
// behind 32 KiB, a driver of that name.
func TestNotForeign(t *testing.T) {
	iso := ramFile("")
	iso.data = append(iso.data, bytes.Repeat([]byte{0}, 40000)...)
	copy(iso.data[32769:], "CD001")
	files := map[string]*ram{
		"empty": {}, "KDM": {data: []byte("KDM")},
		"qcow version 0": ramFile("QFI\xfb\x00\x00\x00\x00"), "iso": iso,
		"LUKS version 3":             ramFile("LUKS\xba\xbe\x00\x03"),
		"WithoutFreeSpace version 1": ramFile("WithoutFreeSpace\x01"),
		"script":                     ramFile("#!/bin/sh\n# version=1\n"),
		"version":                    ramFile("\nversion=1\n"),
	}
	for name := range files {
		mustBeForeign(t, testConfig(t, files), name, "")
	}
	vdi := plainFormat()
	vdi.Name, vdi.Probe = "vdi", func([]byte, string) int { return 0 }
	cfg := testConfig(t, map[string]*ram{"x": ramFile(foreignHeads["vdi"][0])})
	cfg.Drivers = append(cfg.Drivers, vdi)
	mustBeForeign(t, cfg, "x", "")
}

// A footer tells a format as a header does, unless it cannot be read.
func TestForeignFooters(t *testing.T) {
	footer := func(magic string, behind int) *ram {
		r := ramFile("")
		copy(r.data[len(r.data)-behind:], magic)
		return r
	}
	files := map[string]*ram{
		"fixed": footer("conectix", 512), "old": footer("conectix", 511),
		"dmg": footer("koly", 512), "padded.dmg": footer("koly", 900),
		"raw": footer("conectix", 513), "tiny": {data: []byte("koly")},
	}
	for name, format := range map[string]string{
		"fixed": "vpc", "old": "vpc", "dmg": "dmg",
		"padded.dmg": "dmg", "raw": "", "tiny": "dmg",
	} {
		cfg := testConfig(t, files)
		mustBeForeign(t, cfg, name, format)
		cfg.LikeQEMU = true
		want := ""
		if strings.HasSuffix(name, ".dmg") { // which QEMU goes by
			want = "dmg"
		}
		mustBeForeign(t, cfg, name, want)
	}
	cfg := testConfig(t, files)
	open := cfg.Drivers[1].Open
	cfg.Drivers[1].Open = func(ctx context.Context, o *driver.Opening) (driver.Node, error) {
		n, err := open(ctx, o)
		return badEnd{driver.Filter{Next: n}}, err
	}
	mustBeForeign(t, cfg, "fixed", "")
}

// badEnd cannot be read behind its first sector.
type badEnd struct{ driver.Filter }

func (n badEnd) ReadVec(ctx context.Context, v Vec, off int64, f Flags) error {
	if off > 0 {
		return syscall.EIO
	}
	return n.Next.ReadVec(ctx, v, off, f)
}

// FuzzForeign looks at any beginning, end and name. What has a magic of others is never taken for
// raw, whatever stands behind it.
func FuzzForeign(f *testing.F) {
	for _, heads := range foreignHeads {
		for _, head := range heads {
			f.Add([]byte(head), []byte("conectix"), "a.dmg")
		}
	}
	f.Add([]byte("#\n\n \nversion=1\n"), []byte("koly"), "")
	f.Fuzz(func(t *testing.T, head, tail []byte, name string) {
		for _, likeQEMU := range []bool{false, true} {
			ours := &tree{cfg: OpenConfig{LikeQEMU: likeQEMU}}
			found := ours.foreignHead(head, name)
			for format, heads := range foreignHeads {
				for _, magic := range heads {
					known := bytes.HasPrefix(head, []byte(magic)) &&
						!(likeQEMU && isRawToQEMU(magic))
					if known && found == nil {
						t.Errorf("%q is taken for raw, not for %s", head, format)
					}
				}
			}
		}
		for i := range foreignFormats {
			if extra := foreignFormats[i].extra; extra != nil {
				extra(nil, tail)
			}
		}
	})
}
