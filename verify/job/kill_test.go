package job

import (
	"bufio"
	"context"
	stdflag "flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/verify/fio"
)

// TestMain runs the writing child of TestKill. Below tier 3 properties draw the same cases in every
// run, so that a failure belongs to the change it came with.
func TestMain(m *testing.M) {
	stdflag.Parse()
	if blockdevtest.Tier() < 3 && stdflag.Lookup("rapid.seed").Value.String() == "0" {
		if err := stdflag.Set("rapid.seed", "1"); err != nil {
			panic(err)
		}
	}
	if dir := os.Getenv("VERIFY_TEST_WRITER"); dir != "" {
		if err := endlessWriter(dir); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	blockdevtest.OverlapWaits()
	os.Exit(m.Run())
}

// killOptions are those of the child.
func killOptions() fio.Options {
	o := fio.DefaultOptions()
	o.Direction, o.Verify, o.Size, o.MinBlock, o.Fsync = fio.RandWrite, "crc32c", 4<<20, 4096, 64
	o.Loops, o.MaxRequest = 1000, 0
	return o
}

// endlessWriter writes until it is killed. It says when it began and goes on
// saying so as it writes, so that it can be killed at any point.
func endlessWriter(dir string) error {
	image, err := os.OpenFile(filepath.Join(dir, "image"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	journal, err := os.Create(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	j, err := New(killOptions(), Hooks{})
	if err != nil {
		return err
	}
	_, err = j.Write(context.Background(),
		func(ctx context.Context, depth, size int) (Queue, error) {
			q, err := openFile(image)(ctx, depth, size)
			return &tellingQueue{q.(*fileQueue)}, err
		}, WriteOptions{Journal: journal})
	return err
}

// A tellingQueue prints a line for each write that is staged.
type tellingQueue struct{ *fileQueue }

func (q *tellingQueue) Stage(slot int, op uint8, off, n int64, flags uint32) {
	if op == OpWrite {
		if _, err := os.Stdout.WriteString("w\n"); err != nil {
			os.Exit(1)
		}
	}
	q.fileQueue.Stage(slot, op, off, n, flags)
}

// A writer that is killed at any point leaves what its journal says: all that
// was acknowledged, since the machine lives on.
func TestKill(t *testing.T) {
	rounds := blockdevtest.Rounds(3, 200)
	rng := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		killOnce(t, rng.IntN(3000))
	}
}

func killOnce(t *testing.T, writes int) {
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, make([]byte, killOptions().Size), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "VERIFY_TEST_WRITER="+dir)
	var complaint strings.Builder
	child.Stderr = &complaint
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; i <= writes && lines.Scan(); i++ {
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); complaint.Len() > 0 {
		t.Fatal(err, complaint.String())
	}

	log, err := os.Open(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	journal, err := ReadJournal(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j, err := New(journal.Options(fio.DefaultOptions()),
		Hooks{Bad: func(b *Bad) { t.Errorf("%d: %v", b.Off, b.Cause) }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.Verify(t.Context(), openFile(f), VerifyOptions{History: journal.History(true)})
	if err != nil || !r.Good() || !r.Done || journal.Issued < uint64(writes) {
		t.Errorf("%+v, %v after %d writes of %d", r, err, journal.Issued, writes)
	}
}
