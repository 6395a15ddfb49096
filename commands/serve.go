package commands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/nbd"
	"github.com/blksh/blksh/blockdev/nbdserver"
	"github.com/blksh/blksh/commands/args"
	"github.com/blksh/blksh/commands/event"
	"github.com/blksh/blksh/commands/session"
)

var serve = session.Command{
	Name: "serve", Max: -1, Needs: session.File,
	Args:  "[-r] [--unix path | --port n [--bind address]] [--export name] [--once] [--tls dir]",
	Short: "serves the current image to NBD clients",
	Long: ` Examples:
 serve --unix disk.sock          for qemu, the kernel and libnbd on this machine
 serve -r --port 10809           over TCP, on the loopback address only
 serve --port 10809 --bind 0.0.0.0 --tls /etc/pki/blksh

 It serves until Ctrl-C, and then finishes what clients have asked for and
 flushes the image. With --once it ends when the first client has left.

 The directory of --tls has ca-cert.pem, server-cert.pem and server-key.pem.
 Clients have to encrypt, and need a certificate of that authority.
`,
	New: func(f *session.Flags) session.Run {
		j := &serveJob{}
		f.Bool(&j.readOnly, 'r', "read-only", "let nobody write")
		f.Text(&j.path, nil, 0, "unix", args.Value{Name: "PATH", Type: args.TypeFile},
			"on a socket of that name, which must not exist")
		f.Flag(0, "port", args.Text("N"), "on that TCP port; 0 takes a free one", j.setPort)
		f.Text(&j.bind, nil, 0, "bind", args.Text("ADDRESS"),
			"address of this machine, 127.0.0.1 otherwise")
		f.Text(&j.export, nil, 0, "export", args.Text("NAME"), "name of the export, none otherwise")
		f.Bool(&j.once, 0, "once", "end when the first client has left")
		f.Text(&j.tls, nil, 0, "tls", args.Dir, "encrypt, with the certificates in DIR")
		f.Conflict("where", "serve: say where: either --unix PATH or --port N", func() bool {
			return (j.path != "") == j.tcp
		})
		f.Conflict("bind", "serve: --bind goes with --port", func() bool {
			return j.bind != "" && !j.tcp
		})
		return j.run
	},
}

// serveJob is one call of serve.
type serveJob struct {
	readOnly, once, tcp     bool
	path, bind, export, tls string
	port                    uint64
}

func (j *serveJob) setPort(word string) (err error) {
	j.tcp = true
	j.port, err = strconv.ParseUint(word, 10, 16)
	return err
}

func (j *serveJob) run(ctx context.Context, s *session.Session, im *session.Image) error {
	server, err := j.server(im)
	if err != nil {
		return event.Fail(event.Failed{Op: "serve", Err: err})
	}
	l, err := j.listen()
	if err != nil {
		return event.Fail(event.Failed{Op: "serve", Err: err})
	}
	notices, ended := make(chan nbdserver.Notice), make(chan error)
	server.Notify = func(n nbdserver.Notice) { notices <- n }
	go func() { ended <- server.Serve(ctx, l) }()
	readOnly := j.readOnly || im.Dev.ReadOnly()
	say := func(e event.Event) {
		s.Emit(e)
		s.Printer.Flush() // somebody waits to hear it
	}
	say(event.Serving{URI: j.uri(l.Addr()), ReadOnly: readOnly, TLS: j.tls != ""})
	for {
		select {
		case n := <-notices:
			e := event.Client{Address: n.Client, Export: n.Export, Left: n.Left}
			if n.Err != nil {
				e.Reason = n.Err.Error()
			}
			say(e)
		case err := <-ended:
			if err != nil {
				return event.Fail(event.Failed{Op: "serve", Err: err})
			}
			return nil
		}
	}
}

func (j *serveJob) server(im *session.Image) (*nbdserver.Server, error) {
	export := nbdserver.Export{Name: j.export, Disk: im.Dev, ReadOnly: j.readOnly}
	server := &nbdserver.Server{Exports: []nbdserver.Export{export}, Once: j.once}
	if j.tls == "" {
		return server, nil
	}
	var err error
	c := nbd.Credentials{Dir: j.tls, Server: true, VerifyPeer: true}
	server.TLS, err = c.ServerConfig()
	return server, err
}

func (j *serveJob) listen() (net.Listener, error) {
	if j.path != "" {
		return net.Listen("unix", j.path)
	}
	host := j.bind
	if host == "" {
		host = "127.0.0.1"
	}
	return net.Listen("tcp", net.JoinHostPort(host, strconv.FormatUint(j.port, 10)))
}

// uri is what clients open.
func (j *serveJob) uri(at net.Addr) string {
	scheme := "nbd"
	if j.tls != "" {
		scheme = "nbds"
	}
	if j.path != "" {
		path := j.path
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		return fmt.Sprintf("%s+unix:///%s?socket=%s", scheme, j.export, path)
	}
	return fmt.Sprintf("%s://%s/%s", scheme, at, j.export)
}

var exports = session.Command{
	Name: "exports", Min: 1, Max: 1,
	Args:  "server",
	Short: "lists the exports of an NBD server",
	Long: ` Examples:
 exports nbd://host
 exports nbd+unix:///?socket=disk.sock
`,
	New: func(f *session.Flags) session.Run {
		var name string
		f.Word("server", args.Text("URI"), word(&name))
		return func(ctx context.Context, s *session.Session, _ *session.Image) error {
			if !strings.HasPrefix(name, "nbd") {
				return conflict("exports: '%s' is no NBD server; nbd://HOST is one", name)
			}
			cfg, err := nbd.ParseName(name)
			var list []nbd.Listing
			if err == nil {
				err = s.Do(ctx, func(ctx context.Context) (err error) {
					list, err = nbd.List(ctx, cfg)
					return err
				})
			}
			if err != nil {
				return event.Fail(event.Failed{Op: "exports", Err: asRefusal(err)})
			}
			for _, e := range list {
				s.Emit(event.Export{
					Name: e.Name, Description: e.Description, Size: e.Size, Flags: e.Flags.String(),
					Minimum: e.Blocks.Minimum, Preferred: e.Blocks.Preferred,
					Maximum: e.Blocks.Maximum, Contexts: e.Contexts,
				})
			}
			return nil
		}
	},
}

// asRefusal keeps the words of an error that has a number, too.
func asRefusal(err error) error {
	var refused *driver.Refusal
	if errors.As(err, &refused) {
		return err
	}
	return &driver.Refusal{Text: err.Error(), Err: err}
}
