package nbdserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

const (
	// maxOption is the longest data of an option, in bytes. Longer data is skipped, as far as the
	// time for the handshake allows.
	maxOption = 64 << 10
	// maxPayload is the longest data of a request, in bytes.
	maxPayload = nbdwire.DefaultMaxPayload
	// preferred is the length of requests that is best, in bytes.
	preferred = 4096
)

// haggling is a connection until the client has chosen an export.
type haggling struct {
	server   *Server
	conn     net.Conn // the socket
	rw       net.Conn // what options are read from: conn, or TLS over it
	noZeroes bool
	form     nbdwire.Form
	// contexts were chosen for the export contextsOf, and are dropped if another is used.
	contexts   []nbdwire.Context
	contextsOf string
	encrypted  bool
	out        []byte // answers to the current option
	refused    string // why the client got no export, "" if it did not ask for any
}

// run answers options until the client uses an export, or takes leave: then it returns nil.
func (h *haggling) run() (*Export, error) {
	_, noZeroes, err := nbdwire.GreetClient(h.rw)
	if err != nil {
		return nil, err
	}
	h.noZeroes = noZeroes
	for {
		opt, data, long, err := nbdwire.ReadOption(h.rw, maxOption)
		if err != nil {
			return nil, err
		}
		export, ended, err := h.answer(opt, data, long)
		if err == nil && len(h.out) > 0 {
			_, err = h.rw.Write(h.out)
			h.out = h.out[:0]
		}
		if opt == nbdwire.OptAbort { // it need not wait for the answer
			return nil, nil
		}
		if err == nil && opt == nbdwire.OptStartTLS && h.server.TLS != nil && !h.encrypted {
			err = h.encrypt()
		}
		if ended || err != nil {
			return export, err
		}
	}
}

// answer puts the answers to one option in out. ended says that the haggling is over.
func (h *haggling) answer(
	opt nbdwire.Option, data []byte, long bool,
) (e *Export, ended bool, err error) {
	switch {
	case opt == nbdwire.OptExportName:
		return h.exportName(string(data), long)
	case opt == nbdwire.OptAbort:
		h.ack(opt)
		return nil, true, nil
	case h.server.TLS != nil && !h.encrypted && opt != nbdwire.OptStartTLS:
		h.refuse(opt, nbdwire.RepErrTLSRequired, "encrypt the connection first")
	case long:
		h.refuse(opt, nbdwire.RepErrTooBig, fmt.Sprintf("more than %d bytes", maxOption))
	case opt == nbdwire.OptInfo || opt == nbdwire.OptGo:
		e = h.info(opt, data)
		return e, e != nil && opt == nbdwire.OptGo, nil
	case opt == nbdwire.OptSetMetaContext || opt == nbdwire.OptListMetaContext:
		h.metaContexts(opt, data)
	case len(data) > 0:
		h.refuse(opt, nbdwire.RepErrInvalid, fmt.Sprintf("option %d (%s) has no data", opt, opt))
	case opt == nbdwire.OptList:
		for _, e := range h.server.Exports {
			x := nbdwire.Export{Name: e.Name, Description: e.Description}
			h.reply(opt, nbdwire.RepServer, nbdwire.AppendListed(nil, x))
		}
		h.ack(opt)
	case opt == nbdwire.OptStartTLS:
		h.startTLS(opt)
	case opt == nbdwire.OptStructuredReply && h.form == nbdwire.Extended:
		h.refuse(opt, nbdwire.RepErrExtendedRequired, "extended headers were agreed on")
	case opt == nbdwire.OptStructuredReply:
		h.form = nbdwire.Structured
		h.ack(opt)
	case opt == nbdwire.OptExtendedHeaders:
		h.form = nbdwire.Extended
		h.ack(opt)
	default:
		h.refuse(opt, nbdwire.RepErrUnsupported, fmt.Sprintf("option %d is not known", opt))
	}
	return nil, false, nil
}

func (h *haggling) reply(opt nbdwire.Option, rep nbdwire.OptionReply, data []byte) {
	h.out = nbdwire.AppendOptionReply(h.out, opt, rep, data)
}

func (h *haggling) ack(opt nbdwire.Option) { h.reply(opt, nbdwire.RepAck, nil) }

func (h *haggling) refuse(opt nbdwire.Option, rep nbdwire.OptionReply, text string) {
	h.reply(opt, rep, []byte(text))
	if opt == nbdwire.OptGo || rep == nbdwire.RepErrTLSRequired {
		h.refused = text
	}
}

// why is the reason for which a client has left that used no export.
func (h *haggling) why(err error) error {
	if h.refused != "" && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		return errors.New(h.refused)
	}
	var no syscall.Errno
	if errors.As(err, new(*net.OpError)) && errors.As(err, &no) {
		return no // without addresses, which the notice has
	}
	return err
}

