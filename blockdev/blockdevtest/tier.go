package blockdevtest

import (
	"flag"
	"os"
	"strconv"

	_ "pgregory.net/rapid" // has the flag
)

// Tier is how much is to run: what BLKSH_TIER says, at least 1.
func Tier() int {
	n, _ := strconv.Atoi(os.Getenv("BLKSH_TIER"))
	return max(n, 1)
}

// Rounds is how often a test does what it repeats: few times in tier 1, many times above it.
func Rounds(few, many int) int {
	if Tier() == 1 {
		return few
	}
	return many
}

// Sampled says whether the case of that number runs: all do above tier 1, and one of each few in
// it.
func Sampled(number, few int) bool { return Tier() > 1 || number%few == 0 }

// What is drawn at random is drawn a quarter as often in tier 1, if the command line says nothing.
func init() {
	if err := flag.Set("rapid.checks", strconv.Itoa(Rounds(25, 100))); err != nil {
		panic(err)
	}
}
