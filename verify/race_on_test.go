//go:build race

package verify

// raceDetector says that the race detector is on, under which more things allocate.
const raceDetector = true
