package nbd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// DefaultPort is where servers listen.
const DefaultPort = "10809"

// Address is where a server listens.
type Address struct {
	Network string // "unix", "tcp", "tcp4", "tcp6", or "fd" for a connection that we were given
	// Path is that of a unix socket, or the name of one that has no file: all its bytes. It is the
	// number of a file that was open when the program started.
	Path     string
	Abstract bool // it has none
	// Host and Port are those of a TCP server.
	Host, Port string
}

// String is the path, or host and port.
func (a Address) String() string {
	switch a.Network {
	case "unix":
		return strings.TrimRight(a.Path, "\x00")
	case "fd":
		return "descriptor " + a.Path
	}
	return net.JoinHostPort(a.Host, a.Port)
}

// dial connects to the server.
func (a Address) dial(ctx context.Context) (net.Conn, error) {
	name, d := a.String(), net.Dialer{}
	switch {
	case a.Network == "fd":
		return inherited(a.Path)
	case a.Network == "unix" && a.Abstract:
		if len(name) >= LongestPath { // no room for the zero before it
			return nil, &pathError{name}
		}
		name = "@" + a.Path
	case a.Network == "unix":
		return dialUnix(ctx, name)
	case a.Host == "":
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	case a.Network == "tcp6": // with IPv4 where there is nothing else, as QEMU has it
		conn, err := d.DialContext(ctx, a.Network, name)
		if isOtherFamily(err) {
			conn, err = d.DialContext(ctx, "tcp4", name)
		}
		return conn, err
	}
	return d.DialContext(ctx, a.Network, name)
}

// isOtherFamily says that a host has no address of the version of IP that was asked for.
func isOtherFamily(err error) bool {
	var address *net.AddrError
	return errors.As(err, &address) && address.Err == "no suitable address found"
}

// Config says which export of which server to use, and how.
type Config struct {
	Address Address
	Export  string
	// TLS asks for an encrypted connection and fails without one. Its ServerName is the name that
	// the server must prove; nil is plain.
	TLS *tls.Config
	// Context is the meta context that BlockStatus tells, "" for base:allocation.
	Context string
	// Bitmaps asks the server for its dirty bitmaps, whose contexts StatusIn tells, too.
	Bitmaps bool
	// ReconnectDelay is how long requests wait for a connection that was lost; afterwards, and with
	// 0, they fail until it is back. Reconnecting goes on for ever. If anything was written since
	// the last flush that was not to be durable by itself, the next flush fails: the server that
	// was lost may not have stored it.
	ReconnectDelay time.Duration
	// OpenTimeout is how long Dial goes on trying.
	OpenTimeout time.Duration
	// Connections is the most to have at a time, 0 for 1. More than one are only made to a server
	// that says that they are as good as one.
	Connections int
	// AtOnce is how many requests of one connection the server works on at a time, as far as that
	// is known, 0 if it is not. Where all connections have so many, another one is made.
	AtOnce int
	// Piece is the longest request that a long transfer is cut into, in bytes; 0 means 1 MiB. The
	// pieces are in flight together.
	Piece int64

	// Until ends when the server is waited for no longer, see driver.Opening; nil: it never does.
	Until context.Context

	// lean lets queues of short reads have one connection more, if that serves them better.
	lean bool
	// below is the form of replies that is too good, with those that are better still; 0 for none.
	below nbdwire.Form

	// trusting has no ledger, so that a flush is believed whatever was lost before.
	trusting bool
	ledger   *ledger

	// said is what a server that we have started has said so far, besides its replies; nil for
	// others.
	said func() string
}

// until is Until, which there may not be.
func (c *Config) until() context.Context { return cmp.Or(c.Until, context.Background()) }

func (c *Config) context() string { return cmp.Or(c.Context, nbdwire.ContextAllocation) }

// dialError words an address that cannot be reached as QEMU does.
func dialError(a Address, err error) error {
	var dns *net.DNSError
	var address *net.AddrError
	if a.Network == "fd" || errors.As(err, new(*pathError)) {
		return err
	}
	where := a.String()
	if a.Network != "unix" {
		where = a.Host + ":" + a.Port
	}
	why := ""
	switch {
	case isOtherFamily(err):
		why = "Address family for hostname not supported"
	case errors.As(err, &dns) && dns.Err == "unknown port", errors.As(err, &address):
		why = "Servname not supported for ai_socktype"
	case errors.As(err, &dns):
		why = "Name or service not known"
	}
	if why != "" {
		return driver.RefuseAs(err, "address resolution failed for %s: %s", where, why)
	}
	return &driver.ConnectError{Where: where, Err: spoken(err)}
}

// spoken is an error number in the words of the C library, where err carries one.
func spoken(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return driver.RefuseAs(err, "%s", driver.ErrnoText(no))
	}
	return err
}
