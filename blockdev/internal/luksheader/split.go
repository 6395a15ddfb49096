package luksheader

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

// stripes is how many times its length a key is blown up to. No other number is in use.
const stripes = 4000

// split blows key up: random stripes, and a last one that makes all of them give the key.
func split(newHash func() hash.Hash, key []byte) (material []byte) {
	n := len(key)
	material = make([]byte, n*stripes)
	last := material[n*(stripes-1):]
	rand.Read(material[:n*(stripes-1)])
	sum := diffused(newHash(), material, n)
	subtle.XORBytes(last, sum, key)
	clear(sum)
	return material
}

// merge is the key of n bytes that split made material of.
func merge(newHash func() hash.Hash, material []byte, n int) (key []byte) {
	key = diffused(newHash(), material, n)
	subtle.XORBytes(key, key, material[n*(stripes-1):n*stripes])
	return key
}

// diffused adds up all stripes but the last, diffusing after each.
func diffused(h hash.Hash, material []byte, n int) []byte {
	sum, digest := make([]byte, n), make([]byte, 0, h.Size())
	var number [4]byte
	for ; len(material) > n; material = material[n:] {
		subtle.XORBytes(sum, sum, material[:n])
		for at := 0; at < n; at += h.Size() { // each piece becomes its hash, the last one cut
			piece := sum[at:min(at+h.Size(), n)]
			binary.BigEndian.PutUint32(number[:], uint32(at/h.Size()))
			h.Reset()
			h.Write(number[:])
			h.Write(piece)
			copy(piece, h.Sum(digest))
		}
	}
	return sum
}
