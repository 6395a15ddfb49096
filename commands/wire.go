package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var wireCommand = session.Command{
	Name:  "wire",
	Group: session.GroupServers,
	Args:  "[--form form] [--context name]... [--together] [--timeout seconds] server request...",
	Short: "sends any request to an NBD server and shows the answer",
	Long: ` Examples:
 wire nbd://host/disk 'read 0 4k'
 wire '[ nbdkit memory 1M ]' 'write+fua 0 512 0xab' 'read+df 0 512' flush
 wire nbd://host 'write end 512 =ENOSPC' 'read 1 3 =EINVAL' '99+0x8000 0 0'
 wire --context base:allocation nbd://host 'block-status+req-one 0 1G'

 It is for those who write servers. Nothing is checked before it is sent, and
 nothing is believed of what comes: each piece of an answer is shown, and what
 the protocol does not allow in it.

 A request is one word, in quotes:

   COMMAND[+FLAG...] [OFF [LEN]] [DATA] [=OUTCOME]

   COMMAND  read, write, flush, trim, cache, write-zeroes, block-status,
            disconnect, or a number
   FLAG     fua, no-hole, df, req-one, fast-zero, payload-len, or a number; data
            of extended requests is announced, unless a flag is called bare
   DATA     of a write, one byte such as 0xab, again and again, or with hex:0102
            those bytes and no others, of any command
   OUTCOME  OK, the name of an error, closed, timeout, or broken where nobody
            knows where the next reply begins: any other is a failure

 Requests go over one connection, each when the one before has been answered. An
 error that a server answers is no failure of wire, but what the protocol does
 not allow is, and so is a server that hangs up or does not answer.
`,
	New: func(f *session.Flags) session.Run {
		c := &wireJob{timeout: 10 * time.Second}
		forms := []string{"simple", "structured", "extended"}
		f.Enum(0, "form", "FORM", forms,
			"what to agree on, the best that the server knows otherwise",
			func(i int) { c.cfg.Form = forms[i] })
		f.Flag(0, "context", args.Text("NAME"), "meta context to agree on",
			func(word string) error {
				c.cfg.Contexts = append(c.cfg.Contexts, word)
				return nil
			})
		f.Bool(&c.together, 0, "together", "send all requests before any is answered")
		f.Flag(0, "timeout", args.Text("SECONDS"), "how long to wait for an answer, 10 otherwise",
			c.setTimeout)
		f.Word("server", args.Text("SERVER"), word(&c.server))
		f.Words(&c.words, "request", 1)
		f.Conflict("form-context", "wire: simple replies tell of no context", func() bool {
			return c.cfg.Form == "simple" && len(c.cfg.Contexts) > 0
		})
		return c.run
	},
}

// wireJob is one call of wire.
type wireJob struct {
	cfg      nbd.WireConfig
	together bool
	timeout  time.Duration
	server   string
	words    []string

	wire     *nbd.Wire
	requests []*wireCall // those that were sent
	wrong    int         // pieces that the protocol does not allow
	ended    string      // how the connection ended, "" if it did not
}

// wireCall is a request that is made by hand.
type wireCall struct {
	nbd.WireRequest
	bare     bool
	text     string
	expected string // outcome; "" for any but the end of the connection
	sent     time.Time
	outcome  string // "" while it is not answered
	code     uint32
}

func (c *wireJob) setTimeout(word string) error {
	n, err := strconv.ParseUint(word, 10, 32)
	if err != nil || n == 0 {
		return event.BadValuef("--timeout takes a number of seconds, not '%s'", word)
	}
	c.timeout = time.Duration(n) * time.Second
	return nil
}

func (c *wireJob) run(ctx context.Context, s *session.Session, _ *session.Image) error {
	s.Ready() // a server that was started is to end
	cfg, leave, err := nbd.Reach(c.server)
	if err == nil {
		if c.wire, err = c.dial(ctx, cfg); err != nil {
			err = leave(ctx, err)
		}
	}
	if err != nil {
		return event.Fail(event.OpenFailed{Name: c.server, Err: err})
	}
	err = c.connected(ctx, s)
	if left := leave(ctx, nil); err == nil && left != nil {
		err = event.FailOp("wire", asRefusal(left))
	}
	return err
}

// dial connects, and does not wait for ever.
func (c *wireJob) dial(ctx context.Context, cfg nbd.Config) (*nbd.Wire, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout,
		driver.RefuseAs(syscall.ETIMEDOUT, "the server does not greet within %s", c.timeout))
	defer cancel()
	return nbd.DialWire(ctx, cfg, c.cfg)
}

