package blockdevtest

import (
	"flag"
	"os"
	"runtime/debug"
	"strconv"

	_ "pgregory.net/rapid" // has the flag
)

// Tier is what BLKSH_TIER says, at least 1: which tests run, and who has to be there for them. How
// much they do is what the others here say.
func Tier() int {
	n, _ := strconv.Atoi(os.Getenv("BLKSH_TIER"))
	return max(n, 1)
}

// amount is the tier whose numbers of rounds and cases count. The race detector makes tests ten
// times slower, and finds in a few rounds what requests at the same time do to each other.
func amount() int {
	if Race {
		return 1
	}
	return Tier()
}

// Thorough says that cases of which tier 1 takes a few all run.
func Thorough() bool { return amount() > 1 }

// Rounds is how often a test does what it repeats: few times in tier 1 and with the race detector,
// many times above it, and in tier 3 as often as its own number says, if there is one.
func Rounds(few, many int, most ...int) int {
	switch n := amount(); {
	case n == 1:
		return few
	case n == 2 || len(most) == 0:
		return many
	}
	return most[0]
}

// Sampled says whether the case of that number runs: one of each few does, or all if the test is
// Thorough.
func Sampled(number, few int) bool { return Thorough() || number%few == 0 }

// What is drawn at random is drawn a quarter as often in tier 1, if the command line says nothing.
// Images live shortly: garbage is collected when it is a few times as much as what is in use.
func init() {
	if os.Getenv("GOGC") == "" && Tier() == 1 {
		debug.SetGCPercent(400)
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(Rounds(25, 100))); err != nil {
		panic(err)
	}
}
