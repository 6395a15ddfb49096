// Package uring is a thin binding to io_uring: set-up, submission, completion and registration, and
// nothing on top.
//
// A Ring is used like this: Next gives a free submission entry to fill in, Submit hands all filled
// entries to the kernel, Wait waits for completions, Turn does both in one system call, and
// Completion takes one completion off the ring. The memory that an entry points to must stay where
// it is, and be kept from the garbage collector, until its completion was seen.
//
// Never more requests may be under way than Entries; then the completion ring, which has twice as
// many places, cannot overflow.
//
// The layouts are those of the kernel's <linux/io_uring.h>.
package uring

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations.
const (
	OpNop        = 0
	OpReadv      = 1
	OpWritev     = 2
	OpReadFixed  = 4
	OpWriteFixed = 5
	OpRead       = 22
	OpWrite      = 23
)

// FixedFile says that SQE.FD is an index into the registered files.
const FixedFile = 1 << 0

const (
	setupClamp        = 1 << 4
	setupCoopTaskrun  = 1 << 8
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13
	setupNoSQArray    = 1 << 16

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featExtArg     = 1 << 8

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	offSQRing = 0
	offSQEs   = 0x10000000

	registerBuffers = 0
	registerFiles   = 2
	unregisterFiles = 3
)

// SQE is a submission entry.
type SQE struct {
	Op       uint8
	Flags    uint8
	IOPrio   uint16
	FD       int32
	Off      uint64
	Addr     uint64
	Len      uint32
	OpFlags  uint32
	UserData uint64
	BufIndex uint16
	_        [22]byte
}

// CQE is a completion. Res is what the system call would return: a count, or a negated error
// number.
type CQE struct {
	UserData uint64
	Res      int32
	Flags    uint32
}

type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// waitArg is what a wait with enterExtArg is told: how long.
type waitArg struct {
	sigmask uint64
	_       [2]uint32
	ts      uint64 // address of time
	time    struct{ seconds, nanos int64 }
}

// waitArgSize is the part of a waitArg that the kernel's struct io_uring_getevents_arg has.
const waitArgSize = unsafe.Offsetof(waitArg{}.time)

// Ring is one submission and one completion ring. It is not safe for use by several goroutines at
// once, except that one may be in Enter while another fills entries, under the rules of its Mode.
type Ring struct {
	fd      int
	entries uint32

	rings, sqeMem []byte // mapped: both rings in one, and the entries

	sqHead, sqTail *uint32 // shared with the kernel
	sqMask         uint32
	sqes           []SQE
	tail           uint32 // ours: entries filled in up to here
	submitted      uint32 // entries handed over up to here

	cqHead, cqTail *uint32
	cqMask         uint32
	cqes           []CQE

	holdsFile bool     // see RegisterFile
	brief     *waitArg // of Turn; nil where the kernel knows no such thing
}

// Mode says who uses a ring.
type Mode int

const (
	// Owned rings belong to one goroutine that is locked to its thread: from New to Close nobody
	// else touches them.
	Owned Mode = iota
	// Shared rings take entries and are entered from any thread; the caller orders that.
	Shared
)

// ladders are the set-up flags to try, from the newest kernel (6.6, then 6.1, 5.19, 5.6) down.
var ladders = [...][]uint32{
	Owned: {
		setupSingleIssuer | setupDeferTaskrun | setupNoSQArray,
		setupSingleIssuer | setupDeferTaskrun, setupCoopTaskrun, 0,
	},
	Shared: {setupCoopTaskrun | setupNoSQArray, setupCoopTaskrun, 0},
}

// New sets a ring up for at least entries requests under way at once. An error means that there is
// no io_uring to be had here: the kernel is too old, or it is forbidden.
func New(entries int, m Mode) (*Ring, error) {
	if entries <= 0 || entries > 32768 {
		return nil, fmt.Errorf("no ring of %d entries: %w", entries, unix.EINVAL)
	}
	var last error
	for _, flags := range ladders[m] {
		p := params{flags: flags | setupClamp}
		fd, _, no := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries),
			uintptr(unsafe.Pointer(&p)), 0)
		if no == unix.EINVAL {
			last = no
			continue
		}
		if no != 0 {
			return nil, fmt.Errorf("io_uring_setup: %w", no)
		}
		r := &Ring{fd: int(fd), entries: uint32(entries)}
		if err := r.init(&p); err != nil {
			_ = r.Close()
			return nil, err
		}
		return r, nil
	}
	return nil, fmt.Errorf("io_uring_setup: %w", last)
}

