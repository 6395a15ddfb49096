package nbdserver

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

const (
	// cachePiece is how much is read at a time to have it at hand, and mostCached how much for one
	// request, in bytes: it is a hint, and a client that has gone shall not keep the disk busy.
	cachePiece, mostCached = 1 << 20, 256 << 20
	// sparsePiece is from where on a read is worth looking for holes, in bytes.
	sparsePiece = 64 << 10
	// keptBuffer is the longest buffer that a worker keeps for the next request, in bytes.
	keptBuffer = 256 << 10
	// keptExtents is how many extents it keeps room for.
	keptExtents = 64
)

// worker does one request at a time.
type worker struct {
	client  *client
	request nbdwire.Request
	data    []byte
	refused error // why nothing is done
	taken   hold  // of the budget
	later   bool  // replies may wait for those of the next requests
	// borrowed: data lies in the input, and stays until the next request is read.
	borrowed bool
	// followers are done with the request: writes that go on where the one before ends.
	followers []follower

	kept    []byte
	vec     driver.Vec
	head    []byte
	extents []nbdwire.Extent
}

// take gets n bytes of memory for data.
func (w *worker) take(n int) {
	w.taken = w.client.memory.take(n)
	if n > cap(w.kept) {
		w.kept = make([]byte, n)
	}
	w.data = w.kept[:n]
}

// receive reads the data of a request, whose memory is of need bytes. What is short is left where
// it came if the disk is quick, because it will have been written when the next request is read.
func (w *worker) receive(need, payload int) (err error) {
	c := w.client
	if w.request.Command == nbdwire.CmdWrite && payload < largeData && c.quick() {
		w.data, err = c.in.borrow(payload)
		w.borrowed = err == nil
		return err
	}
	w.take(need)
	w.owe()
	err = c.in.read(w.data[:payload])
	w.pay()
	if err != nil {
		w.give()
	}
	return err
}

// owe notes that the client is waited for with memory of all, if w has such, and pay that it is no
// more.
func (w *worker) owe() {
	if w.taken.shared {
		w.client.memory.all.owe(w.client)
	}
}

func (w *worker) pay() {
	if w.taken.shared {
		w.client.memory.all.pay(w.client)
	}
}

// own takes data that is borrowed.
func (w *worker) own() {
	if !w.borrowed {
		return
	}
	w.borrowed = false
	vec := w.together()
	w.take(int(vec.Len()))
	all, n := w.data, len(vec[0])
	w.data = all[:copy(all[:n], vec[0])]
	for i := range w.followers {
		f := &w.followers[i]
		f.data = all[n : n+copy(all[n:], f.data)]
		n += len(f.data)
	}
}

// give gives the memory back.
func (w *worker) give() {
	if w.taken.n > 0 {
		w.client.memory.give(w.taken)
		w.taken = hold{}
	}
	if cap(w.kept) > keptBuffer {
		w.kept = nil
		clear(w.vec[:cap(w.vec)])
	}
	if cap(w.extents) > keptExtents {
		w.extents = nil
	}
	w.data = nil
}

// refusal is an error number with words for the client.
type refusal struct {
	no   syscall.Errno
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.no }

// allowed are the flags of each command, besides FUA, which goes with all.
func allowed(cmd nbdwire.Command) (nbdwire.CommandFlags, bool) {
	switch cmd {
	case nbdwire.CmdRead:
		return nbdwire.DontFragment, true
	case nbdwire.CmdWrite:
		return nbdwire.PayloadLength, true
	case nbdwire.CmdWriteZeroes:
		return nbdwire.NoHole | nbdwire.FastZero, true
	case nbdwire.CmdBlockStatus:
		return nbdwire.ReqOne | nbdwire.PayloadLength, true
	case nbdwire.CmdFlush, nbdwire.CmdTrim, nbdwire.CmdCache, nbdwire.CmdDisconnect:
		return 0, true
	}
	return 0, false
}

// onlyTells says that a command changes nothing.
func onlyTells(cmd nbdwire.Command) bool {
	switch cmd {
	case nbdwire.CmdRead, nbdwire.CmdCache, nbdwire.CmdBlockStatus:
		return true
	}
	return false
}

