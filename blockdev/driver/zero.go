package driver

import "bytes"

// zeroPage is compared with, which is as fast as memory allows.
var zeroPage [64 << 10]byte

// AllZero says whether every byte of p is zero.
func AllZero(p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(zeroPage))
		if !bytes.Equal(p[:n], zeroPage[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}
