package commands_test

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckDraws: the clusters that a check finds wrong are the ones that it draws as such.
func TestCheckDraws(t *testing.T) {
	dir := t.TempDir()
	in(t, dir, nil, "create -f qcow2 disk 16M", "open disk", "write -q 0 1M")
	image, err := os.ReadFile("disk")
	if err != nil {
		t.Fatal(err)
	}
	be := binary.BigEndian
	blocks := be.Uint64(image[48:])             // where the refcount table is
	counts := image[be.Uint64(image[blocks:]):] // the first block of counts, of 16 bits each
	be.PutUint16(counts[2*10:], 0)
	be.PutUint16(counts[2*12:], 0)
	be.PutUint16(counts[2*20:], 2)
	if err := os.WriteFile("disk", image, 0o600); err != nil {
		t.Fatal(err)
	}
	said, status := in(t, dir, nil, "check --draw disk")
	for _, want := range []string{
		"counted too seldom: 128 KiB, ", "leaked: 64 KiB, ", "in use: 1.125 MiB, ",
		"        640k  " + strings.Repeat("X", 32) + strings.Repeat("#", 32) + "\n",
		"        768k  " + strings.Repeat("X", 32) + strings.Repeat("#", 32) + "\n",
		"       1280k  " + strings.Repeat("L", 32),
		"ERROR cluster 10 ", "ERROR cluster 12 ", "Leaked cluster 20 ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	if status != 1 {
		t.Errorf("status %d", status)
	}
}

// TestPictureFile: a picture is whole or not there, and takes the place of nothing unless it is
// asked to.
func TestPictureFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ line, want string }{
		{"map --svg p.svg", "drawn: p.svg\n"},
		{"map --svg p.svg", "p.svg: is there already"},
		{"map --svg p.svg --force", "drawn: p.svg\n"},
		{"iszero --svg z.svg", "not zero"}, // of which a picture is wanted all the same
		{"compare --svg c.svg nosuch", "nosuch"},
		{"compare --svg c.svg disk", "drawn: c.svg\n"},
		{"check --svg k.svg", "drawn: k.svg\n"},
		{"verify_read --svg v.svg", "damaged: 256"},
		{"map --svg nosuch/p.svg", "No such file"},
	} {
		said, _ := in(t, dir, nil, "create --force -f qcow2 disk 1M", "open disk", "write -q 0 64k",
			c.line)
		if !strings.Contains(said, c.want) {
			t.Errorf("%s: %s", c.line, said)
		}
	}
	pictures, err := filepath.Glob("*.svg*")
	if got := strings.Join(pictures, " "); got != "c.svg k.svg p.svg v.svg z.svg" || err != nil {
		t.Errorf("files %s, %v", got, err)
	}
	for _, name := range pictures {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(strings.NewReader(string(text))); err == nil; {
			_, err = d.Token()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
