package commands

import (
	"encoding/hex"
	"testing"
)

// TestSums holds every sum against what is known to be that of "abc", or for the sum that a program
// makes over hashes of blocks against that of its first.
func TestSums(t *testing.T) {
	known := map[string]string{
		"blksum": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"crc32":  "352441c2",
		"crc32c": "364b3fb7",
		"md5":    "900150983cd24fb0d6963f7d28e17f72",
		"sha1":   "a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
			"8086072ba1e7cc2358baeca134c825a7",
		"sha512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"sha3-256": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
	}
	for _, s := range sums {
		h := s.make()
		h.Write([]byte("abc"))
		if got := hex.EncodeToString(h.Sum(nil)); got != known[s.name] {
			t.Errorf("%s: %s, want %s", s.name, got, known[s.name])
		}
	}
}
