package nbd

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

const (
	// bufferSize is for headers and short payloads, in bytes: the replies of many requests come
	// with one call.
	bufferSize = 256 << 10
	// largePayload is from where on a payload is read where it belongs, in bytes.
	largePayload = 16 << 10
	// headerRoom is how much is read besides a large payload, in bytes: the header of the next.
	headerRoom = 64
	// many is how many requests have to be in flight for the server to be let through before its
	// answers are read, and answerTime what it needs for one, at most.
	many       = 4
	answerTime = 20 * time.Microsecond
	// plenty is how many bytes come with one read where it need not: it would have nothing to do
	// while those are dealt with.
	plenty = 64 << 10
	// maxPieces is how many pieces of memory one call takes.
	maxPieces = 512
	// maxIdleChunks is how many chunks of a reply may bring nothing.
	maxIdleChunks = 64
)

// receiving is where the reader stands in the stream. It belongs to whoever reads, but for into,
// which changes under conn.mu only.
type receiving struct {
	buf        []byte
	start, end int // what is in buf and not looked at
	got        int // with the last read

	reply nbdwire.Reply // whose payload is being read
	into  *request      // whose data is being read, nil for none
	// rest is the memory for what is still to come; left counts also bytes that go nowhere.
	rest  [][]byte
	left  uint64
	small []byte // payload other than data, while it comes

	pieces [][]byte  // room for rest
	one    [1][]byte // room for the buffer alone
}

// aim makes n bytes of v from off on the memory for what comes.
func (in *receiving) aim(v driver.Vec, off, n uint64) {
	in.rest = in.pieces[:0]
	for _, p := range v {
		if off >= uint64(len(p)) {
			off -= uint64(len(p))
			continue
		}
		p = p[off:]
		off = 0
		if n < uint64(len(p)) {
			p = p[:n]
		}
		if n -= uint64(len(p)); len(p) > 0 {
			in.rest = append(in.rest, p)
		}
		if n == 0 {
			break
		}
	}
	in.pieces = in.rest[:0]
}

// consume moves on by at most n bytes, which are there, and returns how many of them rest had room
// for.
func (in *receiving) consume(n int) int {
	left := n
	for left > 0 && len(in.rest) > 0 {
		if left < len(in.rest[0]) {
			in.rest[0] = in.rest[0][left:]
			left = 0
			break
		}
		left -= len(in.rest[0])
		in.rest = in.rest[1:]
	}
	return n - left
}

