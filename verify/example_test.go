package verify_test

import (
	"fmt"
	"log"

	"github.com/blksh/blksh/verify"
)

// Check a piece of a device against a pattern.
func ExampleCheck() {
	pat, err := verify.ParsePattern("random:42")
	if err != nil {
		log.Fatal(err)
	}
	p := make([]byte, 4096)
	pat.Fill(p, 1<<20)
	p[777] ^= 8
	if m := verify.Check(pat, p, 1<<20); m != nil {
		fmt.Printf("%d of %d bytes are wrong from %d on: %v\n", m.Bad, len(p), m.Off, m.Cause())
	}
	// Output: 1 of 4096 bytes are wrong from 1049353 on: bit 3 of the byte at 1049353 is flipped
}
