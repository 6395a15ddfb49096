package nbdwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Client is the client's side of the haggling. Its methods send one option each and read the
// answers. After an error that is no *OptionError the connection is of no more use.
type Client struct {
	rw io.ReadWriter
	// Old is the export of an oldstyle server, which does not haggle; nil for any other.
	Old      *Export
	fixed    bool
	noZeroes bool
	heard    int // bytes of answers
}

// OptionError is an option that the server refused.
type OptionError struct {
	Option Option
	Reply  OptionReply
	Text   string // what the server says about it, "" for nothing
}

func (e *OptionError) Error() string {
	option := "option " + numbered(e.Option)
	switch e.Reply {
	case RepErrUnsupported:
		return "Unsupported option type " + numbered(e.Option)
	case RepErrPolicy:
		return "Denied by server for " + option
	case RepErrInvalid:
		return "Invalid parameters for " + option
	case RepErrPlatform:
		return "Server lacks support for " + option
	case RepErrTLSRequired:
		return "TLS negotiation required before " + option
	case RepErrUnknown:
		return "Requested export not available"
	case RepErrShutdown:
		return "Server shutting down before " + option
	case RepErrBlockSizeRequired:
		return "Server requires INFO_BLOCK_SIZE for " + option
	}
	return "Unknown error code when asking for " + option
}

// numbered is an option by its number and name.
func numbered(o Option) string { return fmt.Sprintf("%d (%s)", uint32(o), o) }

// unexpected is an answer that opt does not have.
func unexpected(opt Option, rep OptionReply) error {
	got := fmt.Sprintf("%d (%s)", uint32(rep), replyName(rep))
	switch opt {
	case OptInfo, OptGo:
		return protocolError("unexpected reply type %s, expected 3 (info)", got)
	case OptListMetaContext, OptSetMetaContext:
		return protocolError("Unexpected reply type %s, expected 4 (meta context)", got)
	case OptList:
		return protocolError("Unexpected reply type %s, expected 2 (server)", got)
	}
	return protocolError("Server answered option %s with unexpected reply %s", numbered(opt), got)
}

// replyName is how a reply that is no error is called.
func replyName(rep OptionReply) string {
	switch rep {
	case RepAck:
		return "ack"
	case RepServer:
		return "server"
	case RepInfo:
		return "info"
	case RepMetaContext:
		return "meta context"
	}
	return "<unknown>"
}

// filledAck is an RepAck with n bytes, which it may not have.
func filledAck(opt Option, n int) error {
	switch opt {
	case OptInfo, OptGo:
		return protocolError("server sent invalid NBD_REP_ACK")
	case OptListMetaContext, OptSetMetaContext:
		return protocolError("Unexpected length to ACK response")
	}
	return protocolError("Option %d ('%s') response length is %d (it should be zero)", uint32(opt),
		opt, n)
}

// Hint is what to do, and what the server says.
func (e *OptionError) Hint() string {
	hint := ""
	if e.Reply == RepErrTLSRequired {
		hint = "Did you forget a valid tls-creds?\n"
	}
	if e.Text != "" {
		hint += "server reported: " + e.Text + "\n"
	}
	return hint
}

// Unwrap is EINVAL, but for what has an error number of its own.
func (e *OptionError) Unwrap() error {
	switch e.Reply {
	case RepErrUnsupported:
		return errors.ErrUnsupported
	case RepErrTLSRequired, RepErrPolicy:
		return errPerm
	case RepErrUnknown:
		return errNoExport
	case RepErrShutdown:
		return Errno(codeShutdown)
	}
	return errnoOfUnknown
}

// Greet reads the greeting of a server, and answers it.
func Greet(rw io.ReadWriter) (*Client, error) {
	c := &Client{rw: rw}
	magic, err := c.readUint64("initial magic")
	if err != nil {
		return nil, err
	}
	if magic != magicInit {
		return nil, protocolError("Bad initial magic received: 0x%x", magic)
	}
	if magic, err = c.readUint64("server magic"); err != nil {
		return nil, err
	}
	switch magic {
	case magicOption:
		return c, c.greetNew()
	case magicOldstyle:
		return c, c.greetOld()
	}
	return nil, protocolError("Bad server magic received: 0x%x", magic)
}

func (c *Client) greetNew() error {
	var b [2]byte
	if err := readFull(c.rw, b[:], "server flags"); err != nil {
		return err
	}
	flags := binary.BigEndian.Uint16(b[:])
	c.fixed, c.noZeroes = flags&flagFixedNewstyle != 0, flags&flagNoZeroes != 0
	answer := uint32(flags & (flagFixedNewstyle | flagNoZeroes))
	if _, err := c.rw.Write(binary.BigEndian.AppendUint32(nil, answer)); err != nil {
		return failed("Failed to send clientflags field: %w", err)
	}
	return nil
}

func (c *Client) greetOld() error {
	size, err := c.readUint64("export length")
	if err != nil {
		return err
	}
	var rest [4 + 124]byte
	if err := readFull(c.rw, rest[:4], "export flags"); err != nil {
		return err
	}
	if err := readFull(c.rw, rest[4:], "reserved block"); err != nil {
		return err
	}
	c.Old = &Export{Size: size, Flags: ExportFlags(binary.BigEndian.Uint32(rest[:]))}
	return nil
}

func (c *Client) readUint64(what string) (uint64, error) {
	var b [8]byte
	err := readFull(c.rw, b[:], what)
	return binary.BigEndian.Uint64(b[:]), err
}

// Fixed says whether the server knows options other than OptExportName.
func (c *Client) Fixed() bool { return c.fixed }

