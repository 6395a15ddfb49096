package commands

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var serve = session.Command{
	Name:  "serve",
	Group: session.GroupServers,
	Args: "[-rwUv] [-f format] [--in-use] [--unix path | --port n [--bind address]] " +
		"[--export name]... [--bitmap name]... [--once] [--tls dir] [image]...",
	Short: "serves images to NBD clients",
	Long: ` Examples:
 serve --unix disk.sock          the current image, on this machine
 serve -r --port 10809 a.qcow2   a file, over TCP, on the loopback address only
 serve --unix s.sock one two     two of them, with their names as exports
 serve --port 10809 --bind 0.0.0.0 --tls /etc/pki/blksh
 serve -r --unix s.sock --bitmap sunday a.qcow2

 nbdcopy -- [ blksh serve -r a.qcow2 ] a.raw

 It serves until Ctrl-C, and then finishes what clients have asked for and
 flushes the images. With --once it ends when the last client has left. An
 image is a file, or one that is open by its name; nobody writes to one that is
 read-only. A signal USR1 asks how much has been read and written so far.

 One image is the export without a name, unless --export gives it one. Several
 are called like their files, or as --export says, once for each of them. The
 first is also what clients get that name none. With --bitmap they see what is
 dirty: 'map --bitmap' and 'copy --bitmap' work on the export, as they do on the
 exports of 'qemu-nbd -B'.

 Started with a socket by systemd, libnbd or another blksh, it serves on that.

 The directory of --tls has ca-cert.pem, server-cert.pem and server-key.pem.
 Clients have to encrypt, and need a certificate of that authority, which is not
 on its list ca-crl.pem of those that it has revoked, if there is one.
`,
	New: func(f *session.Flags) session.Run {
		j := &serveJob{}
		j.flags(f)
		j.checks(f)
		return j.run
	},
}

// serveJob is one call of serve.
type serveJob struct {
	where         place
	opening       session.Opening // of the images that are named
	images        []string
	exports       []string // names, none or as many as images
	bitmaps       []string // names
	verbose, once bool
	tls           string
}

// flags declares flags and operands.
func (j *serveJob) flags(f *session.Flags) {
	o := &j.opening
	f.Bool(&o.ReadOnly, 'r', "read-only", "let nobody write")
	f.Bool(&o.Write, 'w', "write-device", "let clients write to devices that are named")
	f.Bool(&o.InUse, 0, "in-use", "let them write also to what others use, such as a mounted device")
	f.Bool(&o.ForceShare, 'U', "force-share",
		"with -r: share the files with programs that write them")
	f.Text(&o.Format, 'f', "format", args.Format,
		"format of the files, which is guessed otherwise")
	f.Bool(&j.verbose, 'v', "verbose", "say who comes and goes")
	j.where.flags(f)
	f.Flag(0, "export", args.Text("NAME"), "name of the next export", j.addExport)
	f.Flag(0, "bitmap", args.Text("NAME"),
		"tell what is dirty in this bitmap, of each image that has it", j.addBitmap)
	f.Bool(&j.once, 0, "once", "end when the last client has left")
	f.Text(&j.tls, 0, "tls", args.Dir, "encrypt, with the certificates in DIR")
	f.Words(&j.images, "image", 0)
}

// checks declares what of them does not go together.
func (j *serveJob) checks(f *session.Flags) {
	o := &j.opening
	f.Check("current", func() error {
		if f.Operands() == 0 && f.Image() == nil {
			return event.Fail(event.NoFile{})
		}
		return nil
	})
	f.Conflict("of-file", "serve: -f, -w, -U and --in-use are about images that are named",
		func() bool {
			return len(j.images) == 0 && (o.Format != "" || o.Write || o.ForceShare || o.InUse)
		})
	f.Conflict("r-w", "serve: -r and -w contradict each other", func() bool {
		return o.ReadOnly && o.Write
	})
	f.Conflict("share", "serve: -U goes with -r", func() bool {
		return o.ForceShare && !o.ReadOnly
	})
	f.Conflict("exports", "serve: --export is given once for each image, or not at all",
		func() bool { return len(j.exports) > 0 && len(j.exports) != max(1, len(j.images)) })
}

func (j *serveJob) addExport(name string) error {
	if err := nbdserver.CheckName(name); err != nil {
		return event.BadValuef("--export takes the name of an export: %v", err)
	}
	j.exports = append(j.exports, name)
	return nil
}

