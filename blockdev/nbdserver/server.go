// Package nbdserver serves disks to NBD clients: qemu, the kernel, libnbd, and the package nbd.
//
//	s := &nbdserver.Server{Exports: []nbdserver.Export{{Disk: device}}}
//	err := s.Serve(ctx, listener)
//
// Each connection haggles under a time limit and then has a few workers, which take turns: one
// reads a request with its data and leaves the socket to the next, does what was asked, and sends
// the reply when no other is sending. A slow disk thus holds up nobody but who asked it, and a
// client that does not read its replies holds up itself. While a disk is quick, one worker keeps
// the reading and does all alone: it then takes what came together, answers it together, and waits
// for more in the kernel, as long as no request takes too long.
//
// Clients are not believed. Every length is bounded before memory is taken for it, the data of a
// request that is refused is read and dropped, and whoever breaks the protocol is hung up on. The
// bounds of an export are its own exact ones: ENOSPC for writing behind the end, EINVAL for all
// else, EPERM for writing what is read-only.
package nbdserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// Disk is what is served. A Device of package blockdev is one. All methods may be called at once.
type Disk interface {
	Info() driver.Info
	ReadOnly() bool
	Read(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error
	Write(ctx context.Context, v driver.Vec, off int64, f driver.Flags) error
	Zero(ctx context.Context, off, n int64, f driver.Flags) error
	Discard(ctx context.Context, off, n int64) error
	Status(ctx context.Context, off, n int64) (driver.Extent, error)
	// DirtyRun tells of the bitmaps that an Export names.
	DirtyRun(ctx context.Context, bitmap string, off, n int64) (end int64, dirty bool, err error)
	Flush(ctx context.Context) error
}

// Export is a disk under a name.
type Export struct {
	// Name is what clients ask for. The first export is also the one for who asks for "", unless
	// another is called so.
	Name, Description string
	// Disk has, for all clients, the length in bytes that it has when Serve begins, which need not
	// be a whole number of sectors: what is no more there, because somebody cut its file, cannot be
	// read, and is not missing in silence.
	Disk Disk
	// ReadOnly refuses all that would change the disk. It holds for disks that are read-only in any
	// case.
	ReadOnly bool
	// Bitmaps are the dirty bitmaps of the disk that clients may see, as the meta contexts
	// qemu:dirty-bitmap:NAME.
	Bitmaps []string

	size uint64 // of Disk
}

// contexts are the names of the meta contexts of an export. The place of one is its number on the
// wire.
func (e *Export) contexts() []string {
	names := []string{
		allocationID: nbdwire.ContextAllocation,
		depthID:      nbdwire.ContextAllocationDepth,
	}
	for _, b := range e.Bitmaps {
		names = append(names, nbdwire.ContextDirtyBitmap+b)
	}
	return names
}

// The numbers of the contexts on the wire. Those of bitmaps follow.
const (
	allocationID = iota
	depthID
	firstBitmapID
)

func (e *Export) readOnly() bool { return e.ReadOnly || e.Disk.ReadOnly() }

// Server serves exports. Its fields are set before Serve is called.
type Server struct {
	Exports []Export
	// TLS makes every client encrypt; nil lets none.
	TLS *tls.Config
	// Once ends Serve when a client has used an export and has left, with all its connections:
	// when nobody uses one any more, or is about to.
	Once bool
	// HandshakeTime is how long a client may take to choose an export; 0 gives it ten seconds.
	HandshakeTime time.Duration
	// MaxClients is how many connections there may be at a time, each of which may take 16 MiB of
	// memory, or what its longest request has; 0 allows 100. Others wait in the listening socket.
	MaxClients int
	// MaxMemory is how many bytes the data of all requests may take together, besides 256 KiB of
	// each connection; 0 allows 256 MiB. A single request may take more when no other has any. What
	// clients ask for beyond it waits in their sockets.
	MaxMemory int
	// StallTime is how long a client that has memory of all, for a request or a reply, may move
	// less than 64 KiB of data while others wait for memory; 0 gives ten seconds. It is hung up on
	// then.
	StallTime time.Duration
	// Notify is told of clients, from many goroutines. nil tells nobody.
	Notify func(Notice)
	// Moved is told how many bytes of data were read or written, from many goroutines. nil is told
	// nothing.
	Moved func(n int64)

	serving   atomic.Int32 // clients that use an export
	connected atomic.Int32 // these, and those that have not chosen one yet
	used      atomic.Bool  // an export was
	once      sync.Once
	memory    *shared // of the requests of all clients
}

// settle fixes what holds for all clients.
func (s *Server) settle() {
	s.once.Do(func() {
		s.memory = &shared{
			limit: cmp.Or(s.MaxMemory, maxShared), patience: cmp.Or(s.StallTime, stallTime),
		}
		for i := range s.Exports {
			e := &s.Exports[i]
			e.size = uint64(e.Disk.Info().Size)
		}
	})
}

// Notice is about one connection.
type Notice struct {
	Number int64  // of the connection, from 1
	Client string // its address, "" for a socket without a name
	Export string // that the client uses
	// Left is false when the client begins to use the export, and true when it does so no more, or
	// has gone without having used one, which Declined says. Err is why, nil if it took leave.
	Left, Declined bool
	Err            error
	Traffic        Traffic // once it has left
}

// Traffic is what was done for a client. Requests that failed do not count.
type Traffic struct {
	Requests      int64
	Read, Written int64 // bytes
}

// MaxName is how long the name of an export may be, in bytes.
const MaxName = nbdwire.MaxString

// CheckName says why no client could ask for an export of that name, nil if one can.
func CheckName(name string) error {
	switch {
	case len(name) > MaxName:
		return fmt.Errorf("it has %d bytes, of at most %d", len(name), MaxName)
	case !nbdwire.IsText(name):
		return errors.New("it is no text in UTF-8")
	}
	return nil
}

// unnamed is how the package net calls the address of a socket that has none.
const unnamed = "@"

const (
	// maxClients and handshakeTime hold where a Server says nothing else.
	maxClients    = 100
	handshakeTime = 10 * time.Second
	// acceptPause is how long no client is taken after there was no descriptor or memory for one.
	acceptPause = 100 * time.Millisecond
	// lingerTime is how long a client that does not read may hold up the end of the server.
	lingerTime = 10 * time.Second
)

// Serve serves whoever connects to l until ctx ends. Then it takes no further requests, finishes
// those it has, flushes all exports, and returns nil. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	for _, e := range s.Exports {
		if err := CheckName(e.Name); err != nil {
			return errors.Join(l.Close(), fmt.Errorf("export %q: %w", e.Name, err))
		}
	}
	s.settle()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	closed := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer closed()
	slots := make(chan struct{}, cmp.Or(s.MaxClients, maxClients))
	var clients sync.WaitGroup
	var failed error
	for number := int64(1); ; number++ {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // who comes now has no slot
			break
		}
		conn, err := accept(ctx, l)
		if err != nil {
			if ctx.Err() == nil {
				failed = err
			}
			break
		}
		s.connected.Add(1)
		clients.Go(func() {
			defer func() { <-slots }()
			if s.client(ctx, conn, number) {
				s.used.Store(true)
			}
			if s.connected.Add(-1) == 0 && s.Once && s.used.Load() {
				stop()
			}
		})
	}
	stop()
	_ = l.Close() // once more, perhaps, and to its end
	clients.Wait()
	return errors.Join(failed, s.flush(context.WithoutCancel(ctx)))
}

