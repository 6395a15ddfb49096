package luksheader

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// crashVariants are headers of both versions that open quickly.
func crashVariants() map[string]Config {
	return map[string]Config{
		"1": config(1, "aes-xts-plain64", "sha256", 32, ""),
		"2": config(2, "aes-xts-plain64", "sha256", 32, PBKDF2),
	}
}

// TestCrash stops every change of a header at every write of it, torn at every sector, and looks at
// what is left: a header that can be read, whose other passphrases open it.
func TestCrash(t *testing.T) {
	for name, c := range crashVariants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, slot := range []int{3, 6} { // 6 lies in both sectors of a header of version 1
				crash(t, c, slot)
			}
		})
	}
}

func crash(t *testing.T, c Config, slot int) {
	ctx := context.Background()
	m, h, key := create(t, c)
	before := bytes.Clone(m.data)
	m.writes = nil
	if err := h.SetSlot(ctx, slot, key, []byte("second"), c.Cost); err != nil {
		t.Fatal(err)
	}
	eachCrash(before, m.writes, func(what string, left *memory) {
		if !unlocks(t, reread(t, left), "first", key) {
			t.Fatalf("adding slot %d, %s: the first passphrase is lost", slot, what)
		}
	})
	added := bytes.Clone(m.data)
	m.writes = nil
	if err := h.ClearSlot(ctx, 0); err != nil {
		t.Fatal(err)
	}
	eachCrash(added, m.writes, func(what string, left *memory) {
		if !unlocks(t, reread(t, left), "second", key) {
			t.Fatalf("clearing slot 0, %s: the other passphrase is lost", what)
		}
	})
}

// eachCrash calls check with what may be stored after a crash: all that was flushed, and of the
// writes behind the last flush each alone and all of them, whole or up to a sector.
func eachCrash(stored []byte, writes []memoryWrite, check func(what string, left *memory)) {
	flushed := bytes.Clone(stored)
	var open []memoryWrite
	for i, w := range append(writes, memoryWrite{}) {
		if w.data != nil {
			open = append(open, w)
			continue
		}
		all := &memory{data: bytes.Clone(flushed)}
		for _, o := range open {
			for cut := range tears(len(o.data)) {
				left := &memory{data: bytes.Clone(flushed)}
				left.put(o.data[:cut], o.off)
				check(fmt.Sprintf("write %d at %d up to %d", i, o.off, cut), left)
				rest := &memory{data: bytes.Clone(flushed)} // the second part came first
				rest.put(o.data[cut:], o.off+int64(cut))
				check(fmt.Sprintf("write %d at %d from %d on", i, o.off, cut), rest)
			}
			all.put(o.data, o.off)
		}
		flushed, open = all.data, nil
	}
}

// tears are the places where a write of n bytes may be torn: the first sectors, and some later
// ones.
func tears(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for cut := 0; cut <= n; cut += sectorLen {
			if (cut < 4*sectorLen || cut%(64*sectorLen) == 0) && !yield(cut) {
				return
			}
		}
	}
}

// TestCrashIsSeen: where the material is written after the header, a crash in between is found.
func TestCrashIsSeen(t *testing.T) {
	c := config(1, "aes-xts-plain64", "sha256", 32, "")
	m, h, key := create(t, c)
	before := bytes.Clone(m.data)
	m.writes = nil
	if err := h.SetSlot(context.Background(), 0, key, []byte("second"), c.Cost); err != nil {
		t.Fatal(err)
	}
	lost := 0
	eachCrash(before, m.writes, func(_ string, left *memory) {
		h := reread(t, left)
		if !unlocks(t, h, "first", key) && !unlocks(t, h, "second", key) {
			lost++
		}
	})
	if lost == 0 {
		t.Error("overwriting the only slot loses nothing, says the test")
	}
}

// TestFailedWrite: after a write that fails, the header is what it was, and can be changed.
func TestFailedWrite(t *testing.T) {
	ctx := context.Background()
	for name, c := range crashVariants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				m, h, key := create(t, c)
				m.fail = n
				err := h.SetSlot(ctx, 1, key, []byte("second"), c.Cost)
				if err == nil {
					return
				}
				m.fail = 0
				if Active(h) != 1 || !unlocks(t, h, "first", key) {
					t.Fatalf("write %d failed: %d slots", n, Active(h))
				}
				if err := h.SetSlot(ctx, 2, key, []byte("third"), c.Cost); err != nil {
					t.Fatal(err)
				}
				h = reread(t, m)
				if !unlocks(t, h, "third", key) || !unlocks(t, h, "first", key) ||
					unlocks(t, h, "second", key) {
					t.Fatalf("write %d failed: other slots open than should", n)
				}
			}
		})
	}
}

// FuzzRead reads headers that anybody may have written.
func FuzzRead(f *testing.F) {
	for _, c := range []Config{
		config(1, "aes-xts-plain64", "sha256", 64, ""),
		config(2, "aes-xts-plain64", "sha256", 64, Argon2id),
	} {
		m, _, _ := create(f, c)
		f.Add(m.data[:min(len(m.data), 32<<10)], "")
		if c.Version == 2 {
			body := m.data[binaryLen:]
			f.Add(m.data[:binaryLen], string(body[:bytes.IndexByte(body, 0)]))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, body string) {
		if body != "" && len(data) >= binaryLen { // a checksum that is right lets the text through
			data = append(bytes.Clone(data[:binaryLen]), make([]byte, minHeader2-binaryLen)...)
			copy(data[binaryLen:], body)
			copy(data[off2Alg:], "sha256\x00")
			c := &copy2{raw: data}
			sum, err := c.checksum()
			if err != nil {
				t.Fatal(err)
			}
			copy(data[off2Checksum:], sum)
		}
		for _, detached := range []bool{false, true} {
			h, err := Read(context.Background(), &memory{data: data}, detached)
			if err != nil {
				continue
			}
			p := h.Payload()
			if p.Off < 0 || p.KeyLen <= 0 || p.KeyLen > maxKeyLen || p.Unit < sectorLen {
				t.Errorf("%+v", p)
			}
			for i, s := range h.Slots() {
				if s.Active && (s.Off < firstSlot || s.Len <= 0) {
					t.Errorf("slot %d: %+v", i, s)
				}
			}
		}
	})
}