func (r *Ring) init(p *params) error {
	if p.features&featSingleMmap == 0 || p.features&featNoDrop == 0 || p.cqEntries < r.entries ||
		p.sqEntries < r.entries {
		return fmt.Errorf("io_uring of a kernel before 5.6: %w", unix.ENOSYS)
	}
	hasArray := p.flags&setupNoSQArray == 0
	sqSize := int(p.sq.array) + 4*int(p.sqEntries)
	cqSize := int(p.cq.cqes) + int(p.cqEntries)*int(unsafe.Sizeof(CQE{}))
	if !hasArray {
		sqSize = 0
	}
	var err error
	if r.rings, err = r.mmap(offSQRing, max(sqSize, cqSize)); err != nil {
		return err
	}
	if r.sqeMem, err = r.mmap(offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(SQE{}))); err != nil {
		return err
	}
	at := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[off])) }
	r.sqHead, r.sqTail, r.sqMask = at(p.sq.head), at(p.sq.tail), *at(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = at(p.cq.head), at(p.cq.tail), *at(p.cq.mask)
	r.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqeMem[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&r.rings[p.cq.cqes])), p.cqEntries)
	if p.features&featExtArg != 0 {
		r.brief = &waitArg{}
		r.brief.time.nanos = patience.Nanoseconds()
		r.brief.ts = uint64(uintptr(unsafe.Pointer(&r.brief.time)))
	}
	if hasArray { // place i always means entry i
		for i := range unsafe.Slice(at(p.sq.array), p.sqEntries) {
			*at(p.sq.array + 4*uint32(i)) = uint32(i)
		}
	}
	return nil
}

func (r *Ring) mmap(off int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, off, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map io_uring: %w", err)
	}
	return b, nil
}

// Next is the next submission entry, empty. Nil means that all are taken and Enter must be called
// first.
func (r *Ring) Next() *SQE {
	if r.tail-atomic.LoadUint32(r.sqHead) >= uint32(len(r.sqes)) {
		return nil
	}
	e := &r.sqes[r.tail&r.sqMask]
	r.tail++
	*e = SQE{}
	return e
}

// Submit hands the entries filled in since the last time to the kernel, and returns once it has
// taken them all. On an error, which only misuse can bring, the kernel does not get those that it
// has not taken.
func (r *Ring) Submit() error {
	atomic.StoreUint32(r.sqTail, r.tail)
	for r.submitted != r.tail {
		n, err := r.enter(r.tail-r.submitted, 0, 0)
		if err != nil {
			r.tail = r.submitted
			atomic.StoreUint32(r.sqTail, r.tail)
			return err
		}
		r.submitted += uint32(n)
	}
	return nil
}

// Poll lets the kernel put down completions that it has kept until the owner of the ring comes by.
func (r *Ring) Poll() error {
	_, err := r.enter(0, 0, enterGetEvents)
	return err
}

// Wait returns when that many completions are there to be taken.
func (r *Ring) Wait(least uint32) error {
	for r.waiting() < least {
		if _, err := r.enter(0, least, enterGetEvents); err != nil {
			return err
		}
	}
	return nil
}

// UnderWay is how many entries the kernel has got whose completions have not been taken yet.
func (r *Ring) UnderWay() int { return int(r.submitted - *r.cqHead) }

// waiting is how many completions are there to be taken.
func (r *Ring) waiting() uint32 { return atomic.LoadUint32(r.cqTail) - *r.cqHead }

// patience is for how long Turn keeps the processor from other goroutines: as long as the scheduler
// lets a goroutine compute. The timer must not end before the kernel's own tick either, or a
// virtual machine pays 10 µs a request to have it set.
const patience = 10 * time.Millisecond

