package sectorcipher

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"

	//lint:ignore SA1019 disks are encrypted with it
	"golang.org/x/crypto/ripemd160"

	"github.com/blksh/blksh/blockdev/internal/blake2"
	"github.com/blksh/blksh/blockdev/internal/whirlpool"
)

// hashes are the hashes that LUKS headers name.
var hashes = [...]struct {
	name string
	make func() hash.Hash
}{
	{"md5", md5.New},
	{"sha1", sha1.New},
	{"sha224", sha256.New224},
	{"sha256", sha256.New},
	{"sha384", sha512.New384},
	{"sha512", sha512.New},
	{"ripemd160", ripemd160.New},
	{"whirlpool", whirlpool.New},
	{"sha3-224", func() hash.Hash { return sha3.New224() }},
	{"sha3-256", func() hash.Hash { return sha3.New256() }},
	{"sha3-384", func() hash.Hash { return sha3.New384() }},
	{"sha3-512", func() hash.Hash { return sha3.New512() }},
	{"blake2b-512", blake2.New512},
	{"blake2s-256", blake2.New256},
}

// Hash is the hash that LUKS calls name.
func Hash(name string) (func() hash.Hash, error) {
	for _, h := range hashes {
		if h.name == name {
			return h.make, nil
		}
	}
	return nil, refuse("Hash algorithm '%s' not supported", name)
}
