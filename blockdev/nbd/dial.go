package nbd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// agreement is what the haggling came to.
type agreement struct {
	export   nbdwire.Export
	form     nbdwire.Form
	wanted   string // the context that BlockStatus tells
	contexts []nbdwire.Context
	tls      string // version, "" for none
	oldstyle bool
}

// context is the one that was asked for, if the server has it.
func (a agreement) context() (nbdwire.Context, bool) { return a.named(a.wanted) }

// named is the context with a name.
func (a agreement) named(name string) (nbdwire.Context, bool) {
	for _, x := range a.contexts {
		if x.Name == name {
			return x, true
		}
	}
	return nbdwire.Context{}, false
}

// numbered is the name of the context with a number.
func (a agreement) numbered(id uint32) (string, bool) {
	for _, x := range a.contexts {
		if x.ID == id {
			return x.Name, true
		}
	}
	return "", false
}

// has says whether the export has a feature.
func (a agreement) has(f nbdwire.ExportFlags) bool { return a.export.Flags&f != 0 }

const (
	// leaveTime is how long it may take to take leave,
	leaveTime = time.Second
	// briefly and that of a server that may never answer.
	briefly = leaveTime / 10
)

// soon is when whoever takes leave gives up.
func soon() time.Time { return time.Now().Add(leaveTime) }

// connect makes a connection and agrees with the server on how to use it.
func connect(ctx context.Context, cfg *Config) (*conn, error) {
	if len(cfg.Export) > nbdwire.MaxString {
		return nil, driver.Refuse("export name too long to send to server")
	}
	if len(cfg.Context) > nbdwire.MaxString {
		return nil, driver.Refuse("x-dirty-bitmap query too long to send to server")
	}
	h, err := greet(ctx, cfg)
	if err != nil {
		return nil, err
	}
	a, err := h.agree(cfg)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, h.fail(err)
	case err != nil:
		h.leave()
		return nil, h.because(err)
	}
	if err := h.finish(); err != nil {
		return nil, err
	}
	if h.stream == nil {
		h.stream = newStream(h.conn)
	}
	return newConn(h.stream, a, cfg), nil
}

// haggling is a connection whose options are being agreed on.
type haggling struct {
	*nbdwire.Client
	conn   net.Conn
	stream stream // once it is encrypted
	tls    string
	ctx    context.Context
	stop   func() bool // of the watch over ctx
	// anonymous: the server asked for a certificate, and there was none to show.
	anonymous bool
}

// greet connects, and encrypts the connection if cfg says so.
func greet(ctx context.Context, cfg *Config) (*haggling, error) {
	conn, err := cfg.Address.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, dialError(cfg.Address, err)
	}
	h := &haggling{conn: conn, ctx: ctx}
	h.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo()) })
	h.Client, err = nbdwire.Greet(spokenConn{conn, "Unable to %s socket: "})
	if err == nil && cfg.TLS != nil {
		err = h.encrypt(cfg)
	}
	if err != nil {
		return nil, h.fail(err)
	}
	return h, nil
}

// fail ends a connection that came to nothing. If that is because ctx ended, this is the reason.
func (h *haggling) fail(err error) error {
	h.stop()
	_ = h.conn.Close()
	return h.because(err)
}

// finish ends the watch over ctx: from here on each request has its own.
func (h *haggling) finish() error {
	if !h.stop() {
		_ = h.conn.Close()
		return context.Cause(h.ctx)
	}
	return nil
}

// leave takes leave of the server.
func (h *haggling) leave() {
	_ = h.conn.SetDeadline(soon())
	h.Abort()
	h.stop()
	_ = h.conn.Close()
}

func (h *haggling) encrypt(cfg *Config) error {
	if h.Old != nil || !h.Fixed() {
		return driver.Refuse("Server does not support STARTTLS")
	}
	return h.StartTLS(func() (io.ReadWriter, error) {
		conn := tls.Client(h.conn, h.noting(cfg.TLS))
		if err := conn.HandshakeContext(h.ctx); err != nil {
			return nil, tlsError(err)
		}
		h.tls = tls.VersionName(conn.ConnectionState().Version)
		h.stream = &tlsStream{Conn: conn}
		return spokenConn{conn, "Cannot %s TLS channel: "}, nil
	})
}

// noting is a Config that notes whether the server asks in vain for a certificate.
func (h *haggling) noting(c *tls.Config) *tls.Config {
	if len(c.Certificates) > 0 || c.GetClientCertificate != nil {
		return c
	}
	c = c.Clone()
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		h.anonymous = true
		return &tls.Certificate{}, nil
	}
	return c
}

// anonymousError is a server that is gone, as far as can be told for want of a certificate.
type anonymousError struct{ error }

func (e *anonymousError) Unwrap() error { return e.error }

// Advice is what it lacks.
func (*anonymousError) Advice() string {
	return "the server asks who connects; credentials with client-cert.pem and client-key.pem tell"
}

// tlsError words a handshake that failed: reasons that a Config of ours gives stand for themselves.
func tlsError(err error) error {
	var refused *driver.Refusal
	var bad *unverified
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &bad):
		return bad
	}
	return driver.Refuse("TLS handshake failed: %w", err)
}

