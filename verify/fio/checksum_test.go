package fio

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/blksh/blksh/verify"
	"pgregory.net/rapid"
)

func TestCRCCheckValues(t *testing.T) {
	p := []byte("123456789")
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"crc7", uint64(crc7(p)), 0x75},
		{"crc16", uint64(crc16(p)), 0xbb3d},
		{"crc32", uint64(crc32MSB(p)), 0x89a1897f},
		{"crc32c", uint64(CRC32C(p)), 0x1cf96d7c},
		{"crc64", crc64Jones(p), 0xe9c6d914c4b8d9ca},
		{"xxh32 of nothing", uint64(xxh32(nil, 1)), 0x0b2cb792},
		{"xxh32", uint64(xxh32(p, 0)), 0x937bad67},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

// The sliced loops agree with one step a byte.
func TestCRCSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "p")
		var c7 uint8
		var c16 uint16
		var c32 uint32
		var c64 uint64
		for _, b := range p {
			c7 = crc7Tables.get()[0][c7^b]
			c16 = crc16Tables.get()[0][uint8(c16)^b] ^ c16>>8
			c32 = crc32Tables.get()[0][uint8(c32>>24)^b] ^ c32<<8
			c64 = crc64Tables.get()[0][uint8(c64)^b] ^ c64>>8
		}
		if crc7(p) != c7>>1 || crc16(p) != c16 || crc32MSB(p) != c32 || crc64Jones(p) != c64 {
			t.Fatalf("sliced and stepped CRCs differ for % x", p)
		}
	})
}

// The two odd checksums by their definition, for lengths around the block sizes; the values were
// computed with an independent implementation that reproduces fio's files.
func TestOddSums(t *testing.T) {
	data := make([]byte, 300)
	for i := range data {
		data[i] = byte(i*7 + 3)
	}
	for _, c := range []struct {
		sum  string
		n    int
		want string
	}{
		{"sha256", 1, "1c0ebb4d40828a180000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000800000000000000"},
		{"sha256", 55, "051aea02960640ef3b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b222930373e454c535a61686f767d80b801000000000000"},
		{"sha256", 56, "5b9c8a350c42dbd3000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000c001000000000000"},
		{"sha256", 64, "a3de0a16d2fb1aee0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000002000000000000"},
		{"sha256", 119, "2983b77c9350d644fb020910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cdd4dbe2e9f0f7fe050c131a21282f363d80b803000000000000"},
		{"sha256", 120, "e57d3d001f5aecd0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000c003000000000000"},
		{"sha256", 300, "6c4657ab4a6271803b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b2229308000000000000000000000006009000000000000"},
		{"sha512", 1, "e45bf5817ddf94aa2f7a407071f0eedc6beb98f768b4cd33d1176d44d1563a45a5d7212290eb7670c6786b13591aedac86478993895e8b24e612014abaa6ba0400000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000008"},
		{"sha512", 64, "8f3cc30b3fb5bf963688a46488249248ac2c67f0f85a145233c6c1e3c16dcd1df634c07d1d31da02576f65b9cf64e1c3fdb318b689b8a14e2e9552bcf30fb13380000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000200"},
		{"sha512", 100, "364662a2cfeefa210252f45394a87e9ab0d268fe0c448b7e60d69888c8506824fa142beff9a337045417b0bcc5d2e1cecd65223d4d1078cd12d52a2f57b92ed9c3cad1d8dfe6edf4fb020910171e252c333a41484f565d646b727980878e959ca3aab1b880000000000000000000000000000000000000000000000000000320"},
		{"sha512", 111, "68cffa6d0d76f309c9ce0d35280939f8e25990c43b7b086ccdf709be35b07d4ddba599541ff2b1c19d34ea49aeafb9659adb7ac3c0b078bb30a22d57fc6687efc3cad1d8dfe6edf4fb020910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cdd4dbe2e9f0f7fe058000000000000000000000000000000378"},
		{"sha512", 112, "d0865c524d1dddf7c23b799c413f5adcd7caefd3f66a9b49750ec81066012c25a8bcf94ddea6dc525691673097ca40e0101e897fc97218cfdb0704084e2bef4b00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000380"},
		{"sha512", 127, "e0b6a20f1c0c88970a9340152cd5a1c1ecf3d3b8de55102741879438079473540133b812706e5dbec322c8c9523b6fc8c6d16ee626e87ad5fe3d2916afedc369000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000003f8"},
		{"sha512", 128, "99b16f17aa0b969a5b8f08f367719d516e330ccd2660b6f0688ec031dbc783de50a1cd185a2568dba75070a2403d17d4741d163578515dfd2ff756ddfe4d47b100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000400"},
		{"sha512", 240, "9d60ee60d29ec4fa0b9690c04c1c29413bbe3ed345639182d9d53dcc05926b77b04f4fec1562fb85182954c96b7cbb5d5e4410251ff4f352d09a2da90419fb1300000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000780"},
		{"sha512", 300, "46e56ad30db9ef50f8b6762ba55839737f3fba34ab47863c9daff7b3f58f97fe3465a52dd364560db47f802909ced49093322621ea0aebf8e0696b85ca8f81f000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000960"},
		{"sha512-old", 1, "0300000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"},
		{"sha512-old", 128, "030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b222930373e454c535a61686f767d848b9299a0a7aeb5bcc3cad1d8dfe6edf4fb020910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cdd4dbe2e9f0f7fe050c131a21282f363d444b525960676e757c"},
		{"sha512-old", 300, "030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b222930373e454c535a61686f767d848b9299a0a7aeb5bcc3cad1d8dfe6edf4fb020910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cdd4dbe2e9f0f7fe050c131a21282f363d444b525960676e757c"},
		{"sha1", 1, "6a9242988c0acaf74f6012caf01454943de1017b"},
		{"sha1", 300, "218a492bad81b177bddd5e0e8d8bb55c4169cf52"},
		{"xxhash", 1, "e4dc96ce"},
		{"xxhash", 7, "65dbb67f"},
		{"xxhash", 300, "68bf0fa0"},
	} {
		k := sumNamed(c.sum)
		dst := make([]byte, k.Size)
		k.Compute(NewHasher(), dst, data[:c.n])
		if got := hex.EncodeToString(dst); got != c.want {
			t.Errorf("%s of %d bytes is\n%s, want\n%s", c.sum, c.n, got, c.want)
		}
	}
}

