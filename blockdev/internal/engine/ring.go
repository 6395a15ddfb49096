package engine

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/uring"
)

// ringSlots is how many transfers a Ring has under way at once; further ones wait.
const ringSlots = 128

// Ring is the port of an io_uring that many goroutines share: each puts its transfer on the ring
// and sleeps until one goroutine that watches the ring wakes it. That hand-over costs some
// microseconds a request; who has many requests of its own uses a batch queue instead.
type Ring struct {
	ring    *uring.Ring
	slots   [ringSlots]ringSlot
	free    chan int // slots
	watcher sync.WaitGroup
	over    chan struct{} // closed when err says why no transfer will complete any more
	err     error

	mu sync.Mutex // around filling and submitting entries
}

// ringSlot is a transfer under way. It keeps the memory that the kernel works on from being
// collected.
type ringSlot struct {
	data driver.Vec
	vecs []unix.Iovec
	done chan int32 // the result
}

// stopWatching is the number of the request that ends the watcher.
const stopWatching = ringSlots

var _ Port = (*Ring)(nil)

// NewRing sets a ring up. An error means that there is none to be had, and another port must do.
func NewRing() (*Ring, error) {
	r, err := uring.New(ringSlots+1, uring.Shared)
	if err != nil {
		return nil, err
	}
	p := &Ring{ring: r, free: make(chan int, ringSlots), over: make(chan struct{})}
	for i := range p.slots {
		p.slots[i].done = make(chan int32, 1)
		p.free <- i
	}
	p.watcher.Go(p.watch)
	return p, nil
}

// watch wakes whoever's transfer is complete.
func (p *Ring) watch() {
	for {
		if err := p.ring.Wait(1); err != nil {
			p.abandon(fmt.Errorf("lost the ring: %w", err))
			return
		}
		for {
			c, ok := p.ring.Completion()
			if !ok {
				break
			}
			if c.UserData == stopWatching {
				return
			}
			p.slots[c.UserData].done <- c.Res
		}
	}
}

// abandoned keeps rings that were lost, and with them the memory that the kernel may still work on.
var abandoned struct {
	sync.Mutex
	rings []*Ring
}

// abandon fails the transfers under way, about which nothing can be learned any more, and all that
// follow. It takes a programming error elsewhere to get here, such as somebody closing a descriptor
// that is not theirs.
func (p *Ring) abandon(err error) {
	abandoned.Lock()
	defer abandoned.Unlock()
	abandoned.rings = append(abandoned.rings, p)
	p.end(err)
}

func (p *Ring) end(err error) {
	p.err = err
	close(p.over)
}

// Readv is IORING_OP_READV.
func (p *Ring) Readv(fd int, v driver.Vec, off int64) (int, error) {
	return p.transfer(uring.OpReadv, fd, v, off)
}

// Writev is IORING_OP_WRITEV.
func (p *Ring) Writev(fd int, v driver.Vec, off int64) (int, error) {
	return p.transfer(uring.OpWritev, fd, v, off)
}

func (p *Ring) transfer(op uint8, fd int, v driver.Vec, off int64) (int, error) {
	var i int
	select {
	case i = <-p.free:
	case <-p.over:
		return 0, p.err
	}
	s := &p.slots[i]
	s.data, s.vecs = v, s.vecs[:0]
	for _, b := range v {
		if len(b) > 0 {
			vec := unix.Iovec{Base: unsafe.SliceData(b)}
			vec.SetLen(len(b))
			s.vecs = append(s.vecs, vec)
		}
	}
	if err := p.submit(uring.SQE{
		Op: op, FD: int32(fd), Off: uint64(off), UserData: uint64(i),
		Addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(s.vecs)))), Len: uint32(len(s.vecs)),
	}); err != nil {
		p.free <- i
		return 0, err
	}
	var res int32
	select {
	case res = <-s.done:
	case <-p.over:
		return 0, p.err // the slot goes on to hold the memory
	}
	runtime.KeepAlive(v)
	s.data = nil
	p.free <- i
	if res < 0 {
		return 0, unix.Errno(-res)
	}
	return int(res), nil
}

func (p *Ring) submit(e uring.SQE) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.over:
		return p.err
	default:
	}
	*p.ring.Next() = e // there is a place for each slot
	return p.ring.Submit()
}

// Close waits for transfers under way and then gives the ring back.
func (p *Ring) Close() error {
	for range ringSlots {
		select {
		case <-p.free:
		case <-p.over:
			return p.err
		}
	}
	if err := p.submit(uring.SQE{Op: uring.OpNop, UserData: stopWatching}); err != nil {
		return err
	}
	p.watcher.Wait()
	p.end(os.ErrClosed)
	return p.ring.Close()
}