// connected sends the requests.
func (c *wireJob) connected(ctx context.Context, s *session.Session) (err error) {
	calls := make([]*wireCall, len(c.words))
	for i, text := range c.words {
		if calls[i], err = parseWire(text, c.wire.Size()); err != nil {
			return errors.Join(err, c.wire.Close())
		}
	}
	err = s.Tell(ctx, func(ctx context.Context, say func(event.Event)) error {
		unwatch := context.AfterFunc(ctx, func() { _ = c.wire.SetDeadline(time.Unix(1, 0)) })
		defer unwatch()
		return c.exchange(ctx, calls, say)
	})
	_ = c.wire.Close() // a server that takes no leave was told of already
	if err != nil {
		return event.FailOp("wire", err)
	}
	return c.verdict()
}

// exchange sends requests and shows what comes.
func (c *wireJob) exchange(
	ctx context.Context, calls []*wireCall, say func(event.Event),
) error {
	for i, call := range calls {
		c.requests = append(c.requests, call)
		_ = c.wire.SetDeadline(time.Now().Add(c.timeout))
		call.sent = time.Now()
		err := c.wire.Send(call.WireRequest, call.bare)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isLate(err):
			c.end(err, say)
		case err == nil && c.together && i+1 < len(calls):
			continue
		default: // where it was not sent, what came before says more
			err = c.await(ctx, say)
			if err != nil {
				return err
			}
		}
		if c.ended != "" {
			break
		}
	}
	return nil
}

