package merkle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/blksh/blksh/verify"
	"pgregory.net/rapid"
)

// byDefinition is T as the package comment has it.
func byDefinition(data []byte) []byte {
	sum := func(parts ...[]byte) []byte {
		s := sha256.Sum256(bytes.Join(parts, nil))
		return s[:]
	}
	n := Leaves(int64(len(data)))
	switch n {
	case 0:
		return sum()
	case 1:
		return sum([]byte{0}, data)
	}
	k := int64(1)
	for 2*k < n {
		k *= 2
	}
	return sum([]byte{1}, byDefinition(data[:k*Leaf]), byDefinition(data[k*Leaf:]))
}

// partOf is that of all leaves of data, of which the first has a number.
func partOf(t *Tree, data []byte, first int64) *Part {
	p := &Part{First: first}
	for at := 0; at < len(data); at += Leaf {
		t.Add(p, data[at:min(at+Leaf, len(data))])
	}
	return p
}

// TestVectors are the sums that the page on shards prints, made by another program.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		name, want string
		data       []byte
	}{
		{"nothing", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", nil},
		{"abc", "609f6e36d2405585188d5cfd761f407c7cc46a7d3f314c88270469dde315fcd1", []byte("abc")},
		{"a leaf of zeroes", "3266304f31be278d06c3bd3eb9aa3e00c59bedec0a890de466568b0b90b0e01f", make([]byte, Leaf)},
		{"a byte more", "c5116a9f6cb3e91c32b11742d616e56678c1974a5255375a296a4ffc93ab9469", make([]byte, Leaf+1)},
		{"three leaves of 0x61", "386976a78460a3b22f04f35a5f20310f2a6d048ab3aa7294b2c6400b3551fb3c", bytes.Repeat([]byte("a"), 3*Leaf)},
		{"a MiB of zeroes", "ab990c962ed85d75405bb9dcb533611d45dcfe86f4e3e779602989748e5ec4c3", make([]byte, 1<<20)},
	} {
		tree := New(sha256.New)
		got, err := tree.Root(partOf(tree, v.data, 0))
		if err != nil || hex.EncodeToString(got) != v.want {
			t.Errorf("%s: %x, %v", v.name, got, err)
		}
	}
}

// TestKnownTrees has the hashes of leaves and roots that implementations of RFC 6962 share.
func TestKnownTrees(t *testing.T) {
	t.Parallel()
	leaves := []string{
		"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
		"606162636465666768696a6b6c6d6e6f",
	}
	tree := New(sha256.New)
	p := &Part{}
	for i, want := range []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	} {
		leaf, err := hex.DecodeString(leaves[i])
		if err != nil {
			t.Fatal(err)
		}
		tree.Add(p, leaf)
		root, err := tree.Root(p)
		if err != nil || hex.EncodeToString(root) != want {
			t.Errorf("%d leaves: %x, %v", i+1, root, err)
		}
	}
}

// TestParts: content that is cut between any leaves and whose holes are never looked at has the
// sum of the definition, however parts are joined.
func TestParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := make([]byte, rapid.IntRange(0, 12*Leaf).Draw(t, "length"))
		for _, leaf := range rapid.SliceOfN(rapid.IntRange(0, 11), 0, 6).Draw(t, "data") {
			if at := leaf * Leaf; at < len(data) {
				verify.Random(3).Fill(data[at:min(at+Leaf, len(data))], int64(at))
			}
		}
		tree := New(sha256.New)
		var parts []*Part
		for at := 0; at < len(data); {
			n := min(rapid.IntRange(1, 5).Draw(t, "leaves")*Leaf, len(data)-at)
			p := &Part{First: int64(at / Leaf)}
			if part := data[at : at+n]; verify.IsZero(part) && n%Leaf == 0 {
				tree.AddZeroes(p, int64(n/Leaf))
			} else {
				p = partOf(tree, part, p.First)
			}
			if err := p.Check(sha256.Size); err != nil || p.Leaves != Leaves(int64(n)) {
				t.Fatalf("%d leaves of %d bytes, %v", p.Leaves, n, err)
			}
			parts = append(parts, p)
			at += n
		}
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "join")
			if err := tree.Join(parts[i], parts[i+1]); err != nil {
				t.Fatal(err)
			}
			parts = append(parts[:i+1], parts[i+2:]...)
		}
		all := &Part{}
		if len(parts) > 0 {
			all = parts[0]
		}
		root, err := tree.Root(all)
		if err != nil || !bytes.Equal(root, byDefinition(data)) {
			t.Fatalf("%x, %v for %d bytes", root, err, len(data))
		}
		if len(all.Nodes) > 4 {
			t.Fatalf("%d subtrees of %d leaves", len(all.Nodes), all.Leaves)
		}
	})
}

// TestHole sums up the longest hole there is, which takes no time, in one part and in two.
func TestHole(t *testing.T) {
	t.Parallel()
	const all = math.MaxInt64 / Leaf
	tree := New(sha256.New)
	one, first := &Part{}, &Part{}
	tree.AddZeroes(one, all)
	tree.AddZeroes(first, all/3)
	second := &Part{First: all / 3}
	tree.AddZeroes(second, all-all/3)
	for _, p := range []*Part{one, first, second} {
		if err := p.Check(sha256.Size); err != nil {
			t.Error(err)
		}
	}
	if err := tree.Join(first, second); err != nil {
		t.Fatal(err)
	}
	a, errA := tree.Root(one)
	b, errB := tree.Root(first)
	if err := errors.Join(errA, errB); err != nil || !bytes.Equal(a, b) {
		t.Errorf("%x and %x, %v", a, b, err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	tree := New(sha256.New)
	sum := make([]byte, sha256.Size)
	for _, c := range []struct {
		part Part
		want string
	}{
		{Part{First: -1}, "0 leaves from -1 on"},
		{Part{Leaves: -1}, "-1 leaves from 0 on"},
		{Part{First: math.MaxInt64, Leaves: math.MaxInt64}, "leaves from"},
		{Part{Leaves: 1}, "0 of 1 leaves"},
		{Part{Leaves: 1, Nodes: []Node{{0, sum[1:]}}}, "a hash of 31 bytes, not 32"},
		{Part{Leaves: 1, Nodes: []Node{{1, sum}}}, "a subtree of level 1 at leaf 0"},
		{Part{Leaves: 1, Nodes: []Node{{0, sum}, {0, sum}}}, "a subtree of level 0 at leaf 1"},
		{Part{First: 1, Leaves: 2, Nodes: []Node{{1, sum}}}, "a subtree of level 1 at leaf 1"},
		{Part{Leaves: 1, Nodes: []Node{{-1, sum}}}, "a subtree of level -1"},
		{Part{Leaves: 1, Nodes: []Node{{64, sum}}}, "a subtree of level 64"},
	} {
		if err := c.part.Check(sha256.Size); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, not %s", c.part, err, c.want)
		}
	}
	if err := tree.Join(&Part{Leaves: 2}, &Part{First: 3}); err == nil {
		t.Error("a gap is joined")
	}
	if _, err := tree.Root(&Part{First: 3}); err == nil {
		t.Error("a part has a root")
	}
}
