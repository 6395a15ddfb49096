package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
)

// clientCommand is a program of somebody else that comes to a server.
func clientCommand(t *testing.T, pkg string, words ...string) *exec.Cmd {
	t.Helper()
	return exec.Command(blockdevtest.Peer(t, words[0], pkg), words[1:]...)
}

// TestServeOnceClients has programs of others come to a server that ends with the first client,
// some of them with several connections. It does so in order, and the disk has all that they wrote.
func TestServeOnceClients(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "source")
	data := bytes.Repeat([]byte("what is copied."), 1<<18)[:1<<21]
	if err := os.WriteFile(source, data, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pkg, words string
		copies     bool
	}{
		{"qemu-utils", "qemu-io -f raw -c read_0_1M -c flush URI", false},
		{"qemu-utils", "qemu-img convert -n -f raw -O raw SOURCE URI", true},
		{"libnbd-bin", "nbdinfo URI", false},
		{"libnbd-bin", "nbdinfo --map URI", false},
		{"libnbd-bin", "nbdcopy -C 1 SOURCE URI", true},
		{"libnbd-bin", "nbdcopy -C 4 -R 8 --request-size=65536 SOURCE URI", true},
	} {
		t.Run(c.words, func(t *testing.T) {
			t.Parallel()
			disk, socket := nbdImage(t, "raw"), filepath.Join(t.TempDir(), "sock")
			must(t, exec.Command(asBlksh.path, "-f", "raw", "-c", "truncate 2M", disk))
			var words []string
			for _, w := range strings.Fields(c.words) {
				switch w {
				case "URI":
					w = "nbd+unix:///?socket=" + socket
				case "SOURCE":
					w = source
				default:
					w = strings.ReplaceAll(w, "_", " ")
				}
				words = append(words, w)
			}
			client := clientCommand(t, c.pkg, words...)
			s := asBlksh.start(t, t.TempDir(), "", "serve", "-v", "--once", "--unix", socket,
				"-f", "raw", disk)
			must(t, client)
			if status := s.status(t); status != "exit 0" {
				t.Errorf("%s: %s", status, s.errs)
			}
			said := s.out.String()
			came, left := strings.Count(said, " uses export"), strings.Count(said, " left export")
			if came == 0 || came != left {
				t.Errorf("%d came and %d left: %s", came, left, said)
			}
			if _, err := os.Lstat(socket); err == nil {
				t.Error("the socket is there")
			}
			if got := contentOf(t, "raw", disk); c.copies && !bytes.Equal(got, data) {
				t.Error("the disk is not what was copied")
			}
		})
	}
}

// TestServeSignalled sends a server signals while a program of somebody else has many writes under
// way. It ends as the signal says, or goes on and answers, and the disk has every write that the
// program says was done.
func TestServeSignalled(t *testing.T) {
	t.Parallel()
	const block, blocks = 64 << 10, 256
	wrote := regexp.MustCompile(`wrote 65536/65536 bytes at offset (\d+)`)
	for _, c := range []struct {
		signal syscall.Signal
		status string
	}{
		{syscall.SIGINT, "exit 130"},
		{syscall.SIGTERM, "signal SIGTERM"},
		{syscall.SIGUSR1, "exit 0"},
	} {
		for _, format := range []string{"raw", "qcow2"} {
			t.Run(fmt.Sprint(c.signal, " ", format), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				disk, socket := filepath.Join(dir, "disk"), filepath.Join(dir, "sock")
				must(t, exec.Command(asBlksh.path, "create", "-f", format, disk,
					strconv.Itoa(block*blocks)))
				client := clientCommand(t, "qemu-utils", "qemu-io", "-f", "raw",
					"nbd+unix:///?socket="+socket)
				s := asBlksh.start(t, dir, "", "serve", "-v", "--once", "--unix", socket, "-f",
					format, disk)
				lines := &bytes.Buffer{}
				for i := range blocks {
					fmt.Fprintf(lines, "aio_write -P %d %d 64k\n", i%255+1, i*block)
				}
				in, err := client.StdinPipe() // stays open until the signal was sent
				if err != nil {
					t.Fatal(err)
				}
				out, err := client.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := client.Start(); err != nil {
					t.Fatal(err)
				}
				if _, err := lines.WriteTo(in); err != nil {
					t.Fatal(err)
				}
				done := map[int]bool{}
				for from := bufio.NewReader(out); err == nil; {
					var line string
					line, err = from.ReadString('\n')
					for _, m := range wrote.FindAllStringSubmatch(line, -1) {
						at, _ := strconv.Atoi(m[1])
						if done[at] = true; len(done) == 3 {
							if err := s.cmd.Process.Signal(c.signal); err != nil {
								t.Error(err)
							}
							_ = in.Close()
						}
					}
				}
				if err != io.EOF {
					t.Fatal(err)
				}
				_ = client.Wait() // which fails if the server is gone
				if status := s.status(t); status != c.status {
					t.Errorf("%s, not %s: %s", status, c.status, s.errs)
				}
				if !strings.Contains(s.errs.String(), "serve  ") {
					t.Errorf("nothing of how far it has come: %q", s.errs)
				}
				if c.signal == syscall.SIGUSR1 && len(done) != blocks {
					t.Errorf("%d of %d writes", len(done), blocks)
				}
				got := contentOf(t, format, disk)
				for at := range done {
					want := byte(at/block%255 + 1)
					if n := bytes.Count(got[at:at+block], []byte{want}); n != block {
						t.Errorf("%d bytes at %d are as was said", n, at)
					}
				}
			})
		}
	}
}