// spokenConn words what the system says about reading and writing.
type spokenConn struct {
	net.Conn
	what string // with a place for "read from" and the like
}

func (c spokenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.worded("read from", err)
}

// Write does not tell that the other side is gone if it said why: Read does then.
func (c spokenConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if secure, ok := c.Conn.(*tls.Conn); ok && err != nil {
		_ = secure.SetReadDeadline(soon())
		if _, why := secure.Read(nil); isRemoteAlert(why) {
			return len(b), nil
		}
	}
	return n, c.worded("write to", err)
}

func (c spokenConn) worded(doing string, err error) error {
	var alert tls.AlertError
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &alert) || isRemoteAlert(err):
		return driver.RefuseAs(err, c.what+"%s", doing, driver.ErrnoText(syscall.ECONNABORTED))
	}
	return fmt.Errorf(c.what+"%w", doing, spoken(err))
}

// isRemoteAlert says that the other side of an encrypted connection refused to go on.
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// agree haggles: the best form of replies that the server knows, the meta context, the export.
func (h *haggling) agree(cfg *Config) (agreement, error) {
	a := agreement{tls: h.tls, wanted: cfg.context()}
	if h.Old != nil {
		if cfg.Export != "" {
			return a, driver.Refuse("Server does not support non-empty export names")
		}
		a.export, a.oldstyle = *h.Old, true
		return a, a.check()
	}
	var err error
	if a.form, err = h.chooseForm(cfg.below); err != nil {
		return a, err
	}
	if a.form != nbdwire.Simple {
		names, err := h.contexts(cfg)
		if err == nil {
			a.contexts, err = h.SetContexts(cfg.Export, names...)
		}
		if err = unlessRefused(err); err != nil {
			return a, err
		}
	}
	if err := h.begin(cfg, &a); err != nil {
		return a, err
	}
	return a, a.check()
}

// begin begins the transmission with the export, by the old option if the server has no other.
func (h *haggling) begin(cfg *Config, a *agreement) (err error) {
	a.export, err = h.Go(cfg.Export)
	if isUnsupported(err) {
		a.export, err = h.byName(cfg.Export)
		a.contexts = nil
	}
	return err
}

// mostBitmaps is how many dirty bitmaps of one export are looked at.
const mostBitmaps = 16

// contexts are the names of the contexts to agree on.
func (h *haggling) contexts(cfg *Config) ([]string, error) {
	names := []string{cfg.context()}
	if !cfg.Bitmaps {
		return names, nil
	}
	told, err := h.ListContexts(cfg.Export, nbdwire.ContextDirtyBitmap)
	if err = unlessRefused(err); err != nil {
		return nil, err
	}
	for _, name := range told {
		bitmap := strings.HasPrefix(name, nbdwire.ContextDirtyBitmap)
		if bitmap && !slices.Contains(names, name) && len(names) <= mostBitmaps {
			names = append(names, name)
		}
	}
	return names, nil
}

// chooseForm asks for the forms of replies below one, the best first; 0 is above all.
func (h *haggling) chooseForm(below nbdwire.Form) (nbdwire.Form, error) {
	for _, best := range []struct {
		form nbdwire.Form
		ask  func() error
	}{{nbdwire.Extended, h.ExtendedHeaders}, {nbdwire.Structured, h.StructuredReplies}} {
		if below != 0 && best.form >= below {
			continue
		}
		err := best.ask()
		if err == nil {
			return best.form, nil
		}
		if err = unlessRefused(err); err != nil {
			return 0, err
		}
	}
	return nbdwire.Simple, nil
}

// unlessRefused is err, but nil for an option that the server does not want: there is another way.
func unlessRefused(err error) error {
	var refused *nbdwire.OptionError
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

func isUnsupported(err error) bool {
	var refused *nbdwire.OptionError
	return errors.As(err, &refused) && refused.Reply == nbdwire.RepErrUnsupported
}

// byName begins with an export by the old option, which cannot say that there is none: the list
// does, where there is one.
func (h *haggling) byName(name string) (nbdwire.Export, error) {
	if h.Fixed() {
		list, err := h.List()
		if err := unlessRefused(err); err != nil {
			return nbdwire.Export{}, err
		}
		if err == nil && !isListed(list, name) {
			return nbdwire.Export{}, driver.RefuseAs(syscall.ENOENT,
				"No export with name '%s' available", name)
		}
	}
	return h.ExportName(name)
}

func isListed(list []nbdwire.Export, name string) bool {
	// the default export may have another name
	return name == "" ||
		slices.ContainsFunc(list, func(e nbdwire.Export) bool { return e.Name == name })
}

// maxSize is the longest export, in bytes: one that can be counted in whole sectors.
const maxSize = 1<<63 - driver.SectorSize

// check refuses exports that cannot be used.
func (a *agreement) check() error {
	if a.export.Size > maxSize {
		return driver.Because(syscall.EFBIG, "Could not refresh total sector count")
	}
	if !a.has(nbdwire.HasFlags) {
		a.export.Flags = 0
	}
	return nil
}
