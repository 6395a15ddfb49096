package nbdserver

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// memory is a disk of 1 MiB that counts what lies outside.
type memory struct {
	mu      sync.Mutex
	data    [1 << 20]byte
	outside bool
}

func (m *memory) Info() driver.Info {
	return driver.Info{Limits: driver.Limits{Size: int64(len(m.data))}}
}

func (m *memory) ReadOnly() bool { return false }

func (m *memory) part(off, n int64) []byte {
	if off < 0 || n <= 0 || off > int64(len(m.data))-n {
		m.outside = true
		return nil
	}
	return m.data[off : off+n]
}

func (m *memory) Read(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v.CopyFrom(m.part(off, v.Len()))
	return nil
}

func (m *memory) Write(_ context.Context, v driver.Vec, off int64, _ driver.Flags) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v.CopyTo(m.part(off, v.Len()))
	return nil
}

func (m *memory) Zero(_ context.Context, off, n int64, _ driver.Flags) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.part(off, n))
	return nil
}

func (m *memory) Discard(ctx context.Context, off, n int64) error { return m.Zero(ctx, off, n, 0) }

func (m *memory) Status(_ context.Context, off, n int64) (driver.Extent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part(off, n)
	return driver.Extent{Off: off, Len: min(n, 4096), Data: true, Zero: off%8192 == 0}, nil
}

func (m *memory) DirtyRun(
	_ context.Context, _ string, off, n int64,
) (end int64, dirty bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part(off, n)
	return off + min(n, 4096), off%8192 == 0, nil
}

func (m *memory) Flush(context.Context) error { return nil }

// FuzzClient lets a client say whatever it likes. The server hangs up or answers, and asks nothing
// of the disk that is not in it.
func FuzzClient(f *testing.F) {
	head := []byte{0, 0, 0, 3}
	option := func(o nbdwire.Option, data string) []byte {
		return nbdwire.AppendOption(nil, o, []byte(data))
	}
	structured := option(nbdwire.OptStructuredReply, "")
	extended := option(nbdwire.OptExtendedHeaders, "")
	bitmap := option(nbdwire.OptSetMetaContext,
		"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x13qemu:dirty-bitmap:b")
	meta := option(nbdwire.OptSetMetaContext,
		"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0fbase:allocation")
	begin := option(nbdwire.OptGo, "\x00\x00\x00\x00\x00\x00")
	requests := func(form nbdwire.Form) []byte {
		var b []byte
		for _, r := range []nbdwire.Request{
			{Command: nbdwire.CmdRead, Length: 70000, Cookie: 1},
			{Command: nbdwire.CmdBlockStatus, Length: 1 << 20, Cookie: 2},
			{Command: nbdwire.CmdWriteZeroes, Offset: 512, Length: 512, Cookie: 3},
			{Command: nbdwire.CmdDisconnect},
		} {
			b = r.Append(b, form)
		}
		return b
	}
	f.Add(bytes.Join([][]byte{head, begin, requests(nbdwire.Simple)}, nil))
	f.Add(bytes.Join([][]byte{head, structured, meta, begin, requests(nbdwire.Structured)}, nil))
	f.Add(bytes.Join([][]byte{head, extended, meta, begin, requests(nbdwire.Extended)}, nil))
	f.Add(bytes.Join([][]byte{head, structured, bitmap, begin, requests(nbdwire.Structured)}, nil))
	f.Add(bytes.Join(
		[][]byte{head, option(nbdwire.OptList, ""), option(nbdwire.OptExportName, "x")}, nil))
	f.Fuzz(func(t *testing.T, said []byte) {
		disk := &memory{}
		s := &Server{Exports: []Export{{Disk: disk}}}
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() {
			_, _ = theirs.Write(said)
			_ = theirs.Close()
		}()
		s.client(context.Background(), ours, 1)
		if disk.outside {
			t.Error("a request outside the disk")
		}
	})
}
