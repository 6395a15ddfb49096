package tests

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// undoLines are the lines that a program gets that is to be killed amid them. Each changes a
// megabyte, in place or not.
func undoLines(rnd *rand.Rand) []string {
	var lines []string
	for range 60 {
		mib := rnd.IntN(8)
		lines = append(lines, []string{
			fmt.Sprintf("write -q -P %d %dM 1M", 1+rnd.IntN(200), mib),
			fmt.Sprintf("write -q -z %dM 1M", mib),
			fmt.Sprintf("discard -q %dM 1M", mib),
			fmt.Sprintf("truncate --shrink %dM", 2+rnd.IntN(10)),
		}[rnd.IntN(4)], "help quit")
	}
	return lines
}

// TestUndoAfterKill kills a program that keeps a log, wherever it is. undo then finds nothing that
// others wrote, and the image reads as it did before.
func TestUndoAfterKill(t *testing.T) {
	t.Parallel()
	for seed := range blockdevtest.Rounds(8, 60, 500) {
		format := []string{"raw", "qcow2"}[seed%2]
		dir := t.TempDir()
		image, log, before := filepath.Join(dir, "image"), filepath.Join(dir, "log"),
			filepath.Join(dir, "before")
		on(t, "-c", "create -f "+format+" "+image+" 8M").wants(t, "create", "exit 0", "", "")
		on(t, "-f", format, image, "-c", "write -q -P stamp:1 1M 5M", "-c", "read -q -o "+
			before).wants(t, "fill", "exit 0", "", "")
		killAmid(t, rand.New(rand.NewPCG(uint64(seed), 5)), "-f", format, "--undo", log, image)
		st, err := os.Stat(log)
		if err != nil {
			continue // killed before anything
		}
		if st.Size() > 0 && st.Mode().Perm() != 0o600 {
			t.Errorf("others may read the log: %v", st.Mode())
		}
		on(t, "-f", format, image, "undo", log).wants(t, "undo", "exit 0", "", "")
		on(t, "-r", "-f", format, image, "compare", "-f", "raw", before).wants(t, "compare",
			"exit 0", "", "")
		if t.Failed() {
			t.Fatalf("seed %d, %s", seed, format)
		}
	}
}

// killAmid starts the program on lines and kills it when some of them were answered.
func killAmid(t *testing.T, rnd *rand.Rand, args ...string) {
	t.Helper()
	lines := undoLines(rnd)
	cmd := exec.Command(asBlksh.path, args...)
	cmd.Env, cmd.Stdin = asBlksh.environ(), strings.NewReader(strings.Join(lines, "\n")+"\n")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	answered, last := 0, rnd.IntN(len(lines)/2)
	for said := bufio.NewScanner(out); answered < last && said.Scan(); {
		if strings.HasPrefix(said.Text(), "quit, q ") {
			answered++
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // its status is that of the kill
}

// TestUndoDamagedLog: a log of which a part is lost puts nothing back by itself, and says how much
// it could not where it is forced to.
func TestUndoDamagedLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, log := filepath.Join(dir, "image"), filepath.Join(dir, "log")
	on(t, "-c", "create "+image+" 1M").wants(t, "create", "exit 0", "", "")
	on(t, "-f", "raw", "--undo", log, image, "-c", "write -q -P 1 0 4k", "-c",
		"write -q -P 2 64k 4k").wants(t, "write", "exit 0", "", "")
	text, err := os.ReadFile(log)
	if err == nil {
		text[64+1]++ // of the first record
		err = os.WriteFile(log, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"undo", log}, {"undo", "--check", log}} {
		on(t, append([]string{"-f", "raw", image}, words...)...).wants(t, "damage", "exit 2", "",
			"damaged")
		on(t, "-r", "-f", "raw", image, "read", "-P", "2", "64k", "4k").wants(t, "as it was",
			"exit 0", "", "")
	}
	on(t, "-f", "raw", image, "undo", "--force", log).wants(t, "force", "exit 0",
		"32 bytes of the log are damaged", "")
	on(t, "-r", "-f", "raw", image, "iszero", "4k").wants(t, "the rest", "exit 0", "", "")
}
