//go:build !amd64

package cpu

// features is none: there is assembly for amd64 only.
func features() Features { return 0 }
