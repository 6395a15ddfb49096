package ondisk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
)

// over reads from memory.
func over(disk []byte) Reader {
	return func(off int64, n int) ([]byte, error) {
		if off > int64(len(disk)) {
			return nil, nil
		}
		return disk[off:][:min(n, len(disk)-int(off))], nil
	}
}

// TestTables: every field lies within its structure, and has room for what it is shown as.
func TestTables(t *testing.T) {
	for _, s := range Structures() {
		for _, f := range s.fields {
			if f.Off < 0 || f.Len < 1 || f.Off+f.Len > s.Len || f.Name == "" {
				t.Errorf("%s: %+v", s.Doc, f)
			}
			switch f.form {
			case uuid, mixedGUID:
				if f.Len != 16 {
					t.Errorf("%s: %+v", s.Doc, f)
				}
			case little, littleHex, big, bigHex:
				if f.Len > 8 {
					t.Errorf("%s: %+v", s.Doc, f)
				}
			}
		}
		for _, m := range s.magic {
			if m.off+len(m.text) > s.Len {
				t.Errorf("%s: its magic lies behind its end", s.Doc)
			}
		}
	}
}

// table is a disk with a GPT of one partition.
func table() []byte {
	disk := make([]byte, 1<<20)
	le := binary.LittleEndian
	entry := disk[1024:]
	copy(entry, "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4")
	le.PutUint64(entry[32:], 34)
	le.PutUint64(entry[40:], 99)
	for i, r := range "root" {
		entry[56+2*i] = byte(r)
	}
	head := disk[512:]
	copy(head, "EFI PART\x00\x00\x01\x00")
	le.PutUint32(head[12:], 92)
	le.PutUint64(head[72:], 2)
	le.PutUint32(head[80:], 128)
	le.PutUint32(head[84:], 128)
	le.PutUint32(head[88:], crc32.ChecksumIEEE(disk[1024:][:128*128]))
	le.PutUint32(head[16:], crc32.ChecksumIEEE(head[:92]))
	return disk
}

// said is what the parts say, a line each.
func said(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Name + "\n")
		for _, f := range p.Fields {
			b.WriteString(f.Name + ": " + f.Value + " " + f.Meaning + "\n")
		}
	}
	return b.String()
}

func TestGPT(t *testing.T) {
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		change func(disk []byte)
		want   []string
	}{
		"right": {func([]byte) {}, []string{
			"header checksum: right", "checksum of entries: right", "partition 1, 33 KiB\n",
			"type: 0fc63daf-8483-4772-8e79-3d69d8477de4 Linux\n", "name: root ",
		}},
		"another partition": {func(d []byte) { d[1024+56]++ }, []string{
			"header checksum: right", "checksum of entries: wrong", "name: soot ",
		}},
		"header size":   {func(d []byte) { le.PutUint32(d[512+12:], 1<<31) }, []string{"is not within 92 and 512"}},
		"entries":       {func(d []byte) { le.PutUint32(d[512+80:], 1<<31) }, []string{"is more than 1024"}},
		"size of them":  {func(d []byte) { le.PutUint32(d[512+84:], 1<<31) }, []string{"is not within 128 and 4096"}},
		"far away":      {func(d []byte) { le.PutUint64(d[512+72:], 1<<63) }, []string{"lies too far behind"}},
		"behind":        {func(d []byte) { le.PutUint64(d[512+72:], 1<<20) }, []string{"lies behind the end"}},
		"end and begin": {func(d []byte) { le.PutUint64(d[1024+40:], 1) }, []string{"partition 1\n"}},
	} {
		disk := table()
		c.change(disk)
		parts, err := gpt(sector).Decode(over(disk))
		got := said(parts)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s%v", name, want, got, err)
			}
		}
	}
}

