package commands_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/verify"
	"github.com/blksh/blksh/verify/merkle"
)

// scattered makes an image with data at odd places, and zeroes that were written.
func scattered(t *testing.T, size int64) (name string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	for _, at := range []int64{3, 64 << 10, 200_000, 1<<20 - 5, 33 << 20, 70<<20 + 512} {
		for n := int64(1); n < 300_000 && at+n < size; n *= 30 {
			verify.Random(uint64(at+n)).Fill(content[at:at+n], at)
		}
	}
	name = filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const page = 4096
	for at := int64(0); at < size; at += page {
		p := content[at:min(at+page, size)]
		if verify.IsZero(p) && at%(17*page) != 0 {
			continue
		}
		if _, err := f.WriteAt(p, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return name, content
}

// treeOf is the sum of a tree of content, leaf by leaf.
func treeOf(t *testing.T, h func() hash.Hash, content []byte) string {
	t.Helper()
	tree, all := merkle.New(h), &merkle.Part{}
	for at := 0; at < len(content); at += merkle.Leaf {
		tree.Add(all, content[at:min(at+merkle.Leaf, len(content))])
	}
	root, err := tree.Root(all)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", root)
}

// blksumOf is what the program blksum documents: H(H(block 1) || ... || H(block N) || length).
func blksumOf(content []byte) string {
	outer := sha256.New()
	for block := range slices.Chunk(content, 64<<10) {
		sum := sha256.Sum256(block)
		outer.Write(sum[:])
	}
	outer.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(content))))
	return fmt.Sprintf("%x", outer.Sum(nil))
}

// TestSums: the sums that are made by blocks are those of the content, whatever is a hole, wherever
// the range begins, and on any format.
func TestSums(t *testing.T) {
	name, content := scattered(t, 71<<20+1536)
	s := newShell(t, "native")
	qcow2 := filepath.Join(t.TempDir(), "disk.qcow2")
	s.dialogue(t, "copy --source-format raw "+name+" "+qcow2)
	for _, open := range []string{"open -r -f raw " + name, "open -r -f qcow2 " + qcow2} {
		s.dialogue(t, open)
		for _, r := range [][2]int{
			{0, len(content)},
			{0, 0},
			{0, 1},
			{0, 64 << 10},
			{0, 64<<10 + 1},
			{5, 40 << 20},
			{200_000, 3 << 20},
			{4096, len(content) - 4096},
			{34 << 20, 36 << 20},
		} {
			data := content[r[0]:][:r[1]]
			for _, c := range []struct{ flags, want string }{
				{"--tree", treeOf(t, sha256.New, data)},
				{"--tree -a sha512", treeOf(t, sha512.New, data)},
				{"-a blksum", blksumOf(data)},
			} {
				line := fmt.Sprintf("sum %s %d %d", c.flags, r[0], r[1])
				if got := s.dialogue(t, line); !strings.HasPrefix(got, c.want) {
					t.Errorf("%s, %s: %s, not %s", open, line, got, c.want)
				}
			}
		}
		s.dialogue(t, "close")
	}
}