// Turn is Submit and Wait in one, for a goroutine that has nothing else to do and will be back at
// once. Prompt says that the requests are likely to complete while they are submitted, as reads
// from the page cache do.
//
// A system call that the scheduler knows of loses its processor after 20 µs, to a thread that wakes
// up just to look, and has to get one again at its end: for a disk that answers in 50 µs that is
// half as much work again as the request itself. So for some milliseconds Turn waits unknown to the
// scheduler, like a goroutine that computes; when the scheduler wants the goroutine to pause, its
// signal ends the wait. After that, Turn waits like any other call.
func (r *Ring) Turn(least uint32, prompt bool) error {
	if prompt {
		r.Push()
	}
	if r.brief != nil && (r.submitted != r.tail || r.waiting() < least) {
		r.enterBriefly(uintptr(least), enterGetEvents|enterExtArg, uintptr(unsafe.Pointer(r.brief)),
			waitArgSize)
	}
	if err := r.Submit(); err != nil {
		return err
	}
	return r.Wait(least)
}

// Push hands the entries filled in so far to the kernel, unknown to the scheduler like Turn: it is
// for a part of a batch whose rest follows at once. What the kernel does not take is left to Submit
// or Turn.
func (r *Ring) Push() {
	if r.submitted != r.tail {
		r.enterBriefly(0, 0, 0, 0)
	}
}

func (r *Ring) enterBriefly(wait, flags, arg, argSize uintptr) {
	atomic.StoreUint32(r.sqTail, r.tail)
	n, _, no := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd),
		uintptr(r.tail-r.submitted), wait, flags, arg, argSize)
	if no == 0 {
		r.submitted += uint32(n)
	}
}

// enter is io_uring_enter(2), and returns how many entries the kernel took. Interruptions, and a
// kernel that is short of something until completions are taken, are no errors: then nothing was
// submitted.
func (r *Ring) enter(submit, wait, flags uint32) (int, error) {
	n, _, no := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit),
		uintptr(wait), uintptr(flags), 0, 0)
	switch no {
	case 0:
		return int(n), nil
	case unix.EINTR, unix.EAGAIN, unix.EBUSY:
		runtime.Gosched()
		return 0, nil
	}
	return 0, fmt.Errorf("io_uring_enter: %w", no)
}

// Completion takes one completion off the ring, if there is one. It makes no system call.
func (r *Ring) Completion() (CQE, bool) {
	head := *r.cqHead // written by us alone
	if head == atomic.LoadUint32(r.cqTail) {
		return CQE{}, false
	}
	c := r.cqes[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	return c, true
}

// RegisterBuffers makes pieces of memory known to the kernel, which fixed operations then name by
// index. The memory stays locked; a user may be allowed little of that, so be ready for ENOMEM.
func (r *Ring) RegisterBuffers(bufs [][]byte) error {
	vecs := make([]unix.Iovec, len(bufs))
	for i, b := range bufs {
		vecs[i].Base = unsafe.SliceData(b)
		vecs[i].SetLen(len(b))
	}
	return r.register(registerBuffers, unsafe.Pointer(unsafe.SliceData(vecs)), len(vecs))
}

// RegisterFile makes one descriptor known, as index 0 for entries with FixedFile.
func (r *Ring) RegisterFile(fd int) error {
	fds := []int32{int32(fd)}
	err := r.register(registerFiles, unsafe.Pointer(unsafe.SliceData(fds)), 1)
	r.holdsFile = err == nil
	return err
}

func (r *Ring) register(op uintptr, arg unsafe.Pointer, n int) error {
	_, _, no := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg),
		uintptr(n), 0, 0)
	if no != 0 {
		return fmt.Errorf("io_uring_register: %w", no)
	}
	return nil
}

// Close gives the ring back. The caller has seen the completion of everything that it submitted. A
// ring that still knew a file would keep it open, and with it its locks, until the kernel gets
// round to freeing the ring: milliseconds after the end of the process.
func (r *Ring) Close() error {
	var errs []error
	if r.holdsFile {
		errs = append(errs, r.register(unregisterFiles, nil, 0))
	}
	for _, m := range [][]byte{r.rings, r.sqeMem} {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	return errors.Join(append(errs, unix.Close(r.fd))...)
}