// TestHostile: whatever lies behind a magic number, decoding ends and nothing breaks.
func TestHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		disk := make([]byte, r.IntN(9000))
		for i := range disk {
			disk[i] = byte(r.Uint32() >> 24 & (r.Uint32() >> r.IntN(32)))
		}
		for _, s := range Structures() {
			for _, m := range s.magic {
				if at := int(s.Off) + m.off; at < len(disk) {
					copy(disk[at:], m.text)
				}
			}
			parts, err := s.Decode(over(disk))
			if err != nil || parts != nil != (len(disk) >= int(s.Off)+s.Len) {
				t.Fatalf("%s in %d bytes: %d parts, %v", s.Doc, len(disk), len(parts), err)
			}
		}
	}
}

// FuzzDecode: whatever lies on a disk, every structure is decoded from bytes that were read, within
// a disk that reads fail in or not.
func FuzzDecode(f *testing.F) {
	f.Add(table(), uint8(0))
	for _, s := range Structures() {
		disk := make([]byte, int(s.Off)+s.Len)
		for _, m := range s.magic {
			copy(disk[int(s.Off)+m.off:], m.text)
		}
		f.Add(disk, uint8(0))
		f.Add(disk[:len(disk)-1], uint8(1))
	}
	f.Fuzz(func(t *testing.T, disk []byte, fails uint8) {
		reads := 0
		read := func(off int64, n int) ([]byte, error) {
			if reads++; off < 0 || n < 0 || n > mostEntries*4096 {
				t.Fatalf("asks for %d bytes at %d", n, off)
			}
			if reads == int(fails) {
				return nil, errBroken
			}
			return over(disk)(off, n)
		}
		for _, s := range Structures() {
			parts, err := s.Decode(read)
			if err != nil && parts != nil {
				t.Errorf("%s: both parts and %v", s.Doc, err)
			}
			for _, p := range parts {
				for _, v := range p.Fields {
					if v.Off < 0 || v.Len < 1 || v.Off+int64(v.Len) > int64(len(disk)) {
						t.Errorf("%s: %+v is in no disk of %d bytes", p.Name, v, len(disk))
					}
				}
			}
		}
	})
}

var errBroken = errors.New("a bad sector")

// TestOldHeaders: what came with a later version is not read out of what lies behind an older
// header.
func TestOldHeaders(t *testing.T) {
	head := func(put func(b []byte)) []byte {
		b := bytes.Repeat([]byte{0xa5}, 4096)
		put(b)
		return b
	}
	be, le := binary.BigEndian, binary.LittleEndian
	qcow2 := func(version, length uint32) []byte {
		return head(func(b []byte) {
			be.PutUint32(b, 0x514649fb)
			be.PutUint32(b[4:], version)
			be.PutUint32(b[100:], length)
		})
	}
	ext := func(revision uint32) []byte {
		return head(func(b []byte) {
			le.PutUint16(b[1024+0x38:], 0xef53)
			le.PutUint32(b[1024+0x4c:], revision)
		})
	}
	for _, c := range []struct {
		name, structure string
		disk            []byte
		last            string
	}{
		{"qcow2 version 2", "qcow2", qcow2(2, 200), "snapshot table offset"},
		{"qcow2 version 3", "qcow2", qcow2(3, 104), "header length"},
		{"qcow2 version 3 with a compression type", "qcow2", qcow2(3, 112), "compression type"},
		{"qcow2 that is longer than it can be", "qcow2", qcow2(3, 1<<31), "compression type"},
		{"ext2", "ext4", ext(0), "revision"},
		{"ext4", "ext4", ext(1), "made"},
	} {
		for _, s := range Structures() {
			if s.Name != c.structure {
				continue
			}
			parts, err := s.Decode(over(c.disk))
			if err != nil || len(parts) != 1 {
				t.Fatalf("%s: %v, %v", c.name, parts, err)
			}
			fields := parts[0].Fields
			if last := fields[len(fields)-1].Name; last != c.last {
				t.Errorf("%s ends with %q, want %q", c.name, last, c.last)
			}
		}
	}
}