const (
	// maxAnswers is how many exports, and how many contexts of one, a client listens to.
	maxAnswers = 100_000
	// maxHeard is how long all answers that it listens to may be together, in bytes.
	maxHeard = 32 << 20
)

// ask sends an option and gives each answer to take, up to the final one. take may be nil if only
// RepAck is expected.
func (c *Client) ask(opt Option, data []byte, take func(OptionReply, []byte) error) error {
	if !c.fixed {
		return &OptionError{Option: opt, Reply: RepErrUnsupported}
	}
	if _, err := c.rw.Write(AppendOption(nil, opt, data)); err != nil {
		return failed("Failed to send option request header: %w", err)
	}
	for answers := 0; ; answers++ {
		rep, data, err := readOptionReply(c.rw, opt)
		c.heard += len(data)
		switch {
		case c.heard > maxHeard:
			return protocolError("more than %d bytes of answers to options", maxHeard)
		case answers > maxAnswers:
			return protocolError("more than %d answers to option %s", maxAnswers, numbered(opt))
		case err != nil:
			return err
		case rep == RepAck && len(data) > 0:
			return filledAck(opt, len(data))
		case rep == RepAck:
			return nil
		case rep.IsError() && len(data) > MaxString:
			return protocolError("server error %d (%s) message is too long", uint32(rep), opt)
		case rep.IsError():
			return &OptionError{opt, rep, cleanText(data)}
		case take == nil:
			return unexpected(opt, rep)
		}
		if err := take(rep, data); err != nil {
			return err
		}
	}
}

// StartTLS asks to encrypt the connection, and begins anew on the one that wrap makes of it.
func (c *Client) StartTLS(wrap func() (io.ReadWriter, error)) error {
	if err := c.ask(OptStartTLS, nil, nil); err != nil {
		return err
	}
	rw, err := wrap()
	if err != nil {
		return err
	}
	c.rw = rw
	return nil
}

// ExtendedHeaders asks for the extended form.
func (c *Client) ExtendedHeaders() error { return c.ask(OptExtendedHeaders, nil, nil) }

// StructuredReplies asks for the structured form.
func (c *Client) StructuredReplies() error { return c.ask(OptStructuredReply, nil, nil) }

// SetContexts chooses the meta contexts of an export by their names, and returns those that the
// server knows. A server may not give others.
func (c *Client) SetContexts(export string, names ...string) ([]Context, error) {
	var got []Context
	err := c.askContexts(OptSetMetaContext, MetaRequest{export, names}, func(x Context) error {
		again := func(y Context) bool { return x.ID == y.ID || x.Name == y.Name }
		if !slices.Contains(names, x.Name) || slices.ContainsFunc(got, again) {
			return protocolError("the server chose meta context '%s', which nobody asked for",
				x.Name)
		}
		got = append(got, x)
		return nil
	})
	return got, err
}

// ListContexts asks for the names of the contexts of an export: all, or those that answer queries.
func (c *Client) ListContexts(export string, queries ...string) ([]string, error) {
	var names []string
	err := c.askContexts(OptListMetaContext, MetaRequest{export, queries}, func(x Context) error {
		names = append(names, x.Name)
		return nil
	})
	return names, err
}

func (c *Client) askContexts(opt Option, q MetaRequest, take func(Context) error) error {
	return c.ask(opt, q.append(nil), func(rep OptionReply, data []byte) error {
		if rep != RepMetaContext {
			return unexpected(opt, rep)
		}
		x, err := parseContext(data)
		if err != nil {
			return err
		}
		return take(x)
	})
}

// Info asks what an export is like.
func (c *Client) Info(name string) (Export, error) {
	return c.info(OptInfo, name)
}

// Go begins the transmission with an export.
func (c *Client) Go(name string) (Export, error) {
	return c.info(OptGo, name)
}

func (c *Client) info(opt Option, name string) (Export, error) {
	var e Export
	known := false
	request := InfoRequest{
		name, []InfoType{InfoName, InfoDescription, InfoBlockSize},
	}.append(nil)
	err := c.ask(opt, request, func(rep OptionReply, data []byte) error {
		if rep != RepInfo {
			return unexpected(opt, rep)
		}
		t, err := e.parseInfo(data)
		known = known || err == nil && t == InfoExport
		return err
	})
	if err == nil && !known {
		err = protocolError("broken server omitted NBD_INFO_EXPORT")
	}
	return e, err
}

// ExportName begins the transmission with an export, for servers that do not know Go. One that does
// not have the export hangs up.
func (c *Client) ExportName(name string) (Export, error) {
	if _, err := c.rw.Write(AppendOption(nil, OptExportName, []byte(name))); err != nil {
		return Export{}, failed("Failed to send option request header: %w", err)
	}
	size, err := c.readUint64("export length")
	if err != nil {
		return Export{}, err
	}
	var rest [2 + 124]byte
	if err := readFull(c.rw, rest[:2], "export flags"); err != nil {
		return Export{}, err
	}
	if !c.noZeroes {
		if err := readFull(c.rw, rest[2:], "reserved block"); err != nil {
			return Export{}, err
		}
	}
	return Export{Size: size, Flags: ExportFlags(binary.BigEndian.Uint16(rest[:]))}, nil
}

// List asks for the names and descriptions of all exports.
func (c *Client) List() ([]Export, error) {
	var list []Export
	err := c.ask(OptList, nil, func(rep OptionReply, data []byte) error {
		if rep != RepServer {
			return unexpected(OptList, rep)
		}
		e, err := parseListed(data)
		list = append(list, e)
		return err
	})
	return list, err
}

// Abort takes leave during the haggling. That the server may hang up first is no error.
func (c *Client) Abort() {
	if c.fixed {
		_, _ = c.rw.Write(AppendOption(nil, OptAbort, nil))
	}
}