func (j *serveJob) addBitmap(name string) error {
	if !slices.Contains(j.bitmaps, name) {
		j.bitmaps = append(j.bitmaps, name)
	}
	return nil
}

// run serves until it is told to end, which is no failure. What fails at the end is one.
func (j *serveJob) run(ctx context.Context, s *session.Session, im *session.Image) error {
	encryption, err := j.encryption()
	if err != nil {
		return err
	}
	list, err := j.openAll(ctx, s, im)
	if err == nil {
		err = j.serve(ctx, s, list, encryption)
	}
	for _, x := range list {
		err = s.Also(err, x.free())
	}
	if !errors.Is(context.Cause(ctx), session.ErrInterrupted) {
		return err
	}
	if err != nil { // what ends the run would take its place
		s.Fail(err)
	}
	return session.Shown(event.Fail(event.Interrupted{}))
}

// openAll opens what is to be served. After an error the list has what is open.
func (j *serveJob) openAll(
	ctx context.Context, s *session.Session, im *session.Image,
) (list []served, err error) {
	if len(j.images) == 0 {
		x, err := j.open(ctx, s, im, session.Opening{})
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	for i, name := range j.images {
		if k := slices.IndexFunc(j.images[:i], func(other string) bool {
			return other == name || sameFile(other, name)
		}); k >= 0 {
			return list, event.Conflictf("serve: %s and %s are one image", j.images[k], name)
		}
		o := j.opening
		o.Name = name
		x, err := j.open(ctx, s, s.Named(name), o)
		if err != nil {
			return list, err
		}
		list = append(list, x)
	}
	return list, j.settle(ctx, s, list)
}

// sameFile reports whether both names are of one file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// settle says how images are served.
func (j *serveJob) settle(ctx context.Context, s *session.Session, list []served) error {
	if err := j.name(list); err != nil {
		return err
	}
	return j.findBitmaps(ctx, s, list)
}

// maxUntold is how many comings and goings of clients are remembered until somebody reads of them.
// Later ones are left out, which their numbers show.
const maxUntold = 1024

// served is an image that is served.
type served struct {
	name    string // of the export
	path    string // as it was given
	dev     *blockdev.Device
	bitmaps []string
	free    func() error // gives up what was opened for this
}

// open takes an image that is open, or opens one for this. Clients write to what can be written to,
// which has to be permitted.
func (j *serveJob) open(
	ctx context.Context, s *session.Session, im *session.Image, o session.Opening,
) (served, error) {
	if im == nil {
		dev, err := s.OpenBeside(ctx, o)
		return served{path: o.Name, dev: dev, free: func() error { return s.CloseBeside(dev) }}, err
	}
	if !j.opening.ReadOnly && !im.Dev.ReadOnly() {
		if err := s.Claim(ctx, im); err != nil {
			return served{}, err
		}
	}
	return served{path: im.Describe().Path, dev: im.Dev, free: func() error { return nil }}, nil
}

// name gives the exports their names.
func (j *serveJob) name(list []served) error {
	seen := map[string]bool{}
	for i := range list {
		x := &list[i]
		switch {
		case len(j.exports) > 0:
			x.name = j.exports[i]
		case len(list) > 1:
			x.name = filepath.Base(j.images[i])
		}
		if err := nbdserver.CheckName(x.name); err != nil {
			return event.Conflictf("serve: '%s' cannot be the name of an export: %v; "+
				"--export gives another", x.name, err)
		}
		if seen[x.name] {
			return event.Conflictf("serve: two exports are called '%s'; --export gives them other names",
				x.name)
		}
		seen[x.name] = true
	}
	return nil
}

// findBitmaps gives each image those of the bitmaps that it has. Each must be somewhere, and true.
func (j *serveJob) findBitmaps(
	ctx context.Context, s *session.Session, list []served,
) error {
	for _, name := range j.bitmaps {
		found := false
		var missing error
		for i := range list {
			x := &list[i]
			err := s.Do(ctx, func(ctx context.Context) error {
				_, _, err := x.dev.DirtyRun(ctx, name, 0, min(1, x.dev.Size()))
				return err
			})
			switch {
			case err == nil:
				x.bitmaps = append(x.bitmaps, name)
				found = true
			case errors.Is(err, syscall.ENOENT):
				missing = err
			case errors.Is(err, blockdev.ErrNotSupported):
				missing = cmp.Or(missing, err)
			default:
				return bitmapFailed("serve", err)
			}
		}
		if !found {
			return bitmapFailed("serve", missing)
		}
	}
	return nil
}

func (j *serveJob) serve(
	ctx context.Context, s *session.Session, list []served, encryption *tls.Config,
) error {
	server := j.server(list)
	server.TLS = encryption
	l, err := j.where.listen()
	if err != nil {
		return err
	}
	add, end := func(int64) {}, func() {}
	if !j.where.isHanded() || j.verbose { // else it is another program's, which tells its own
		add, end = s.Track("serve", 0)
	}
	defer end()
	notices, ended := make(chan nbdserver.Notice, maxUntold), make(chan error, 1)
	server.Moved = add
	server.Notify = func(n nbdserver.Notice) {
		select { // who does not read what is said keeps no client waiting
		case notices <- n:
		default:
		}
	}
	settled := func() {}
	go func() {
		err := server.Serve(ctx, l)
		settled = s.Hurry()
		close(notices)
		ended <- err
	}()
	say := func(e event.Event) {
		s.Emit(e)
		s.Printer.Flush() // somebody waits to hear it
	}
	address := j.where.address(l.Addr())
	for _, x := range list {
		say(event.Serving{
			URI: address.URI(x.name, j.tls != ""), Export: x.name, Path: x.path,
			ReadOnly: j.opening.ReadOnly || x.dev.ReadOnly(), TLS: j.tls != "", Bitmaps: x.bitmaps,
			Unasked: j.where.isHanded() && !j.verbose,
		})
	}
	for n := range notices {
		say(j.client(n))
	}
	err = <-ended
	settled()
	if err != nil {
		return event.FailOp("serve", err)
	}
	return nil
}

func (j *serveJob) server(list []served) *nbdserver.Server {
	server := &nbdserver.Server{Once: j.once}
	for _, x := range list {
		server.Exports = append(server.Exports, nbdserver.Export{
			Name: x.name, Disk: x.dev, ReadOnly: j.opening.ReadOnly, Bitmaps: x.bitmaps,
		})
	}
	return server
}

// encryption is how clients have to encrypt, nil for not at all.
func (j *serveJob) encryption() (*tls.Config, error) {
	if j.tls == "" {
		return nil, nil
	}
	c := nbd.Credentials{Dir: j.tls, Server: true, VerifyPeer: true}
	config, err := c.ServerConfig()
	if err != nil {
		return nil, event.FailReport(fmt.Errorf("serve: %w", err))
	}
	return config, nil
}

// client is what there is to say about a connection.
func (j *serveJob) client(n nbdserver.Notice) event.Client {
	e := event.Client{
		Number: n.Number, Address: n.Client, Export: n.Export, Left: n.Left, Declined: n.Declined,
		Requests: n.Traffic.Requests, Read: n.Traffic.Read, Written: n.Traffic.Written,
		Unasked: !j.verbose,
	}
	if n.Err != nil {
		e.Reason = n.Err.Error()
	}
	return e
}

// place is where clients come to.
type place struct {
	path, bind string
	tcp        bool
	port       uint64
}

func (p *place) flags(f *session.Flags) {
	f.Text(&p.path, 0, "unix", args.Value{Name: "PATH", Type: args.TypeFile},
		"on a socket of that name, which must not exist")
	f.Flag(0, "port", args.Text("N"), "on that TCP port; 0 takes a free one", p.setPort)
	f.Text(&p.bind, 0, "bind", args.Text("ADDRESS"),
		"address of this machine, 127.0.0.1 otherwise")
	f.Conflict("where", "serve: say where: either --unix PATH or --port N", func() bool {
		return p.path != "" && p.tcp || p.isHanded() && !wasHanded()
	})
	f.Conflict("bind", "serve: --bind goes with --port", func() bool {
		return p.bind != "" && !p.tcp
	})
}

func (p *place) setPort(word string) (err error) {
	p.tcp = true
	if p.port, err = strconv.ParseUint(word, 10, 16); err != nil {
		return event.BadValuef("--port takes a number up to 65535, not '%s'", word)
	}
	return nil
}

// isHanded says that clients come to the socket with which the program was started.
func (p *place) isHanded() bool { return p.path == "" && !p.tcp }

// wasHanded says that a service manager has started the program with sockets that it listens on, as
// systemd and libnbd do.
func wasHanded() bool { return os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) }

