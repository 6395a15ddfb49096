//go:build !race

package tests

// raceEnabled says that the tests, and so the program, have the race detector.
const raceEnabled = false