// check refuses what may not be asked of the export, before any of it is done.
func (c *client) check(r nbdwire.Request) error {
	flags, known := allowed(r.Command)
	announced := r.Flags&nbdwire.PayloadLength != 0
	switch {
	case !known:
		return refusal{syscall.EINVAL, fmt.Sprintf("command %d is not known", r.Command)}
	case r.Flags&^(flags|nbdwire.FUA) != 0:
		text := fmt.Sprintf("flags 0x%x do not go with %v", r.Flags, r.Command)
		return refusal{syscall.EINVAL, text}
	case r.Flags&nbdwire.DontFragment != 0 && c.form == nbdwire.Simple:
		return refusal{syscall.EINVAL, "structured replies were not agreed on"}
	case c.form != nbdwire.Extended && announced,
		c.form == nbdwire.Extended && r.Command == nbdwire.CmdWrite && !announced:
		return refusal{syscall.EINVAL, "the flag that says that data follows is wrong"}
	}
	switch r.Command {
	case nbdwire.CmdWrite, nbdwire.CmdWriteZeroes, nbdwire.CmdTrim:
		if c.readOnly {
			return refusal{syscall.EPERM, "the export is read-only"}
		}
	case nbdwire.CmdFlush, nbdwire.CmdDisconnect:
		return nil
	case nbdwire.CmdBlockStatus:
		if len(c.contexts) == 0 || r.Length == 0 {
			return refusal{syscall.EINVAL, "no meta context was agreed on, or no length given"}
		}
		if announced { // the range is in the data
			if most := nbdwire.StatusPayloadSize(len(c.contexts)); r.Length > most {
				text := fmt.Sprintf("%d bytes name more contexts than were agreed on", r.Length)
				return refusal{syscall.EINVAL, text}
			}
			return nil
		}
	case nbdwire.CmdRead:
		if r.Length > maxPayload {
			return errTooLong
		}
	}
	return c.inside(r)
}

// inside refuses ranges that are not in the export.
func (c *client) inside(r nbdwire.Request) error {
	if r.Offset <= c.size && r.Length <= c.size-r.Offset {
		return nil
	}
	text := fmt.Sprintf("%d bytes at %d are not within %d", r.Length, r.Offset, c.size)
	if r.Command == nbdwire.CmdWrite || r.Command == nbdwire.CmdWriteZeroes {
		return refusal{syscall.ENOSPC, text}
	}
	return refusal{syscall.EINVAL, text}
}

// do makes a request, with those that follow it, and sends the replies.
func (w *worker) do(ctx context.Context) {
	defer w.give()
	if len(w.followers) > 0 && w.doTogether(ctx) {
		return
	}
	w.doOne(ctx)
	for _, f := range w.followers {
		w.request, w.data = f.request, f.data
		w.doOne(ctx)
	}
}

// doOne makes one request and sends the reply.
func (w *worker) doOne(ctx context.Context) {
	err := w.refused
	if err == nil {
		switch w.request.Command {
		case nbdwire.CmdRead:
			err = w.read(ctx)
		case nbdwire.CmdBlockStatus:
			err = w.status(ctx)
		default:
			if err = w.perform(ctx); err == nil {
				w.succeed()
			}
		}
	}
	if err != nil {
		w.fail(err)
		return
	}
	w.client.count(w.request)
}

// perform makes a request whose reply says nothing but how it went.
func (w *worker) perform(ctx context.Context) error {
	r, disk := &w.request, w.client.export.Disk
	off, n, flags := int64(r.Offset), int64(r.Length), w.durable()
	switch r.Command {
	case nbdwire.CmdFlush:
		return disk.Flush(ctx)
	case nbdwire.CmdTrim:
		return w.trim(ctx, off, n, flags)
	case nbdwire.CmdCache:
		return w.cache(ctx, off, n)
	}
	if n == 0 {
		return nil
	}
	if r.Command == nbdwire.CmdWrite {
		w.vec = append(w.vec[:0], w.data)
		return w.write(ctx, w.vec)
	}
	if r.Flags&nbdwire.NoHole == 0 {
		flags |= driver.MayUnmap
	}
	if r.Flags&nbdwire.FastZero != 0 {
		flags |= driver.NoFallback
	}
	return disk.Zero(ctx, off, n, flags)
}

// durable is what the client wants to be on stable storage before the reply.
func (w *worker) durable() driver.Flags {
	if w.request.Flags&nbdwire.FUA != 0 {
		return driver.FUA
	}
	return 0
}

// write writes v where the request says.
func (w *worker) write(ctx context.Context, v driver.Vec) error {
	n, began := v.Len(), time.Now()
	err := w.client.export.Disk.Write(ctx, v, int64(w.request.Offset), w.durable())
	w.judge(time.Since(began), n)
	return err
}

func (w *worker) trim(ctx context.Context, off, n int64, flags driver.Flags) error {
	disk := w.client.export.Disk
	if n > 0 {
		if err := disk.Discard(ctx, off, n); err != nil {
			return err
		}
	}
	if flags&driver.FUA != 0 && !w.client.readOnly {
		return disk.Flush(ctx)
	}
	return nil
}

