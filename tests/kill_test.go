package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// The image of a killed run: blocks of one value each, the size of its clusters. Behind the plain
// ones are those that are written compressed, once.
const (
	killedBlock  = 4 << 10
	killedPlain  = 256
	killedPacked = 256
	killedBlocks = killedPlain + killedPacked
)

// killedLines is how many lines a run has that is killed amid them.
const killedLines = 60

// A killModel knows what each block may hold: the value of what is durable, and those of what came
// after that.
type killModel struct {
	may     [killedBlocks][]int
	size    int64 // at least
	durable bool  // what is acknowledged is durable
	packed  int
}

// A killOp is a line with what it does: value to n blocks from first on, or another size.
type killOp struct {
	line     string
	first, n int
	value    int
	size     int64
	flush    bool // what came before is durable
	through  *bool
	late     bool // a discard is advice, which only a flush makes durable
}

func newKillModel() *killModel {
	m := &killModel{size: killedBlocks * killedBlock, durable: true}
	for i := range m.may {
		m.may[i] = []int{0}
	}
	return m
}

// draw makes a line that goes on from the ones before.
func (m *killModel) draw(rnd *rand.Rand) killOp {
	first := rnd.IntN(killedPlain)
	n := 1 + rnd.IntN(min(16, killedPlain-first))
	value := 1 + rnd.IntN(255)
	at := fmt.Sprintf("%d %d", first*killedBlock, n*killedBlock)
	switch k := rnd.IntN(20); {
	case k < 6:
		return killOp{
			line: fmt.Sprintf("write -q -P %d %s", value, at), first: first, n: n,
			value: value,
		}
	case k < 8:
		return killOp{line: "write -q -z " + at, first: first, n: n}
	case k < 10:
		return killOp{line: "write -q -z -u " + at, first: first, n: n}
	case k < 12:
		return killOp{line: "discard -q " + at, first: first, n: n, late: true}
	case k < 14 && m.packed < killedPacked:
		m.packed++
		block := killedPlain + m.packed - 1
		return killOp{line: fmt.Sprintf("write -q -c -P %d %d %d", value, block*killedBlock,
			killedBlock), first: block, n: 1, value: value}
	case k < 15:
		m.size += 64 << 10
		return killOp{line: fmt.Sprintf("truncate %d", m.size), size: m.size}
	case k < 16:
		return killOp{line: "check -r all"}
	case k < 17:
		through := rnd.IntN(2) == 0
		mode := "writeback"
		if through {
			mode = "writethrough"
		}
		return killOp{line: "reopen -c " + mode, flush: true, through: &through}
	case k < 18 && value%2 == 0:
		return killOp{
			line: fmt.Sprintf("verify_write -b %d %s", killedBlock, at), first: first,
			n: n, value: anyValue,
		}
	case k < 18:
		return killOp{line: fmt.Sprintf("bench -b %d -n 4 randwrite %d %d", killedBlock,
			first*killedBlock, killedBlock), first: first, n: 1, value: anyValue}
	}
	return killOp{line: "flush", flush: true}
}

// anyValue stands for contents that are not looked at.
const anyValue = -1

// begin notes an operation that may have been begun, done one that was acknowledged.
func (m *killModel) begin(op killOp) {
	for i := op.first; i < op.first+op.n; i++ {
		m.may[i] = append(m.may[i], op.value)
	}
}

func (m *killModel) done(op killOp) {
	if op.through != nil {
		m.durable = *op.through
	}
	for i := range m.may {
		touched := op.first <= i && i < op.first+op.n
		if op.flush || m.durable && touched && !op.late {
			m.may[i] = m.may[i][len(m.may[i])-1:]
		}
	}
}

// TestKilled kills the program amid commands of all kinds that change an image: what was
// acknowledged in writethrough, or flushed, is there, and the image has leaks at most.
func TestKilled(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		without(t, "qemu-utils")
	}
	dir := t.TempDir()
	for seed := range blockdevtest.Rounds(20, 200, 2000) {
		killOnce(t, filepath.Join(dir, fmt.Sprint(seed)), seed)
		if t.Failed() {
			return
		}
	}
}

// killOnce makes an image, has lines of a seed run on it, and kills the program when so many were
// acknowledged.
func killOnce(t *testing.T, dir string, seed int) {
	t.Helper()
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	image := filepath.Join(dir, "image")
	on(t, "-c", fmt.Sprintf("create -f qcow2 -o cluster_size=%d %s %d", killedBlock, image,
		killedBlocks*killedBlock)).wants(t, "create", "exit 0", "", "")
	rnd := rand.New(rand.NewPCG(uint64(seed), 77))
	m := newKillModel()
	ops := make([]killOp, killedLines)
	var script bytes.Buffer
	for i := range ops {
		ops[i] = m.draw(rnd)
		fmt.Fprintf(&script, "%s\nhelp quit\n", ops[i].line)
	}
	m.size = killedBlocks * killedBlock
	cmd := exec.Command(asBlksh.path, image)
	cmd.Env, cmd.Stdin = asBlksh.environ(), &script
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged, last := 0, rnd.IntN(killedLines)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "quit, q ") {
			acknowledged++
		}
		if acknowledged == last+1 {
			break
		}
	}
	_ = cmd.Process.Kill()
	for lines.Scan() { // what it said before it died
		if strings.HasPrefix(lines.Text(), "quit, q ") {
			acknowledged++
		}
	}
	_ = cmd.Wait() // it was killed, or had ended
	if acknowledged == 0 {
		t.Fatalf("seed %d: nothing was acknowledged", seed)
	}
	for i, op := range ops {
		m.begin(op)
		if i < acknowledged {
			m.done(op)
		}
		if i < acknowledged && op.size > 0 && m.durable {
			m.size = op.size
		}
	}
	m.judge(t, image, fmt.Sprintf("seed %d, %d lines acknowledged", seed, acknowledged))
}

// judge has qemu-img look at the image, without its locks: the kernel may close the files of a ring
// a moment after the process that was killed.
func (m *killModel) judge(t *testing.T, image, what string) {
	t.Helper()
	var check struct {
		Corruptions int
		CheckErrors int `json:"check-errors"`
	}
	// leaks make a status that is not 0
	said, _ := exec.Command("qemu-img", "check", "-U", "--output=json", image).Output()
	if err := json.Unmarshal(said, &check); err != nil || check.Corruptions+check.CheckErrors > 0 {
		t.Errorf("%s: %v, %s", what, err, said)
	}
	if out, err := exec.Command("qemu-img", "convert", "-U", "-O", "raw", image, image+
		".raw").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v, %s", what, err, out)
	}
	b, err := os.ReadFile(image + ".raw")
	if err != nil || int64(len(b)) < m.size {
		t.Fatalf("%s: %d bytes, want %d, %v", what, len(b), m.size, err)
	}
	for i, may := range m.may {
		block := b[i*killedBlock:][:killedBlock]
		if slices.Contains(may, anyValue) {
			continue
		}
		if !slices.Contains(may, int(block[0])) ||
			!bytes.Equal(block, bytes.Repeat(block[:1], killedBlock)) {
			t.Errorf("%s: block %d begins with %x, want one of %x", what, i, block[:16], may)
		}
	}
}
