package nbdserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/blksh/blksh/blockdev/blockdevtest"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// conversation is all that a client says, from the greeting to its leave: each option and each
// request that there is in a form.
type conversation struct {
	bytes []byte
	// write is where the data of the only write ends, which goes to writeOff.
	write int
}

const writeOff, writeLen = 8192, 64

func converse(form nbdwire.Form) conversation {
	said := []byte{0, 0, 0, 3}
	option := func(o nbdwire.Option, data string) {
		said = nbdwire.AppendOption(said, o, []byte(data))
	}
	option(nbdwire.OptList, "")
	switch form {
	case nbdwire.Structured:
		option(nbdwire.OptStructuredReply, "")
	case nbdwire.Extended:
		option(nbdwire.OptExtendedHeaders, "")
	}
	contexts := "\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0fbase:allocation" +
		"\x00\x00\x00\x15qemu:allocation-depth"
	option(nbdwire.OptListMetaContext, contexts)
	if form != nbdwire.Simple {
		option(nbdwire.OptSetMetaContext, contexts)
	}
	option(nbdwire.OptInfo, "\x00\x00\x00\x00\x00\x02\x00\x01\x00\x03")
	option(nbdwire.OptGo, "\x00\x00\x00\x00\x00\x00")
	c := conversation{}
	cookie := uint64(0)
	ask := func(cmd nbdwire.Command, f nbdwire.CommandFlags, off, n uint64, data []byte) {
		cookie++
		r := nbdwire.Request{Command: cmd, Flags: f, Cookie: cookie, Offset: off, Length: n}
		said = append(r.Append(said, form), data...)
	}
	ask(nbdwire.CmdWrite, nbdwire.FUA, writeOff, writeLen, bytes.Repeat([]byte{0xee}, writeLen))
	c.write = len(said)
	ask(nbdwire.CmdRead, 0, writeOff, 100, nil)
	ask(nbdwire.CmdRead, 0, 0, 70_000, nil)
	ask(nbdwire.CmdFlush, 0, 0, 0, nil)
	ask(nbdwire.CmdCache, 0, 0, 4096, nil)
	ask(nbdwire.CmdTrim, nbdwire.FUA, 65536, 4096, nil)
	ask(nbdwire.CmdWriteZeroes, nbdwire.NoHole, 65536, 4096, nil)
	ask(nbdwire.CmdBlockStatus, 0, 0, 65536, nil)
	if form == nbdwire.Extended {
		p := nbdwire.StatusPayload{Length: 4096, Contexts: []uint32{1}}.Append(nil)
		ask(nbdwire.CmdBlockStatus, nbdwire.PayloadLength, 0, uint64(len(p)), p)
	}
	ask(nbdwire.CmdDisconnect, 0, 0, 0, nil)
	c.bytes = said
	return c
}

// mutations change the byte at a place of what is said. The last ends it there.
func mutations() []func(b []byte, at int) []byte {
	change := func(f func(byte) byte) func(b []byte, at int) []byte {
		return func(b []byte, at int) []byte {
			b = bytes.Clone(b)
			b[at] = f(b[at])
			return b
		}
	}
	return []func(b []byte, at int) []byte{
		change(func(x byte) byte { return ^x }), change(func(x byte) byte { return x + 1 }),
		change(func(x byte) byte { return x - 1 }), change(func(x byte) byte { return x ^ 0x80 }),
		func(b []byte, at int) []byte { return append(b[:at:at], b[min(at+1, len(b)):]...) },
		func(b []byte, at int) []byte { return b[:at] },
	}
}

// TestMutations says everything that a client can, with each byte changed or left out, and cut at
// each. The server comes to an end by itself when the client has left, asks nothing of the disk
// that is not in it, and makes no write whose data did not come.
func TestMutations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, form := range []nbdwire.Form{nbdwire.Simple, nbdwire.Structured, nbdwire.Extended} {
		c := converse(form)
		if disk := hear(t, l, c.bytes); disk.data[writeOff] != 0xee || disk.outside {
			t.Fatalf("%v: what is said right is not understood", form)
		}
		list := mutations()
		if !blockdevtest.Thorough() {
			list = append(list[:1], list[len(list)-1])
		}
		for at := range c.bytes {
			for i, mutate := range list {
				disk := hear(t, l, mutate(c.bytes, at))
				where := fmt.Sprintf("%v replies, byte %d of %d, mutation %d", form, at,
					len(c.bytes), i)
				if disk.outside {
					t.Errorf("%s: a request outside the disk", where)
				}
				if i == len(list)-1 && at < c.write && disk.data != [1 << 20]byte{} {
					t.Errorf("%s: data that did not come was written", where)
				}
			}
		}
	}
}

// hear lets a server hear what a client says, who then says no more, and returns the disk.
func hear(t *testing.T, l net.Listener, said []byte) *memory {
	t.Helper()
	theirs, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		go func() {
			_, _ = theirs.Write(said)
			_ = theirs.(*net.UnixConn).CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, theirs)
		_ = theirs.Close()
	}()
	disk := &memory{}
	s := &Server{Exports: []Export{{Disk: disk}}}
	s.client(context.Background(), ours, 1)
	<-left
	return disk
}
