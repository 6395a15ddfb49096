//go:build !amd64 || purego

package argon2

// compress makes a block of two others, G of the RFC, and adds it to the one that was there if so
// told. scratch is lost.
func compress(to, x, y, scratch *block, add bool) { compressPlain(to, x, y, scratch, add) }