// firstHanded is the descriptor of the first of these sockets.
const firstHanded = 3

// handed is the socket that the program was started with.
func handed() (net.Listener, error) {
	if n := os.Getenv("LISTEN_FDS"); n != "1" {
		return nil, event.Conflictf("serve: the program was started with LISTEN_FDS=%s, and serves on one "+
			"socket", n)
	}
	f := os.NewFile(firstHanded, "socket")
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, event.Conflictf("serve: descriptor %d, which the program was started with, is no "+
			"socket that listens: %v", firstHanded, bare(err))
	}
	return l, nil
}

// listen makes the socket. Its errors are failures that say what is wrong with the place.
func (p *place) listen() (net.Listener, error) {
	var l net.Listener
	var err error
	switch {
	case p.isHanded():
		return handed()
	case p.path == "":
		l, err = p.listenTCP()
	case len(p.path) > nbd.LongestPath:
		return nil, event.Conflictf("serve: '%s' is too long for a socket, whose path has at most %d bytes",
			p.path, nbd.LongestPath)
	default:
		l, err = listenAt(p.path)
	}
	if err != nil {
		return nil, p.refused(err)
	}
	return l, nil
}

// listenTCP makes a socket for TCP. An address of IPv4 is that alone, 0.0.0.0 too, which the
// package net takes for all addresses of both kinds; one of IPv6 may stand in brackets, as in a
// URI. Others with brackets are refused: net takes [] for all addresses.
func (p *place) listenTCP() (net.Listener, error) {
	host, network := cmp.Or(p.bind, "127.0.0.1"), "tcp"
	inside := strings.Trim(host, "[]")
	switch ip, err := netip.ParseAddr(inside); {
	case err == nil && ip.Is4() && host == inside:
		network = "tcp4"
	case err == nil && ip.Is6() && host == "["+inside+"]":
		host = inside
	case host != inside:
		return nil, &net.AddrError{Err: "brackets around no address", Addr: host}
	}
	return net.Listen(network, net.JoinHostPort(host, strconv.FormatUint(p.port, 10)))
}