// receive waits for something from the server, for w, and deals with it. A timeout is no failure:
// the caller looks around and comes again.
func (c *conn) receive(w *waiter) error {
	err := c.fill(w.beside)
	if w.elsewhere = err == errBeside; w.elsewhere {
		return nil
	}
	if isTimeout(err) {
		_ = c.stream.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return err
	}
	for {
		more, err := c.advance()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if c.receiving.split() {
		c.split.Add(1)
	}
	return nil
}

// fill reads once: payload where it belongs, and the buffer behind it.
func (c *conn) fill(beside stream) error {
	in := &c.receiving
	if in.start > 0 {
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
	}
	c.mu.Lock()
	if c.orphaned {
		in.rest = nil
	}
	room := in.buf[in.end:]
	flying := c.flying
	wait := waiting{beside: beside, awake: c.large > 0}
	if wait.awake {
		room = room[:min(len(room), headerRoom)]
	}
	c.mu.Unlock()
	if !wait.awake && flying >= many && in.got < plenty {
		c.stream.giveWay(time.Duration(flying) * answerTime)
	}
	if len(in.rest) == 0 || in.end > 0 {
		in.one[0] = room
		got, err := c.stream.readv(in.one[:], wait)
		in.end += got
		in.got = got
		return err
	}
	bufs := append(in.rest, room)
	got, err := c.stream.readv(bufs[:min(len(bufs), maxPieces)], wait)
	in.got = got
	direct := in.consume(got)
	in.left -= uint64(direct)
	in.end = got - direct
	return err
}

// advance deals with the next header or payload in the buffer, and says whether there was one.
func (c *conn) advance() (more bool, err error) {
	in := &c.receiving
	if in.left > 0 || in.into != nil {
		return c.takePayload()
	}
	if in.reply.Length > 0 {
		return c.takeSmall()
	}
	reply, n, err := nbdwire.ParseReply(in.buf[in.start:in.end], c.agreed.form)
	if err != nil || n == 0 {
		return false, err
	}
	in.start += n
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.owner(reply.Cookie)
	if r == nil {
		return false, fmt.Errorf("reply to nobody, with cookie 0x%x", reply.Cookie)
	}
	if err := c.begin(reply, r); err != nil {
		return false, c.breakOff(r, err)
	}
	return true, nil
}

// owner is the request with the cookie. It is called with mu held.
func (c *conn) owner(cookie uint64) *request {
	i := cookie & (1<<32 - 1)
	if i >= uint64(len(c.slots)) {
		return nil
	}
	if r := c.slots[i].request; r != nil && r.Cookie == cookie {
		return r
	}
	return nil
}

// breakOff is a reply to r that no server may give. The request says what, and the connection ends.
func (c *conn) breakOff(r *request, err error) error {
	err = &broken{err, syscall.EINVAL}
	r.err, r.done = err, true
	c.settle(r)
	return err
}

// begin deals with the header of a reply to r.
func (c *conn) begin(reply nbdwire.Reply, r *request) error {
	if r.chunks++; r.chunks > r.Length+maxIdleChunks {
		return fmt.Errorf("too many chunks for a %v of %d bytes", r.Command, r.Length)
	}
	if reply.Form == nbdwire.Simple {
		return c.beginSimple(reply, r)
	}
	if reply.Form == nbdwire.Extended && reply.Offset != r.Offset {
		return fmt.Errorf("reply at %d to a request at %d", reply.Offset, r.Offset)
	}
	switch reply.Type {
	case nbdwire.ChunkNone:
		c.end(reply, r)
		return nil
	case nbdwire.ChunkData, nbdwire.ChunkHole:
		long := reply.Type == nbdwire.ChunkData && reply.Length > r.Length+8
		if r.Command != nbdwire.CmdRead || long {
			return fmt.Errorf("%d bytes for a %v of %d bytes", reply.Length, r.Command, r.Length)
		}
	case nbdwire.ChunkBlockStatus, nbdwire.ChunkBlockStatusExt:
		if r.Command != nbdwire.CmdBlockStatus {
			return fmt.Errorf("extents for a %v", r.Command)
		}
	}
	c.receiving.reply = reply
	return nil
}

func (c *conn) beginSimple(reply nbdwire.Reply, r *request) error {
	if c.agreed.form != nbdwire.Simple &&
		(r.Command == nbdwire.CmdRead || r.Command == nbdwire.CmdBlockStatus) && reply.Error == 0 {
		return fmt.Errorf("simple reply to a %v", r.Command)
	}
	if reply.Error != 0 {
		r.fail(c.refused(r, reply.Error, ""))
	} else if r.Command == nbdwire.CmdRead {
		c.receiving.reply = reply
		c.expect(r, 0, r.Length)
		return nil
	}
	c.end(reply, r)
	return nil
}

// expect prepares for n bytes of data for r, from off within its range.
func (c *conn) expect(r *request, off, n uint64) {
	in := &c.receiving
	in.into, in.left, in.rest = r, n, nil
	c.orphaned = r.abandoned
	if !r.abandoned {
		in.aim(r.data, off, n)
	}
}

// takePayload moves data from the buffer to where it belongs.
func (c *conn) takePayload() (bool, error) {
	in := &c.receiving
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.orphaned {
		in.rest = nil
	}
	n := int(min(in.left, uint64(in.end-in.start)))
	for done := 0; done < n && len(in.rest) > 0; {
		done += in.consume(copy(in.rest[0], in.buf[in.start+done:in.start+n]))
	}
	in.start += n
	in.left -= uint64(n)
	if in.left > 0 {
		return false, nil
	}
	r := in.into
	in.into, in.rest, c.orphaned = nil, nil, false
	c.end(in.reply, r)
	in.reply = nbdwire.Reply{}
	return true, nil
}

// end is the end of a chunk.
func (c *conn) end(reply nbdwire.Reply, r *request) {
	if reply.Done {
		r.complete(reply.Form)
		c.ledger.end(r)
		c.settle(r)
	}
}

// takeSmall deals with the payload of a chunk, of which all but data is looked at whole.
func (c *conn) takeSmall() (bool, error) {
	in := &c.receiving
	need := in.reply.Length
	if in.reply.Type == nbdwire.ChunkData {
		need = 8 // the offset
	}
	if in.small == nil {
		in.small = make([]byte, 0, min(need, bufferSize))
	}
	n := min(need-uint64(len(in.small)), uint64(in.end-in.start))
	in.small = append(in.small, in.buf[in.start:in.start+int(n)]...)
	in.start += int(n)
	if uint64(len(in.small)) < need {
		return false, nil
	}
	payload := in.small
	in.small = in.small[:0]
	if cap(payload) > bufferSize {
		in.small = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.owner(in.reply.Cookie)
	if r == nil {
		return false, net.ErrClosed // lost meanwhile
	}
	if err := c.chunk(in.reply, r, payload); err != nil {
		return false, c.breakOff(r, err)
	}
	return true, nil
}

// chunk deals with a chunk whose payload has come: of data, the offset.
func (c *conn) chunk(reply nbdwire.Reply, r *request, payload []byte) error {
	c.receiving.reply = nbdwire.Reply{}
	switch {
	case reply.Type == nbdwire.ChunkData:
		off, err := c.place(r, nbdwire.DataOffset(payload), reply.Length-8)
		if err != nil {
			return err
		}
		c.receiving.reply = reply
		c.expect(r, off, reply.Length-8)
		return nil
	case reply.Type == nbdwire.ChunkHole:
		at, n, err := nbdwire.ParseHole(payload)
		if err != nil {
			return err
		}
		off, err := c.place(r, at, uint64(n))
		if err != nil {
			return err
		}
		if !r.abandoned {
			r.data.Slice(int64(off), int64(n)).Clear()
		}
	case reply.IsError():
		f, err := reply.ParseFailure(payload)
		if err != nil {
			return err
		}
		r.fail(c.refused(r, f.Code, f.Text))
	default:
		id, list, err := reply.ParseExtents(payload, nil)
		if err != nil {
			return err
		}
		name, agreed := c.agreed.numbered(id)
		if !agreed {
			return fmt.Errorf("extents of context %d, which nobody asked for", id)
		}
		if name == r.context && !r.abandoned {
			if err := r.status(list); err != nil {
				return err
			}
		}
	}
	c.end(reply, r)
	return nil
}

// place checks that n bytes at off lie within r, and notes that they have come. It returns where
// they are within the range.
func (c *conn) place(r *request, off, n uint64) (uint64, error) {
	if off < r.Offset || n > r.Length || off-r.Offset > r.Length-n {
		return 0, fmt.Errorf("%d bytes at %d for a read of %d at %d", n, off, r.Length, r.Offset)
	}
	if err := r.covered.Add(off, n); err != nil {
		r.fail(&broken{err, syscall.EIO})
	}
	return off - r.Offset, nil
}
