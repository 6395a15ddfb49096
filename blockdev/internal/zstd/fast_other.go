//go:build !amd64 || purego

package zstd

func (s *sequences) fast() (read bool) { return false }

func (c *literalCode) fast([]byte, int, []byte, *[4]backward) (done int) { return 0 }