// refused says what is wrong with the place, which is for who named it to mend.
func (p *place) refused(err error) error {
	named := cmp.Or(p.path, fmt.Sprintf("port %d", p.port))
	switch {
	case errors.As(err, new(*net.DNSError)), errors.As(err, new(*net.AddrError)),
		errors.Is(err, syscall.EADDRNOTAVAIL), p.path == "" && errors.Is(err, syscall.EINVAL):
		return event.Conflictf("serve: --bind takes an address of this machine, and '%s' is none",
			p.bind)
	case p.path == "" && errors.Is(err, syscall.EADDRINUSE):
		return event.Conflictf("serve: %s is in use; --port 0 takes a free one", named)
	case errors.Is(err, syscall.EADDRINUSE) && !isSocket(p.path):
		return event.Conflictf("serve: '%s' is there already, and is no socket", named)
	case errors.Is(err, syscall.EADDRINUSE):
		return event.Conflictf("serve: '%s' is there already; remove it if no server uses it",
			named)
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return event.Conflictf("serve: there is no directory '%s'", filepath.Dir(p.path))
	case errors.Is(err, os.ErrPermission):
		return event.Conflictf("serve: %s: %v", named, bare(err))
	}
	return event.FailOp("serve", err)
}

// isSocket says what a name is of.
func isSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSocket != 0
}

// ownSocket is a socket in a directory, which is removed at its close, unless another has taken its
// place.
type ownSocket struct {
	*net.UnixListener
	path string // absolute
	made os.FileInfo
	once sync.Once
}

func listenAt(path string) (net.Listener, error) {
	l, err := nbd.ListenUnix(path)
	if err != nil {
		return nil, err
	}
	own := &ownSocket{UnixListener: l}
	if own.path, err = filepath.Abs(path); err == nil {
		own.made, err = os.Lstat(own.path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return own, nil
}

// Close removes the name as long as the socket is held, so that no other file can have its number.
func (s *ownSocket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}

// address is that of a listener, as clients on this machine have to say it.
func (p *place) address(at net.Addr) nbd.Address {
	if at.Network() != "unix" {
		host, port, _ := net.SplitHostPort(at.String())
		return nbd.Address{Network: "tcp", Host: host, Port: port}
	}
	path, err := filepath.Abs(at.String())
	if err != nil || len(path) > nbd.LongestPath { // then nobody can say it so
		path = at.String()
	}
	return nbd.Address{Network: "unix", Path: path}
}