// exportName begins at once. What is refused can only be hung up on.
func (h *haggling) exportName(name string, long bool) (*Export, bool, error) {
	e := h.server.find(name)
	if long || e == nil || h.form == nbdwire.Extended || h.server.TLS != nil && !h.encrypted {
		h.refused = fmt.Sprintf("export '%s' not present, or not to be had like this", name)
		return nil, true, nil
	}
	h.settle(name)
	h.out = nbdwire.AppendExportName(h.out, h.describe(e), h.noZeroes)
	return e, true, nil
}

// settle drops contexts that were chosen for another export.
func (h *haggling) settle(name string) {
	if h.contextsOf != name {
		h.contexts = nil
	}
}

func (h *haggling) startTLS(opt nbdwire.Option) {
	switch {
	case h.server.TLS == nil:
		h.refuse(opt, nbdwire.RepErrPolicy, "TLS not configured")
	case h.encrypted:
		h.refuse(opt, nbdwire.RepErrInvalid, "the connection is encrypted already")
	default:
		h.ack(opt)
	}
}

// encrypt begins anew on an encrypted connection. Options are read without reading ahead, so that
// nothing that came in the clear is taken for a part of it.
func (h *haggling) encrypt() error {
	conn := tls.Server(h.conn, h.server.TLS)
	if err := conn.Handshake(); err != nil {
		return err
	}
	h.rw, h.encrypted = conn, true
	h.form, h.contexts, h.contextsOf = nbdwire.Simple, nil, ""
	return nil
}

// find is the export with a name. That there is none it answers.
func (h *haggling) find(opt nbdwire.Option, name string) *Export {
	e := h.server.find(name)
	if e == nil {
		h.refuse(opt, nbdwire.RepErrUnknown, fmt.Sprintf("export '%s' not present", name))
	}
	return e
}

// info answers OptInfo and OptGo, and returns the export if there is one.
func (h *haggling) info(opt nbdwire.Option, data []byte) *Export {
	q, err := nbdwire.ParseInfoRequest(data)
	if err != nil {
		h.refuse(opt, nbdwire.RepErrInvalid, err.Error())
		return nil
	}
	e := h.find(opt, q.Name)
	if e == nil {
		return nil
	}
	about := h.describe(e)
	told := func(t nbdwire.InfoType) {
		h.reply(opt, nbdwire.RepInfo, nbdwire.AppendInfo(nil, t, about))
	}
	told(nbdwire.InfoExport)
	told(nbdwire.InfoBlockSize)
	for _, t := range q.Want {
		if t == nbdwire.InfoName || t == nbdwire.InfoDescription && about.Description != "" {
			told(t)
		}
	}
	h.ack(opt)
	if opt == nbdwire.OptGo {
		h.settle(q.Name)
	}
	return e
}

// describe is what an export is like for this client. All connections lead to one disk, so that a
// flush on any of them covers all.
func (h *haggling) describe(e *Export) nbdwire.Export {
	flags := nbdwire.HasFlags | nbdwire.SendFlush | nbdwire.SendFUA | nbdwire.SendCache |
		nbdwire.CanMultiConn
	if e.readOnly() {
		flags |= nbdwire.ReadOnly
	} else {
		flags |= nbdwire.SendTrim | nbdwire.SendWriteZeroes | nbdwire.SendFastZero
	}
	if h.form != nbdwire.Simple {
		flags |= nbdwire.SendDF
	}
	if h.form == nbdwire.Extended && len(h.contexts) > 0 {
		flags |= nbdwire.BlockStatusPayload
	}
	return nbdwire.Export{
		Name: e.Name, Description: e.Description, Size: e.size, Flags: flags,
		Blocks: nbdwire.BlockSizes{Minimum: 1, Preferred: preferred, Maximum: maxPayload},
	}
}

// metaContexts lists contexts, or chooses those that block status shall tell.
func (h *haggling) metaContexts(opt nbdwire.Option, data []byte) {
	set := opt == nbdwire.OptSetMetaContext
	if set {
		h.contexts, h.contextsOf = nil, ""
	}
	q, err := nbdwire.ParseMetaRequest(data)
	switch {
	case err != nil:
		h.refuse(opt, nbdwire.RepErrInvalid, err.Error())
		return
	case set && h.form == nbdwire.Simple:
		h.refuse(opt, nbdwire.RepErrInvalid, "block status needs structured replies")
		return
	}
	e := h.find(opt, q.Name)
	if e == nil {
		return
	}
	for id, name := range e.contexts() {
		if !asksFor(q.Queries, name, !set) {
			continue
		}
		c := nbdwire.Context{ID: uint32(id), Name: name}
		if set {
			h.contexts = append(h.contexts, c)
		}
		h.reply(opt, nbdwire.RepMetaContext, nbdwire.AppendContext(nil, c))
	}
	if set {
		h.contextsOf = q.Name
	}
	h.ack(opt)
}

// asksFor says whether queries name a context. A list may also be asked for everything, or for a
// namespace.
func asksFor(queries []string, name string, list bool) bool {
	if list && len(queries) == 0 {
		return true
	}
	for _, q := range queries {
		switch {
		case q == name:
			return true
		case !list || q != "base:" && q != "qemu:" && q != nbdwire.ContextDirtyBitmap:
		case strings.HasPrefix(name, q):
			return true
		}
	}
	return false
}
