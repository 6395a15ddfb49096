package blockdevtest

import (
	"flag"
	"runtime"
	"strconv"
)

// OverlapWaits has more tests run at a time than there are processors, if the command line does not
// say how many: TestMain of a package whose tests wait for other programs calls it, with the flags
// parsed. What one waits for then costs the others nothing.
func OverlapWaits() {
	const perProcessor = 3
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if told {
		return
	}
	tests := perProcessor * runtime.GOMAXPROCS(0)
	if err := flag.Set("test.parallel", strconv.Itoa(tests)); err != nil {
		panic(err)
	}
}