// accept takes the next client. It waits while the system has no descriptor or no memory for one,
// which clients could bring about.
func accept(ctx context.Context, l net.Listener) (net.Conn, error) {
	for {
		conn, err := l.Accept()
		scarce := false
		for _, no := range []syscall.Errno{
			syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		} {
			scarce = scarce || errors.Is(err, no)
		}
		if !scarce {
			return conn, err
		}
		select {
		case <-time.After(acceptPause):
		case <-ctx.Done():
		}
	}
}

func (s *Server) flush(ctx context.Context) error {
	var all error
	for i := range s.Exports {
		if e := &s.Exports[i]; !e.readOnly() {
			all = errors.Join(all, e.Disk.Flush(ctx))
		}
	}
	return all
}

// client serves one connection to its end, and says whether an export was used.
func (s *Server) client(ctx context.Context, conn net.Conn, number int64) bool {
	s.settle()
	h := &haggling{server: s, conn: conn, rw: conn}
	notice := Notice{Number: number}
	if address := conn.RemoteAddr().String(); address != unnamed {
		notice.Client = address
	}
	limit := cmp.Or(s.HandshakeTime, handshakeTime)
	_ = conn.SetDeadline(time.Now().Add(limit))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	export, err := h.run()
	if !stop() || err != nil || export == nil {
		_ = conn.Close()
		notice.Left, notice.Declined = true, true
		if ctx.Err() == nil {
			notice.Err = h.why(err)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				notice.Err = fmt.Errorf("chose no export within %v: %w", limit, err)
			}
		}
		s.tell(notice)
		return false
	}
	_ = conn.SetDeadline(time.Time{})
	notice.Export = export.Name
	s.tell(notice)
	s.serving.Add(1)
	defer s.serving.Add(-1)
	c := newClient(h, export)
	notice.Left, notice.Err = true, c.serve(ctx)
	notice.Traffic = c.traffic.sum()
	s.tell(notice)
	return true
}

func (s *Server) tell(n Notice) {
	if s.Notify != nil {
		s.Notify(n)
	}
}

// find is the export with a name, nil if there is none.
func (s *Server) find(name string) *Export {
	i := slices.IndexFunc(s.Exports, func(e Export) bool { return e.Name == name })
	if i < 0 && name == "" && len(s.Exports) > 0 {
		i = 0
	}
	if i < 0 {
		return nil
	}
	return &s.Exports[i]
}