// isLate says that a deadline has passed.
func isLate(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// mostPieces is how many pieces may come before one of them ends an answer.
const mostPieces = 10_000

// await shows what comes until all that was sent is answered, or the connection is of no more use.
func (c *wireJob) await(ctx context.Context, say func(event.Event)) error {
	last, pieces := c.requests[len(c.requests)-1], 0
	for c.wire.InFlight() > 0 || last.Command == disconnect {
		_ = c.wire.SetDeadline(time.Now().Add(c.timeout))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		reply, err := c.wire.Receive()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if pieces++; reply.Last && reply.Request >= 0 {
			pieces = 0
		}
		if err == nil && pieces > mostPieces {
			err = &nbd.BrokenError{Text: fmt.Sprintf("%d pieces, and no end of an answer", pieces)}
		}
		if err == nil || reply.Type != "" {
			c.show(reply, err == nil, say)
		}
		if err != nil {
			c.end(err, say)
			return nil
		}
	}
	return nil
}

// disconnect is the command that has no answer.
const disconnect = 2

// show shows a piece; whole says that all of it came.
func (c *wireJob) show(r nbd.WireReply, whole bool, say func(event.Event)) {
	e := event.WireReply{
		Request: "nobody's", Form: r.Form, Type: r.Type, Last: r.Last, Off: r.Offset, Len: r.Length,
		Head: r.Head, Code: r.Code, Text: r.Text, Context: r.Context, Wrong: r.Wrong,
		Duration: r.After.Nanoseconds(),
	}
	for _, x := range r.Extents {
		e.Extents = append(e.Extents, event.WireExtent{Len: x.Length, Flags: x.Flags})
	}
	if r.Code != 0 {
		e.Error = wireError(r.Code)
	}
	c.wrong += len(r.Wrong)
	if r.Request < 0 {
		say(e)
		return
	}
	call := c.requests[r.Request]
	e.Request = call.text
	say(e)
	if r.Code != 0 {
		call.code = r.Code
	}
	if r.Last && whole {
		call.outcome = "OK"
		if call.code != 0 {
			call.outcome = wireError(call.code)
		}
		say(event.WireDone{
			Request: call.text, Outcome: call.outcome, Code: call.code,
			Duration: r.After.Nanoseconds(),
		})
	}
}

// wireError is the name of an error number on the wire.
func wireError(code uint32) string {
	if name := unix.ErrnoName(syscall.Errno(code)); name != "" {
		return name
	}
	return strconv.FormatUint(uint64(code), 10)
}

// mostErrno is the highest error number that a system has a name for.
const mostErrno = 4095

// wireOutcome reads an outcome, in letters of either case. A number is that of an error.
func wireOutcome(word string) (string, error) {
	for _, outcome := range []string{"OK", "closed", "timeout", "broken"} {
		if strings.EqualFold(word, outcome) {
			return outcome, nil
		}
	}
	if n, err := strconv.ParseUint(word, 0, 32); err == nil && n > 0 {
		return wireError(uint32(n)), nil
	}
	for code := uint32(1); code <= mostErrno; code++ {
		if strings.EqualFold(word, wireError(code)) {
			return wireError(code), nil
		}
	}
	return "", fmt.Errorf("'=%s' is no outcome: OK, closed, timeout, broken or the name of an error, "+
		"such as =EINVAL, are", word)
}

// end is the end of the connection, with which all ends that is not answered.
func (c *wireJob) end(err error, say func(event.Event)) {
	var broken *nbd.BrokenError
	why := ""
	switch {
	case errors.As(err, &broken):
		c.ended, why = "broken", broken.Text
		c.wrong++
	case isLate(err):
		c.ended = "timeout"
	default:
		if c.ended = "closed"; err != io.EOF {
			why = err.Error()
		}
	}
	for _, call := range c.requests {
		if call.outcome == "" {
			call.outcome = c.ended
			say(event.WireDone{
				Request: call.text, Outcome: c.ended, Why: why,
				Duration: time.Since(call.sent).Nanoseconds(),
			})
		}
	}
}

// verdict is the failure of the whole, nil for none.
func (c *wireJob) verdict() error {
	expected := false
	for _, call := range c.requests {
		want := call.expected
		if want != "" && want != call.outcome {
			return event.Fail(event.WireUnexpected{
				Request: call.text, Outcome: call.outcome, Expected: want,
			})
		}
		expected = expected || want == c.ended || call.Command == disconnect && c.ended == "closed"
	}
	text, left := "", len(c.words)-len(c.requests)
	switch {
	case c.wrong > 0 && !(expected && c.ended == "broken" && c.wrong == 1):
		text = "the server broke the protocol"
	case left == 0 && (c.ended == "" || expected):
		return nil
	case c.ended == "timeout":
		text = fmt.Sprintf("the server did not answer within %s", c.timeout)
	default:
		text = "the server hung up"
	}
	if left > 0 {
		text += fmt.Sprintf("; requests that were not sent: %d", left)
	}
	return event.FailOp("wire", driver.RefuseAs(syscall.EPROTO, "%s", text))
}

// mostWireData is how much data one request may carry, in bytes.
const mostWireData = 64 << 20

// parseWire reads a request. The export has size bytes.
func parseWire(text string, size uint64) (*wireCall, error) {
	call := &wireCall{text: text}
	fields := strings.Fields(text)
	if last := len(fields) - 1; last >= 0 && strings.HasPrefix(fields[last], "=") {
		expected, err := wireOutcome(fields[last][1:])
		if err != nil {
			return nil, event.Conflictf("wire: '%s': %v", text, err)
		}
		call.expected, fields = expected, fields[:last]
		call.text = strings.Join(fields, " ")
	}
	if len(fields) == 0 {
		return nil, event.Conflictf("wire: '%s' names no command", text)
	}
	if err := call.command(fields[0]); err != nil {
		return nil, err
	}
	data := ""
	for i, field := range fields[1:] {
		var err error
		switch {
		case strings.HasPrefix(field, "hex:") && data == "":
			data = field
		case i == 0:
			call.Offset, err = wireNumber(field, size)
		case i == 1:
			call.Length, err = wireNumber(field, size)
		case i == 2 && call.Command == 1:
			data = field
		default:
			err = fmt.Errorf("'%s' is one word too many", field)
		}
		if err != nil {
			return nil, event.Conflictf("wire: '%s': %v", text, err)
		}
	}
	if err := call.fill(data); err != nil {
		return nil, event.Conflictf("wire: '%s': %v", text, err)
	}
	return call, nil
}

// command reads COMMAND[+FLAG...].
func (c *wireCall) command(word string) error {
	words := strings.Split(word, "+")
	read := func(word string, find func(string) (uint16, bool)) (uint16, error) {
		if n, ok := find(word); ok {
			return n, nil
		}
		n, err := strconv.ParseUint(word, 0, 16)
		if err != nil {
			return 0, event.Conflictf("wire: '%s' is no command, no flag, and no number below 65536",
				word)
		}
		return uint16(n), nil
	}
	var err error
	if c.Command, err = read(words[0], nbd.FindWireCommand); err != nil {
		return err
	}
	for _, word := range words[1:] {
		if word == "bare" {
			c.bare = true
			continue
		}
		flag, err := read(word, nbd.FindWireFlag)
		if err != nil {
			return err
		}
		c.Flags |= flag
	}
	return nil
}

// wireNumber reads an offset or a length: as everywhere, or one that is beyond all disks.
func wireNumber(word string, size uint64) (uint64, error) {
	if n, err := strconv.ParseUint(word, 0, 64); err == nil {
		return n, nil
	}
	n, err := args.Native(word, args.Env{End: int64(min(size, 1<<63-1)), Block: args.Sector})
	return uint64(n.Value), err
}

// fill makes the data of a request.
func (c *wireCall) fill(word string) (err error) {
	if digits, ok := strings.CutPrefix(word, "hex:"); ok {
		c.Data, err = args.Hex(digits)
		return err
	}
	if c.Command != 1 {
		return nil
	}
	if c.Length > mostWireData {
		return fmt.Errorf("%d bytes of data are too many; hex:BYTES sends fewer", c.Length)
	}
	var fill byte
	if word != "" {
		if fill, err = args.PatternByte(word); err != nil {
			return err
		}
	}
	c.Data = make([]byte, c.Length)
	for i := range c.Data {
		c.Data[i] = fill
	}
	return nil
}
