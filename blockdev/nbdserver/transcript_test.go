package nbdserver

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
)

// recorded is the server's end of a connection, and what went over it.
type recorded struct {
	net.Conn
	mu         sync.Mutex
	said, told bytes.Buffer // by the client, by the server
}

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said.Write(b[:n])
	return n, err
}

func (r *recorded) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.told.Write(b)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// readTranscript is what either side has to say in the transcript.
func readTranscript(t *testing.T, name string) (client, server []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		b, err := hex.DecodeString(strings.Join(words[1:], ""))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if words[0] == "C" {
			client = append(client, b...)
		} else {
			server = append(server, b...)
		}
	}
	return client, server
}

// TestExtendedTranscript has our client and our server hold a conversation with extended headers,
// of which every byte on either side is what the specification says.
func TestExtendedTranscript(t *testing.T) {
	wantSaid, wantTold := readTranscript(t, "extended.txt")
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	between := make(chan *recorded, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			close(between)
			return
		}
		r := &recorded{Conn: conn}
		s := &Server{Exports: []Export{{Disk: &memory{}}}}
		s.client(context.Background(), r, 1)
		between <- r
	}()
	ctx := t.Context()
	c, err := nbd.Dial(ctx, nbd.Config{Address: nbd.Address{Network: "unix", Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if err := c.Write(ctx, driver.Vec{[]byte("abc")}, 16, true); err != nil {
		t.Error(err)
	}
	if err := c.Read(ctx, driver.Vec{got}, 15); err != nil || string(got) != "\x00abc\x00" {
		t.Errorf("read %q, %v", got, err)
	}
	list, err := c.BlockStatus(ctx, 0, 8192)
	if err != nil || len(list) != 2 || list[0] != (nbd.Extent{Length: 4096, Flags: 2}) {
		t.Errorf("status %v, %v", list, err)
	}
	if err := c.Trim(ctx, 1<<40, 8<<30); driver.Errno(err) != syscall.EINVAL {
		t.Errorf("trim: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	r := <-between
	if r == nil {
		return
	}
	if got := r.said.Bytes(); !bytes.Equal(got, wantSaid) {
		t.Errorf("the client said\n%x\nand has to say\n%x", got, wantSaid)
	}
	if got := r.told.Bytes(); !bytes.Equal(got, wantTold) {
		t.Errorf("the server said\n%x\nand has to say\n%x", got, wantTold)
	}
}
