package nbdserver

import "io"

const (
	// inputSize is for reading requests ahead, in bytes: several small ones come with one call.
	inputSize = 64 << 10
	// largeData is from where on the data of a request is read where it belongs, in bytes.
	largeData = 16 << 10
)

// input reads what a client sends, ahead where requests are small.
type input struct {
	r    stream
	head int // how long the head of a request is, in bytes
	// idle is called before there is a wait for the client.
	idle       func()
	buf        []byte
	start, end int // what is in buf and was not taken
	// half is where idle is called too, so that the client has something to do meanwhile; 0 for
	// nowhere.
	half int
	// expecting: more comes soon, because it is the rest of a request, or the client has sent
	// several at a time.
	expecting bool
	taken     int // heads and data that were taken since the last wait
	// large: the data of the last request was. No more than the head of the next is read ahead
	// then, because that may have as much, which would have to be copied.
	large bool
	two   [2][]byte // room for what is read at a time
}

func newInput(r stream, head int, idle func()) input {
	return input{r: r, head: head, idle: idle, buf: make([]byte, inputSize)}
}

// next takes n bytes, which stay until the next call. io.EOF if there are none.
func (in *input) next(n int) ([]byte, error) {
	if in.end-in.start < n {
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
		room := in.buf
		if in.large {
			room = room[:n]
		}
		in.expecting, in.taken = in.taken > 2, 0
		in.idle()
		got, err := io.ReadAtLeast(in.r, room[in.end:], n-in.end)
		if err == io.ErrUnexpectedEOF || err == io.EOF && in.end > 0 {
			err = errWithin
		}
		in.end += got
		in.half = in.end / 2
		if err != nil {
			return nil, err
		}
	}
	if in.half > 0 && in.start >= in.half {
		in.half = 0
		in.idle()
	}
	in.start += n
	in.taken++
	return in.buf[in.start-n : in.start], nil
}

// read fills p. If all of it has come, idle is called behind it: a client that waits for room to
// send the next is woken by a reply as well, and sends while this one is done.
func (in *input) read(p []byte) error {
	in.large = len(p) >= largeData
	n := copy(p, in.buf[in.start:in.end])
	in.start += n
	if n == len(p) {
		return nil
	}
	in.expecting = true
	err := in.fill(p[n:])
	in.idle()
	return ended(err)
}

// fill fills p, and takes of the head behind it what comes with it. Nothing was read ahead.
func (in *input) fill(p []byte) error {
	in.start, in.end, in.half = 0, 0, 0
	for len(p) > 0 {
		in.two = [2][]byte{p, in.buf[:in.head]}
		n, err := in.r.readv(in.two[:], in.idle)
		in.two = [2][]byte{}
		if err != nil {
			return err
		}
		in.end = max(0, n-len(p))
		p = p[min(n, len(p)):]
	}
	return nil
}

// borrow takes n bytes of the data of a request, which stay until the next call.
func (in *input) borrow(n int) ([]byte, error) {
	in.large = false
	p, err := in.next(n)
	return p, ended(err)
}

// peek is n bytes that are not taken by it, nil if they have not been read yet, or lie behind half.
func (in *input) peek(n int) []byte {
	end := in.end
	if in.half > 0 {
		end = min(end, max(in.half, in.start))
	}
	if end-in.start < n {
		return nil
	}
	return in.buf[in.start : in.start+n]
}

// pass takes n bytes that peek has shown.
func (in *input) pass(n int) {
	in.start += n
	in.taken += 2 // a head, and data
}

// leave leaves what next has returned to its holder, and goes on with other memory.
func (in *input) leave() {
	buf := make([]byte, inputSize)
	in.end = copy(buf, in.buf[in.start:in.end])
	in.start, in.buf = 0, buf
}

// skip drops n bytes.
func (in *input) skip(n int64) error {
	ahead := min(n, int64(in.end-in.start))
	in.start += int(ahead)
	if n == ahead {
		return nil
	}
	in.idle()
	_, err := io.CopyN(io.Discard, in.r, n-ahead)
	return ended(err)
}

// ended words an end amid a request.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errWithin
	}
	return err
}

// gone is what a client has done that hung up.
type gone int

const (
	errWithin gone = iota
	errUnanswered
)

func (g gone) Error() string {
	if g == errWithin {
		return "it hung up within a request"
	}
	return "it hung up before all its requests were answered"
}

// Unwrap is what it is to programs.
func (g gone) Unwrap() error {
	if g == errWithin {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}