// cache reads to have it at hand, as much as is worth it.
func (w *worker) cache(ctx context.Context, off, n int64) error {
	n = min(n, mostCached)
	for n > 0 && !w.client.leaving.Load() {
		piece := min(n, int64(len(w.data)))
		if err := w.client.export.Disk.Read(ctx, driver.Vec{w.data[:piece]}, off, 0); err != nil {
			return err
		}
		off, n = off+piece, n-piece
	}
	return nil
}

// chunk is the header of a chunk of the reply.
func (w *worker) chunk(t nbdwire.ChunkType, length int, done bool) []byte {
	w.head = nbdwire.Reply{
		Form: w.client.form, Type: t, Cookie: w.request.Cookie, Offset: w.request.Offset,
		Length: uint64(length), Done: done,
	}.Append(w.head[:0])
	return w.head
}

func (w *worker) send(parts ...[]byte) {
	w.owe()
	w.client.send(w.later, parts...)
	w.pay()
}

// succeed answers that all was done.
func (w *worker) succeed() {
	if w.client.form == nbdwire.Extended {
		w.send(w.chunk(nbdwire.ChunkNone, 0, true))
		return
	}
	w.head = nbdwire.Reply{Cookie: w.request.Cookie}.Append(w.head[:0])
	w.send(w.head)
}

// fail answers that something went wrong, in words where there is room for them.
func (w *worker) fail(err error) {
	no := driver.Errno(err)
	if errors.Is(err, context.Canceled) {
		no = syscall.ESHUTDOWN
	}
	code := nbdwire.Code(no)
	if w.client.form == nbdwire.Simple {
		w.head = nbdwire.Reply{Cookie: w.request.Cookie, Error: code}.Append(w.head[:0])
		w.send(w.head)
		return
	}
	payload := nbdwire.ChunkFailure{Code: code, Text: err.Error()}.Append(nil)
	w.send(w.chunk(nbdwire.ChunkError, len(payload), true), payload)
}

// read answers with data, and with holes where they are known and the client can take them.
func (w *worker) read(ctx context.Context) error {
	r := &w.request
	switch {
	case r.Length == 0 && w.client.form == nbdwire.Simple:
		w.succeed()
		return nil
	case r.Length == 0: // no data, but a read: the reply has the form that was agreed on
		w.send(w.chunk(nbdwire.ChunkNone, 0, true))
		return nil
	}
	whole := r.Flags&nbdwire.DontFragment != 0
	if whole || w.client.form == nbdwire.Simple || r.Length < sparsePiece {
		return w.readPlain(ctx)
	}
	return w.readSparse(ctx)
}

// readPlain answers with all data in one piece.
func (w *worker) readPlain(ctx context.Context) error {
	if err := w.fill(ctx, 0, len(w.data)); err != nil {
		return err
	}
	if w.client.form == nbdwire.Simple {
		w.head = nbdwire.Reply{Cookie: w.request.Cookie}.Append(w.head[:0])
		w.send(w.head, w.data)
		return nil
	}
	w.sendData(0, len(w.data), true)
	return nil
}

func (w *worker) fill(ctx context.Context, from, to int) error {
	off, began := int64(w.request.Offset)+int64(from), time.Now()
	err := w.client.export.Disk.Read(ctx, driver.Vec{w.data[from:to]}, off, 0)
	w.judge(time.Since(began), int64(to-from))
	return err
}

// sendData sends a part of the data as a chunk.
func (w *worker) sendData(from, to int, done bool) {
	head := w.chunk(nbdwire.ChunkData, 8+to-from, done)
	head = nbdwire.AppendDataOffset(head, w.request.Offset+uint64(from))
	w.head = head
	w.send(head, w.data[from:to])
}

// readSparse answers with a chunk for each run of data or zeroes.
func (w *worker) readSparse(ctx context.Context) error {
	disk, end := w.client.export.Disk, len(w.data)
	for at := 0; at < end; {
		off := int64(w.request.Offset) + int64(at)
		e, err := disk.Status(ctx, off, int64(end-at))
		if err != nil || e.Len <= 0 {
			e = driver.Extent{Len: int64(end - at), Data: true} // what it is shows when it is read
		}
		next := at + int(min(e.Len, int64(end-at)))
		if e.Zero {
			head := w.chunk(nbdwire.ChunkHole, 12, next == end)
			w.head = nbdwire.AppendHole(head, uint64(off), uint32(next-at))
			w.send(w.head)
		} else {
			if err := w.fill(ctx, at, next); err != nil {
				return err
			}
			w.sendData(at, next, next == end)
		}
		at = next
	}
	return nil
}
