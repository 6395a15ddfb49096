//go:build race

package blockdevtest

// Race says that the tests have the race detector.
const Race = true