func sumNamed(name string) *Checksum {
	for i := range sums {
		if sums[i].Name == name {
			return &sums[i]
		}
	}
	panic(name)
}

func TestSumsAllocateNothing(t *testing.T) {
	s := NewHasher()
	p := make([]byte, 4096)
	verify.Random(1).Fill(p, 0)
	for i := range sums {
		k := &sums[i]
		dst := make([]byte, k.Size)
		if n := testing.AllocsPerRun(10, func() { k.Compute(s, dst, p) }); n > 0 {
			t.Errorf("%s: %v allocations", k.Name, n)
		}
	}
}

func TestSumNumbers(t *testing.T) {
	for _, c := range []struct {
		number uint8
		long   bool
		want   string
	}{
		{5, false, "[crc32c]"},
		{10, false, "[sha512 sha512-old]"},
		{10, true, "[sha512]"},
		{11, false, "[sha3-224 xxhash]"},
		{12, false, "[sha3-256 sha1]"},
		{13, false, "[sha3-384 pattern_hdr]"},
		{13, true, "[sha3-384]"},
		{14, false, "[sha3-512]"},
		{16, false, "[sha1]"},
		{99, false, "[]"},
	} {
		names := []string{}
		for _, k := range sumsOf(c.number, c.long) {
			names = append(names, k.Name)
		}
		if got := fmt.Sprint(names); got != c.want {
			t.Errorf("type %d (long %t) is %s, want %s", c.number, c.long, got, c.want)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for i := range sums {
		k := &sums[i]
		for _, size := range []int{4096, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", k.Name, size), func(b *testing.B) {
				s := NewHasher()
				p := make([]byte, size)
				verify.Random(1).Fill(p, 0)
				dst := make([]byte, k.Size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					k.Compute(s, dst, p)
				}
			})
		}
	}
}
