package tests

import (
	"maps"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mayAllocate are packages of others that allocate before main, with what they do there. A package
// that is not needed at the start of every command and is missing here is one to do without, or to
// ask for in another way: each costs all who start the program, and scripts start it by the
// thousand.
var mayAllocate = map[string]string{
	"compress/flate":                         "tables of fixed codes",
	"github.com/klauspost/compress/flate":    "the same, and those of four more",
	"github.com/dustin/go-humanize":          "units, and an expression for them",
	"golang.org/x/sys/unix":                  "errors",
	"vendor/golang.org/x/sys/cpu":            "what the processor can do, for crypto/tls",
	"vendor/golang.org/x/net/dns/dnsmessage": "errors, for net",
	"vendor/golang.org/x/crypto/cryptobyte":  "types, for crypto/tls",
}

// allocatesAtStart finds a package and how often it allocates, in what GODEBUG=inittrace=1 prints.
var allocatesAtStart = regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) allocs$`)

// TestStart wants nothing of ours to be computed before main, and nothing of others that is not
// known to be.
func TestStart(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(asBlksh.path, "-c", "quit")
	cmd.Env = append(asBlksh.environ(), "GODEBUG=inittrace=1")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	packages := 0
	outOfDate := maps.Clone(mayAllocate)
	for _, line := range allocatesAtStart.FindAllSubmatch(said, -1) {
		name := string(line[1])
		packages++
		allocs, err := strconv.Atoi(string(line[2]))
		if err != nil {
			t.Fatal(err)
		}
		own := name == "main" || strings.HasPrefix(name, "github.com/blksh/blksh/")
		standard := !strings.Contains(name, ".") && !own
		switch {
		case own:
			t.Errorf("package %s does something before main: make it data, "+
				"or make it when it is asked for", name)
		case allocs == 0:
		case mayAllocate[name] != "":
			delete(outOfDate, name)
		case standard:
		default:
			t.Errorf("package %s allocates %d times before main; see mayAllocate", name, allocs)
		}
	}
	for name := range outOfDate {
		t.Errorf("package %s allocates nothing before main; mayAllocate says that it may", name)
	}
	if packages < 10 {
		t.Fatalf("no trace of packages:\n%s", said)
	}
}
