package tests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// The disk of tests that kill.
const nbdBlock, nbdBlocks = 4096, 256

// nbdKills is how often something is killed.
func nbdKills() int { return blockdevtest.Rounds(4, 20, 500) }

// nbdImage makes an empty image of a format.
func nbdImage(t *testing.T, format string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	must(t, exec.Command(asBlksh.path, "-c",
		fmt.Sprintf("create -f %s %s %d", format, image, nbdBlock*nbdBlocks)))
	return image
}

// startServer serves image on socket and returns when clients may come.
func startServer(format, image, socket string) (*exec.Cmd, error) {
	return startServerOf(socket, "-t", "writeback", "-f", format, "-c", "serve --unix "+socket,
		image)
}

func killServer(p *exec.Cmd) {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// contentOf is what an image holds, which must be in order but for space that is lost.
func contentOf(t *testing.T, format, image string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	must(t, exec.Command(asBlksh.path, "-r", "-f", format, "-c", "copy -f raw "+out, image))
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestServerKilled kills the server again and again while a client writes and waits for each block
// to be on stable storage. The client goes on with the next server, and nothing that was answered
// is lost.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			testServerKilled(t, format)
		})
	}
}

func testServerKilled(t *testing.T, format string) {
	image, socket := nbdImage(t, format), filepath.Join(t.TempDir(), "sock")
	server, err := startServer(format, image, socket)
	if err != nil {
		t.Fatal(err)
	}
	client, err := nbd.Dial(context.Background(), nbd.Config{
		Address: nbd.Address{Network: "unix", Path: socket}, ReconnectDelay: 5 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		rnd := rand.New(rand.NewPCG(3, 4))
		for range nbdKills() {
			for range rnd.IntN(30) {
				<-written
			}
			killServer(server)
			if server, err = startServer(format, image, socket); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, nbdBlock*nbdBlocks)
	for over := false; !over; {
		if err := writeThrough(client, rnd, want); err != nil {
			t.Fatal(err)
		}
		select {
		case written <- struct{}{}:
		case err := <-ended:
			if over = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	killServer(server)
	if !bytes.Equal(contentOf(t, format, image), want) {
		t.Error("the image is not what was answered")
	}
}

// writeThrough writes a block, or zeroes it, and returns when that is on stable storage.
func writeThrough(client *nbd.Client, rnd *rand.Rand, want []byte) error {
	at := rnd.IntN(nbdBlocks) * nbdBlock
	part := want[at : at+nbdBlock]
	if rnd.IntN(4) == 0 {
		clear(part)
		return client.Zero(context.Background(), int64(at), nbdBlock, nbd.ZeroFlags{FUA: true})
	}
	for i := range part {
		part[i] = byte(rnd.Uint32())
	}
	return client.Write(context.Background(), driver.Vec{bytes.Clone(part)}, int64(at), true)
}

// TestClientKilled kills clients again and again, with a request under way. A server takes half a
// request for none, goes on with the next client, and has at its own violent end what it answered
// to writes with FUA and to flushes.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			testClientKilled(t, format)
		})
	}
}

func testClientKilled(t *testing.T, format string) {
	image, socket := nbdImage(t, format), filepath.Join(t.TempDir(), "sock")
	server, err := startServer(format, image, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer killServer(server)
	rnd := rand.New(rand.NewPCG(5, 6))
	var may [nbdBlocks][]byte // what each block may be full of
	for i := range may {
		may[i] = []byte{0}
	}
	uri := "nbd+unix:///?socket=" + socket
	for range nbdKills() {
		killedClient(t, rnd, uri, &may)
	}
	must(t, exec.Command(asBlksh.path, "-f", "raw", "-c", "write -f -P 9 0 4k", uri))
	may[0] = []byte{9}
	killServer(server)
	got := contentOf(t, format, image)
	for i, list := range may {
		block := got[i*nbdBlock : (i+1)*nbdBlock]
		if bytes.IndexByte(list, block[0]) < 0 || bytes.Count(block, block[:1]) != nbdBlock {
			t.Errorf("block %d begins with %x, may be one of %x", i, block[:4], list)
		}
	}
}

// killedClient lets a client write some blocks, one after the other has come to stable storage, and
// kills it amid one more.
func killedClient(t *testing.T, rnd *rand.Rand, uri string, may *[nbdBlocks][]byte) {
	t.Helper()
	client := exec.Command(asBlksh.path, "-t", "writeback", "-f", "raw", uri)
	in, answers := startTalking(t, client)
	await := func(prefix string) {
		for answers.Scan() {
			if strings.HasPrefix(answers.Text(), prefix) {
				return
			}
		}
		t.Fatalf("the client says no more: %v", answers.Err())
	}
	for range rnd.IntN(20) {
		i, value := tellToWrite(t, in, rnd)
		may[i] = append(may[i], value)
		await("read ")
		may[i] = []byte{value}
	}
	i, value := tellToWrite(t, in, rnd)
	may[i] = append(may[i], value)
	if rnd.IntN(3) == 0 {
		await("wrote ") // and kill it in the flush
	}
	killServer(client)
}

// tellToWrite has a client write a block, with FUA or before a flush, and read something when it is
// on stable storage.
func tellToWrite(t *testing.T, in io.Writer, rnd *rand.Rand) (i int, value byte) {
	t.Helper()
	i, value = rnd.IntN(nbdBlocks), byte(1+rnd.IntN(255))
	line := "write -f -P %d %d %d\nread 0 1\n"
	if rnd.IntN(2) == 0 {
		line = "write -P %d %d %d\nflush\nread 0 1\n"
	}
	if _, err := fmt.Fprintf(in, line, value, i*nbdBlock, nbdBlock); err != nil {
		t.Fatal(err)
	}
	return i, value
}
